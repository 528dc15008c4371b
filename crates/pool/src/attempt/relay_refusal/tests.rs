use rstest::rstest;

use super::super::{History, NextAccount, Outcome, Signal, Step, next};
use super::*;
use crate::account::AccountId;

const NOW: Millis = Millis(1_800_000_000_000);

fn history() -> History {
    History { posts: 1, tried: vec![AccountId("r".into())], keyed: true, ..History::default() }
}

fn with_code(kind: Kind, code: &str) -> Failure {
    Failure::new(kind, "said so").code(code)
}

fn plain(kind: Kind) -> Failure {
    Failure::new(kind, "said so")
}

/// As OpenAI answers a restricted key, with a 401 or a 403.
fn scoped() -> Failure {
    let message =
        "You have insufficient permissions for this operation. Missing scopes: model.request. Check your role.";
    Failure::new(Kind::Unauthorized, message).code("invalid_request_error")
}

/// The signal and the step in words.
fn judged(outcome: &Outcome) -> (String, String) {
    let (signal, step) = next(outcome, &history(), NOW);
    let signal = match signal {
        Signal::None => "nothing".to_owned(),
        Signal::NeedsLogin { .. } => "key".to_owned(),
        Signal::Cool { until, .. } => format!("cool {}", (until.0 - NOW.0) / 1000),
        Signal::Exhaust { until, window } => format!("{window} {}", (until.0 - NOW.0) / 1000),
        Signal::ModelMissing => "model".to_owned(),
        other => format!("{other:?}"),
    };
    let step = match step {
        Step::Again { to: NextAccount::Other, .. } => "other".to_owned(),
        Step::Again { to: NextAccount::PreferOther, .. } => "else the same".to_owned(),
        Step::Again { to: NextAccount::Same, strip_replay: true, refresh: false, .. } => "without replay".to_owned(),
        Step::Again { .. } => "wrong".to_owned(),
        Step::Fail(failure) => format!("{:?}", failure.kind),
    };
    (signal, step)
}

#[rstest]
// The key: at once and for good, whatever the status; the next relay.
#[case(401, plain(Kind::Unauthorized), None, "key", "other")]
#[case(401, with_code(Kind::Invalid, "invalid_api_key"), None, "key", "other")]
#[case(400, with_code(Kind::Unauthorized, "API_KEY_INVALID"), None, "key", "other")]
// Money.
#[case(402, plain(Kind::Exhausted), None, "credits 3600", "other")]
#[case(429, with_code(Kind::Exhausted, "insufficient_quota"), None, "credits 3600", "other")]
// It may be about this one request: another relay may take it, and this one the next.
#[case(403, plain(Kind::Forbidden), None, "nothing", "other")]
#[case(403, plain(Kind::Forbidden), Some(60), "nothing", "other")]
#[case(401, scoped(), None, "nothing", "other")]
#[case(403, scoped(), None, "nothing", "other")]
#[case(403, plain(Kind::Filtered), None, "nothing", "Filtered")]
// Limits, with and without a time.
#[case(429, plain(Kind::RateLimited), Some(7), "cool 7", "other")]
#[case(429, plain(Kind::RateLimited), None, "cool 60", "other")]
#[case(429, plain(Kind::RateLimited).retry_after(34), None, "cool 34", "other")]
// Trouble: it rests when it says how long.
#[case(500, plain(Kind::Upstream), None, "nothing", "else the same")]
#[case(503, plain(Kind::Overloaded), Some(9), "cool 9", "other")]
#[case(529, plain(Kind::Overloaded), None, "nothing", "else the same")]
#[case(504, plain(Kind::Timeout), None, "nothing", "else the same")]
// The model.
#[case(404, plain(Kind::ModelNotFound), None, "model", "other")]
#[case(400, with_code(Kind::ModelNotFound, "model_not_found"), None, "model", "other")]
// The address is not the client's fault.
#[case(404, plain(Kind::NotFound), None, "nothing", "Upstream")]
#[case(405, plain(Kind::Method), None, "nothing", "Upstream")]
// The request itself.
#[case(400, plain(Kind::Invalid), None, "nothing", "Invalid")]
#[case(400, plain(Kind::ContextLength), None, "nothing", "ContextLength")]
#[case(413, plain(Kind::TooLarge), None, "nothing", "TooLarge")]
#[case(418, plain(Kind::Upstream), None, "nothing", "Upstream")]
// State of another upstream.
#[case(400, with_code(Kind::Invalid, "invalid_encrypted_content"), None, "nothing", "without replay")]
#[case(400, Failure::new(Kind::Invalid, "Invalid `signature` in `thinking` block"), None, "nothing", "without replay")]
fn a_relays_refusal_comes_to(
    #[case] code: u16,
    #[case] failure: Failure,
    #[case] after: Option<u64>,
    #[case] signal: &str,
    #[case] step: &str,
) {
    let retry = Retry { after, ..Retry::default() };
    let got = judged(&Outcome::Refused { code, failure: failure.into(), retry });
    assert_eq!((got.0.as_str(), got.1.as_str()), (signal, step));
}

#[rstest]
#[case(plain(Kind::Unauthorized), "key", "other")]
#[case(plain(Kind::RateLimited), "cool 60", "other")]
#[case(plain(Kind::Overloaded), "nothing", "else the same")]
#[case(plain(Kind::Upstream), "nothing", "else the same")]
#[case(plain(Kind::Invalid), "nothing", "Invalid")]
fn a_failure_at_the_start_of_a_stream_comes_to(#[case] failure: Failure, #[case] signal: &str, #[case] step: &str) {
    let got = judged(&Outcome::EarlyFail(failure));
    assert_eq!((got.0.as_str(), got.1.as_str()), (signal, step));
}

#[test]
fn a_request_that_no_relay_takes_is_refused_as_such() {
    let last = History { posts: 2, ..history() };
    for failure in [plain(Kind::Forbidden), scoped()] {
        let outcome = Outcome::Refused { code: 403, failure: failure.clone().into(), retry: Retry::default() };
        let (_, step) = next(&outcome, &last, NOW);
        let Step::Fail(answer) = step else { panic!("{step:?}") };
        assert_eq!((answer.kind, answer.message), (Kind::Forbidden, failure.message));
    }
}

#[test]
fn what_a_client_hears_holds_no_key() {
    let failure = Failure::new(Kind::Unauthorized, "Incorrect API key provided: sk-proj-abcdefghijklmnopqrstuvwx");
    let outcome = Outcome::Refused { code: 401, failure: failure.into(), retry: Retry::default() };
    let (signal, step) = next(&outcome, &History { posts: 2, ..history() }, NOW);
    let text = format!("{signal:?}{step:?}");
    assert!(!text.contains("abcdefgh") && text.contains("the relay's key is refused"), "{text}");
}

#[test]
fn a_request_walks_past_relays_with_dead_keys() {
    let mut history = History { keyed: true, ..History::default() };
    for at in 0..crate::limits::LOGIN_WALK - 1 {
        let outcome =
            Outcome::Refused { code: 401, failure: plain(Kind::Unauthorized).into(), retry: Retry::default() };
        let (_, step) = history.on_outcome(&AccountId(at.to_string()), &outcome, NOW);
        assert!(matches!(step, Step::Again { to: NextAccount::Other, refresh: false, .. }), "{at}");
        assert_eq!(history.posts, 0);
    }
}
