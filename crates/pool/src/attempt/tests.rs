mod errors;

use proptest::prelude::*;
use rstest::rstest;

use super::*;

const NOW: Millis = Millis(1_800_000_000_000);

/// The page that Cloudflare puts before a backend which it guards.
const PAGE: &str = "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>_cf_chl_opt</body></html>";

fn id(name: &str) -> AccountId {
    AccountId(name.into())
}

fn status(code: u16, body: &str) -> Outcome {
    Outcome::Status { code, body: Bytes::copy_from_slice(body.as_bytes()), retry: Retry::default() }
}

fn with(code: u16, body: &str, headers: &[(&str, &str)]) -> Outcome {
    let retry = Retry::from_headers(headers.iter().copied(), NOW);
    Outcome::Status { code, body: Bytes::copy_from_slice(body.as_bytes()), retry }
}

fn body_with_code(code: &str) -> String {
    format!(r#"{{"error":{{"message":"said so","type":"invalid_request_error","code":"{code}","param":null}}}}"#)
}

fn early(kind: Kind, code: Option<&str>, message: &str) -> Outcome {
    Outcome::EarlyFail(Failure { code: code.map(str::to_owned), ..Failure::new(kind, message) })
}

fn trouble(kind: TroubleKind) -> Trouble {
    Trouble { kind, message: "it broke".into() }
}

fn unsent() -> Outcome {
    Outcome::trouble(Sent::No, trouble(TroubleKind::Connect))
}

fn maybe(kind: TroubleKind) -> Outcome {
    Outcome::trouble(Sent::Maybe, trouble(kind))
}

fn cool(seconds: i64) -> Mark {
    Mark::Cool(seconds)
}

fn exhausted(window: &'static str, seconds: i64) -> Mark {
    Mark::Exhausted(window, seconds)
}

/// A signal without its words.
#[derive(Debug, PartialEq)]
enum Mark {
    Nothing,
    NeedsLogin,
    Cool(i64),
    Exhausted(&'static str, i64),
    Block,
    NoModel,
    ModelLimit(&'static str, i64),
}

fn is(mark: &Mark, signal: &Signal) -> bool {
    let after = |until: &Millis| (until.0 - NOW.0) / 1000;
    match signal {
        Signal::None => *mark == Mark::Nothing,
        Signal::NeedsLogin { .. } => *mark == Mark::NeedsLogin,
        Signal::Cool { until, .. } => *mark == Mark::Cool(after(until)),
        Signal::Exhaust { until, window } => {
            matches!(mark, Mark::Exhausted(name, seconds) if name == window && *seconds == after(until))
        }
        Signal::Block { .. } => *mark == Mark::Block,
        Signal::ModelMissing => *mark == Mark::NoModel,
        Signal::ModelExhausted { until, limit } => {
            matches!(mark, Mark::ModelLimit(name, seconds) if name == limit && *seconds == after(until))
        }
        Signal::Expiring { .. } | Signal::Measured { .. } | Signal::Served | Signal::Ample | Signal::SignedIn => false,
    }
}

/// A step without its words.
#[derive(Debug, PartialEq)]
enum Then {
    Other,
    PreferOther,
    Refresh,
    Strip,
    Fail(Kind),
}

fn then(step: &Step) -> Then {
    match step {
        Step::Again { to: NextAccount::Other, refresh: false, strip_replay: false, .. } => Then::Other,
        Step::Again { to: NextAccount::PreferOther, refresh: false, strip_replay: false, .. } => Then::PreferOther,
        Step::Again { to: NextAccount::Same, refresh: true, strip_replay: false, .. } => Then::Refresh,
        Step::Again { to: NextAccount::Same, refresh: false, strip_replay: true, .. } => Then::Strip,
        Step::Fail(failure) => Then::Fail(failure.kind),
        Step::Again { .. } => panic!("no row of the table makes this step: {step:?}"),
    }
}

/// What the client is told if nothing else works.
fn client_failure(step: Step) -> Failure {
    match step {
        Step::Again { otherwise, .. } => otherwise,
        Step::Fail(failure) => failure,
    }
}

#[rstest]
// Nothing sent: another route or account, else the same.
#[case(unsent(), Mark::Nothing, Then::PreferOther, Kind::Upstream)]
#[case(Outcome::trouble(Sent::No, trouble(TroubleKind::Tls)), Mark::Nothing, Then::PreferOther, Kind::Upstream)]
#[case(Outcome::trouble(Sent::No, trouble(TroubleKind::Proxy)), Mark::Nothing, Then::PreferOther, Kind::Upstream)]
#[case(Outcome::trouble(Sent::No, trouble(TroubleKind::Closed)), Mark::Nothing, Then::PreferOther, Kind::Upstream)]
#[case(Outcome::trouble(Sent::No, trouble(TroubleKind::Timeout)), Mark::Nothing, Then::PreferOther, Kind::Timeout)]
// Sent, no status: never again.
#[case(maybe(TroubleKind::Cut), Mark::Nothing, Then::Fail(Kind::Upstream), Kind::Upstream)]
#[case(maybe(TroubleKind::Timeout), Mark::Nothing, Then::Fail(Kind::Timeout), Kind::Timeout)]
#[case(maybe(TroubleKind::Protocol), Mark::Nothing, Then::Fail(Kind::Upstream), Kind::Upstream)]
// 401: refresh. The client never sees a 401 that is about our accounts.
#[case(status(401, r#"{"detail":"Unauthorized"}"#), Mark::Nothing, Then::Refresh, Kind::Upstream)]
#[case(status(401, &body_with_code("token_expired")), Mark::Nothing, Then::Refresh, Kind::Upstream)]
#[case(status(401, &body_with_code("token_revoked")), Mark::Nothing, Then::Refresh, Kind::Upstream)]
#[case(status(401, ""), Mark::Nothing, Then::Refresh, Kind::Upstream)]
#[case(status(401, &body_with_code("account_deactivated")), Mark::Block, Then::Other, Kind::Upstream)]
// 402.
#[case(status(402, r#"{"detail":{"code":"deactivated_workspace"}}"#), Mark::Block, Then::Other, Kind::Upstream)]
#[case(status(402, r#"{"detail":"Payment required"}"#), exhausted("credits", 3600), Then::Other, Kind::Exhausted)]
// 403: a challenge, a ban, or a passing no.
#[case(status(403, PAGE), cool(30), Then::Other, Kind::Upstream)]
#[case(with(403, "{}", &[("CF-Mitigated", "challenge")]), cool(30), Then::Other, Kind::Upstream)]
#[case(status(403, &body_with_code("account_banned")), Mark::Block, Then::Other, Kind::Upstream)]
#[case(status(403, &body_with_code("account_suspended")), Mark::Block, Then::Other, Kind::Upstream)]
#[case(status(403, r#"{"detail":"Forbidden"}"#), cool(300), Then::Other, Kind::Upstream)]
#[case(status(403, &body_with_code("unsupported_country_region_territory")), cool(300), Then::Other, Kind::Upstream)]
// 404: empty is Cloudflare's path block, JSON is an answer.
#[case(status(404, ""), cool(30), Then::Other, Kind::Upstream)]
#[case(status(404, r#"{"detail":"Not Found"}"#), Mark::Nothing, Then::Fail(Kind::NotFound), Kind::NotFound)]
// 429.
#[case(status(429, r#"{"detail":"Too Many Requests"}"#), cool(60), Then::Other, Kind::RateLimited)]
#[case(with(429, "", &[("x-codex-rate-limit-reached-type", "")]), cool(60), Then::Other, Kind::RateLimited)]
#[case(with(429, "", &[("Retry-After", "7")]), cool(7), Then::Other, Kind::RateLimited)]
#[case(with(429, "", &[("retry-after", "0")]), cool(1), Then::Other, Kind::RateLimited)]
#[case(with(429, "", &[("retry-after", "Fri, 15 Jan 2027 08:01:00 GMT")]), cool(60), Then::Other, Kind::RateLimited)]
#[case(
    status(
        429,
        r#"{"error":{"type":"rate_limit_exceeded","message":"Rate limit reached. Please try again in 1.2s."}}"#
    ),
    cool(2),
    Then::Other,
    Kind::RateLimited
)]
#[case(
    status(
        429,
        r#"{"error":{"type":"usage_limit_reached","message":"m","resets_at":1777936568,"resets_in_seconds":13872}}"#
    ),
    exhausted("usage", 13872),
    Then::Other,
    Kind::Exhausted
)]
#[case(
    status(429, r#"{"error":{"type":"usage_limit_reached","message":"m","resets_at":1800000500}}"#),
    exhausted("usage", 500),
    Then::Other,
    Kind::Exhausted
)]
#[case(
    status(429, r#"{"error":{"type":"usage_limit_reached","message":"m","resets_at":9999999999}}"#),
    exhausted("usage", 31 * 86_400), Then::Other, Kind::Exhausted
)]
#[case(
    status(429, r#"{"error":{"type":"usage_limit_reached","message":"the reset has passed","resets_at":5}}"#),
    exhausted("usage", 60),
    Then::Other,
    Kind::Exhausted
)]
#[case(
    with(429, r#"{"error":{"type":"usage_limit_reached","message":"m"}}"#,
        &[("x-codex-secondary-used-percent", "100"), ("x-codex-secondary-reset-after-seconds", "900")]),
    exhausted("secondary", 900), Then::Other, Kind::Exhausted
)]
#[case(
    status(429, r#"{"error":{"type":"usage_not_included","message":"m"}}"#),
    exhausted("plan", 3600),
    Then::Other,
    Kind::Exhausted
)]
#[case(
    with(429, "{}", &[("x-codex-rate-limit-reached-type", "workspace_owner_credits_depleted")]),
    exhausted("credits", 3600), Then::Other, Kind::Exhausted
)]
// The limit of one model: its own reset counts, and credits or the plan are still the account's.
#[case(
    with(429, r#"{"error":{"type":"usage_limit_reached","message":"m"}}"#,
        &[("x-codex-active-limit", "codex_bengalfox"), ("x-codex-bengalfox-primary-used-percent", "100"),
          ("x-codex-bengalfox-primary-reset-after-seconds", "900"), ("x-codex-primary-used-percent", "100"),
          ("x-codex-primary-reset-after-seconds", "50")]),
    Mark::ModelLimit("codex_bengalfox", 900), Then::Other, Kind::Exhausted
)]
#[case(
    with(429, r#"{"error":{"type":"usage_limit_reached","message":"m","resets_in_seconds":70}}"#,
        &[("X-Codex-Active-Limit", "codex-bengalfox")]),
    Mark::ModelLimit("codex_bengalfox", 70), Then::Other, Kind::Exhausted
)]
#[case(
    with(429, r#"{"error":{"type":"usage_limit_reached","message":"m","resets_in_seconds":70}}"#,
        &[("x-codex-active-limit", "premium")]),
    exhausted("usage", 70), Then::Other, Kind::Exhausted
)]
#[case(
    with(429, r#"{"error":{"type":"usage_not_included","message":"m"}}"#, &[("x-codex-active-limit", "codex_bengalfox")]),
    exhausted("plan", 3600), Then::Other, Kind::Exhausted
)]
#[case(
    with(429, r#"{"detail":"Too Many Requests"}"#, &[("x-codex-active-limit", "codex_bengalfox")]),
    cool(60), Then::Other, Kind::RateLimited
)]
// The model is not the account's.
#[case(
    status(400, r#"{"detail":"The 'gpt-5.1-codex' model is not supported when using Codex with a ChatGPT account."}"#),
    Mark::NoModel,
    Then::Other,
    Kind::ModelNotFound
)]
#[case(status(404, r#"{"detail":"Model not found gpt-6-sol"}"#), Mark::NoModel, Then::Other, Kind::ModelNotFound)]
#[case(status(400, &body_with_code("model_not_supported")), Mark::NoModel, Then::Other, Kind::ModelNotFound)]
// 500, 502, 503, 504, whatever code they carry.
#[case(status(500, &body_with_code("server_error")), Mark::Nothing, Then::PreferOther, Kind::Upstream)]
#[case(status(500, &body_with_code("usage_limit_reached")), Mark::Nothing, Then::PreferOther, Kind::Upstream)]
#[case(status(502, PAGE), Mark::Nothing, Then::PreferOther, Kind::Upstream)]
#[case(status(503, &body_with_code("server_is_overloaded")), Mark::Nothing, Then::PreferOther, Kind::Overloaded)]
#[case(status(504, ""), Mark::Nothing, Then::PreferOther, Kind::Timeout)]
#[case(status(501, ""), Mark::Nothing, Then::Fail(Kind::Upstream), Kind::Upstream)]
#[case(status(302, ""), Mark::Nothing, Then::Fail(Kind::Upstream), Kind::Upstream)]
// State of an earlier reply.
#[case(status(400, &body_with_code("previous_response_not_found")), Mark::Nothing, Then::Strip, Kind::Invalid)]
#[case(status(400, &body_with_code("invalid_encrypted_content")), Mark::Nothing, Then::Strip, Kind::Invalid)]
#[case(
    status(400, r#"{"error":{"message":"The encrypted content gAAA could not be verified."}}"#),
    Mark::Nothing,
    Then::Strip,
    Kind::Invalid
)]
// Other 4xx are the client's.
#[case(
    status(400, r#"{"detail":"Unsupported parameter: top_p"}"#),
    Mark::Nothing,
    Then::Fail(Kind::Invalid),
    Kind::Invalid
)]
#[case(status(400, &body_with_code("server_error")), Mark::Nothing, Then::Fail(Kind::Invalid), Kind::Invalid)]
#[case(status(400, &body_with_code("context_length_exceeded")), Mark::Nothing, Then::Fail(Kind::ContextLength), Kind::ContextLength)]
#[case(status(400, &body_with_code("cyber_policy")), Mark::Nothing, Then::Fail(Kind::Filtered), Kind::Filtered)]
#[case(status(413, PAGE), Mark::Nothing, Then::Fail(Kind::TooLarge), Kind::TooLarge)]
#[case(status(415, ""), Mark::Nothing, Then::Fail(Kind::Unsupported), Kind::Unsupported)]
#[case(
    status(422, r#"{"detail":[{"loc":["body"],"msg":"bad"}]}"#),
    Mark::Nothing,
    Then::Fail(Kind::Invalid),
    Kind::Invalid
)]
// Failure events before the first real one follow the same rows.
#[case(early(Kind::Upstream, Some("server_error"), "m"), Mark::Nothing, Then::PreferOther, Kind::Upstream)]
#[case(early(Kind::Upstream, None, "m"), Mark::Nothing, Then::PreferOther, Kind::Upstream)]
#[case(early(Kind::Overloaded, Some("server_is_overloaded"), "m"), Mark::Nothing, Then::PreferOther, Kind::Overloaded)]
#[case(early(Kind::Upstream, Some("slow_down"), "m"), Mark::Nothing, Then::PreferOther, Kind::Overloaded)]
#[case(
    early(Kind::RateLimited, Some("rate_limit_exceeded"), "try again in 11.054s"),
    cool(12),
    Then::Other,
    Kind::RateLimited
)]
#[case(early(Kind::RateLimited, None, "try again in 350 ms"), cool(1), Then::Other, Kind::RateLimited)]
#[case(early(Kind::Exhausted, Some("usage_limit_reached"), "m"), exhausted("usage", 60), Then::Other, Kind::Exhausted)]
#[case(
    early(Kind::Upstream, Some("insufficient_quota"), "m"),
    exhausted("credits", 3600),
    Then::Other,
    Kind::Exhausted
)]
#[case(early(Kind::Upstream, Some("usage_not_included"), "m"), exhausted("plan", 3600), Then::Other, Kind::Exhausted)]
#[case(
    early(Kind::ContextLength, Some("context_length_exceeded"), "m"),
    Mark::Nothing,
    Then::Fail(Kind::ContextLength),
    Kind::ContextLength
)]
#[case(early(Kind::Upstream, Some("invalid_prompt"), "m"), Mark::Nothing, Then::Fail(Kind::Invalid), Kind::Invalid)]
#[case(early(Kind::Invalid, Some("invalid_encrypted_content"), "m"), Mark::Nothing, Then::Strip, Kind::Invalid)]
#[case(early(Kind::Upstream, Some("token_expired"), "m"), Mark::Nothing, Then::Refresh, Kind::Upstream)]
fn the_first_try_comes_to(#[case] outcome: Outcome, #[case] mark: Mark, #[case] step: Then, #[case] kind: Kind) {
    let (signal, next) = History::default().on_outcome(&id("a"), &outcome, NOW);
    assert!(is(&mark, &signal), "{signal:?} is not {mark:?}");
    assert_eq!(then(&next), step);
    assert_eq!(client_failure(next).kind, kind);
}

/// A whole request: who was tried with what, and what came of each.
#[rstest]
#[case::one_more_attempt(&[("a", status(500, ""), Then::PreferOther), ("b", status(500, ""), Then::Fail(Kind::Upstream))])]
#[case::same_account_when_alone(&[("a", status(502, ""), Then::PreferOther), ("a", status(502, ""), Then::Fail(Kind::Upstream))])]
#[case::refusals_count(&[("a", status(429, ""), Then::Other), ("b", status(429, ""), Then::Fail(Kind::RateLimited))])]
#[case::refusal_then_trouble(&[("a", status(403, PAGE), Then::Other), ("b", status(503, ""), Then::Fail(Kind::Overloaded))])]
#[case::unsent_is_no_post(&[
    ("a", unsent(), Then::PreferOther),
    ("b", status(500, ""), Then::PreferOther),
    ("c", status(500, ""), Then::Fail(Kind::Upstream)),
])]
#[case::unsent_once(&[("a", unsent(), Then::PreferOther), ("a", unsent(), Then::Fail(Kind::Upstream))])]
#[case::a_401_is_outside_the_cap(&[
    ("a", status(401, ""), Then::Refresh),
    ("a", status(500, ""), Then::PreferOther),
    ("b", status(500, ""), Then::Fail(Kind::Upstream)),
])]
#[case::so_is_a_late_one(&[
    ("a", status(500, ""), Then::PreferOther),
    ("b", status(401, ""), Then::Refresh),
    ("b", status(429, ""), Then::Fail(Kind::RateLimited)),
])]
#[case::dead_login_is_outside_the_cap(&[
    ("a", status(401, ""), Then::Refresh),
    ("a", status(401, ""), Then::Other),
    ("b", status(500, ""), Then::PreferOther),
    ("c", status(500, ""), Then::Fail(Kind::Upstream)),
])]
#[case::each_account_has_its_refresh(&[
    ("a", status(401, ""), Then::Refresh),
    ("a", status(401, ""), Then::Other),
    ("b", status(401, ""), Then::Refresh),
    ("b", status(401, ""), Then::Other),
])]
#[case::a_dead_login_forgives_only_its_own(&[
    ("a", status(500, ""), Then::PreferOther),
    ("a", status(401, ""), Then::Refresh),
    ("a", status(401, ""), Then::Other),
    ("b", status(500, ""), Then::Fail(Kind::Upstream)),
])]
#[case::no_refresh_late(&[
    ("a", status(429, ""), Then::Other),
    ("b", status(401, ""), Then::Refresh),
    ("b", Outcome::NotRefreshed { lasting: false, why: "busy".into() }, Then::Other),
    ("c", status(500, ""), Then::Fail(Kind::Upstream)),
])]
#[case::no_refresh(&[
    ("a", status(401, ""), Then::Refresh),
    ("a", Outcome::NotRefreshed { lasting: true, why: "reused".into() }, Then::Other),
    ("b", status(429, ""), Then::Other),
    ("c", status(429, ""), Then::Fail(Kind::RateLimited)),
])]
#[case::stripped_once(&[
    ("a", status(400, &body_with_code("invalid_encrypted_content")), Then::Strip),
    ("a", status(400, &body_with_code("invalid_encrypted_content")), Then::Fail(Kind::Invalid)),
])]
#[case::strip_needs_a_post(&[
    ("a", status(429, ""), Then::Other),
    ("b", status(400, &body_with_code("invalid_encrypted_content")), Then::Fail(Kind::Invalid)),
])]
#[case::never_after_maybe(&[("a", status(503, ""), Then::PreferOther), ("b", maybe(TroubleKind::Cut), Then::Fail(Kind::Upstream))])]
fn a_request_goes(#[case] tries: &[(&str, Outcome, Then)]) {
    let mut history = History::default();
    for (account, outcome, expected) in tries {
        let (_, step) = history.on_outcome(&id(account), outcome, NOW);
        assert_eq!(then(&step), *expected, "{account}: {outcome:?}");
    }
}

/// Tokens of somebody else that are refused too are no verdict; our own are.
#[test]
fn a_401_of_adopted_tokens_is_not_the_last() {
    let (mut history, no) = (History::default(), status(401, r#"{"detail":"Unauthorized"}"#));
    for last in [false, false, true] {
        let (signal, step) = history.on_outcome(&id("a"), &no, NOW);
        let again = matches!(step, Step::Again { to: NextAccount::Same, refresh: true, .. });
        let verdict = matches!(signal, Signal::NeedsLogin { .. });
        assert_eq!((again, verdict), (!last, last));
        if !last {
            history.allow_another_refresh();
        }
    }
}

#[test]
fn a_second_401_signs_the_account_out() {
    let mut history = History::default();
    history.on_outcome(&id("a"), &status(401, ""), NOW);
    assert!(history.refreshed && history.posts == 0);
    let (signal, _) = history.on_outcome(&id("a"), &status(401, &body_with_code("token_invalidated")), NOW);
    assert_eq!(signal, Signal::NeedsLogin { why: "the upstream refused the account's login: said so".into() });
    assert_eq!(history.posts, 0);
    assert_eq!(history.tried, [id("a")]);
}

#[rstest]
#[case(true, Mark::NeedsLogin)]
#[case(false, Mark::Cool(60))]
fn a_failed_refresh_marks_the_account(#[case] lasting: bool, #[case] mark: Mark) {
    let mut history = History::default();
    history.on_outcome(&id("a"), &status(401, ""), NOW);
    let outcome = Outcome::NotRefreshed { lasting, why: "invalid_grant".into() };
    let (signal, step) = history.on_outcome(&id("a"), &outcome, NOW);
    assert!(is(&mark, &signal), "{signal:?}");
    assert_eq!((then(&step), history.posts), (Then::Other, 0));
}

#[test]
fn an_outage_that_refuses_every_login_ends() {
    let mut history = History::default();
    let walked = (0..100).take_while(|n| {
        let account = id(&n.to_string());
        let _ = history.on_outcome(&account, &status(401, ""), NOW);
        matches!(history.on_outcome(&account, &status(401, ""), NOW).1, Step::Again { .. })
    });
    assert_eq!(walked.count() + 1, limits::LOGIN_WALK);
}

#[test]
fn a_usage_limit_has_its_end() {
    let body = r#"{"error":{"type":"usage_limit_reached","message":"The usage limit has been reached","plan_type":"plus",
        "resets_at":1777936568,"resets_in_seconds":13872,"eligible_promo":null}}"#;
    let (_, step) = History::default().on_outcome(&id("a"), &status(429, body), NOW);
    let failure = client_failure(step);
    assert_eq!(failure.message, "The usage limit has been reached");
    assert_eq!(failure.code.as_deref(), Some("usage_limit_reached"));
    assert_eq!((failure.retry_after, failure.resets_at), (Some(13_872), Some(1_800_013_872)));
}

#[rstest]
#[case(r#"{"error":{"message":"m","code":"c","param":"input[3]"}}"#, "m", Some("c"), Some("input[3]"))]
#[case(r#"{"error":"plain words"}"#, "plain words", None, None)]
#[case(r#"{"detail":"plain words"}"#, "plain words", None, None)]
#[case(r#"{"detail":{"message":"m","code":"c"}}"#, "m", Some("c"), None)]
#[case(r#"{"error":null,"detail":"second"}"#, "second", None, None)]
#[case(r#"{"message":"bare","type":"invalid_request_error"}"#, "bare", None, None)]
#[case(r#"{"detail":[{"msg":"bad"}]}"#, r#"[{"msg":"bad"}]"#, None, None)]
#[case("upstream connect error", "upstream connect error", None, None)]
#[case("a\r\nb\u{0}c", "a  b c", None, None)]
#[case("", "the upstream answered 400 without an explanation", None, None)]
#[case("{}", "the upstream answered 400 without an explanation", None, None)]
#[case(
    r#"{"detail":{"code":"no_such_thing"}}"#,
    "the upstream answered 400: no_such_thing",
    Some("no_such_thing"),
    None
)]
#[case(PAGE, "the upstream answered 400 with an HTML page", None, None)]
#[case(
    r#"{"detail":"sent Bearer eyJhbGciOiJub25lIn0.eyJhIjoxfQ.c2ln, refused"}"#,
    "sent Bearer ***, refused",
    None,
    None
)]
fn a_refusal_keeps_its_message(
    #[case] body: &str,
    #[case] message: &str,
    #[case] code: Option<&str>,
    #[case] param: Option<&str>,
) {
    let failure = client_failure(next(&status(400, body), &History::default(), NOW).1);
    assert_eq!((failure.message.as_str(), failure.code.as_deref()), (message, code));
    assert_eq!(failure.param.as_deref(), param);
}

#[test]
fn a_long_refusal_is_cut_at_a_character() {
    let failure = client_failure(next(&status(400, &"ü".repeat(9999)), &History::default(), NOW).1);
    assert_eq!(failure.message.len(), limits::MESSAGE);
}

#[test]
fn the_words_of_an_event_are_cleaned_like_those_of_a_body() {
    let failure = Failure::new(Kind::Invalid, "a\r\nb").code("c\r\nx-evil: 1").at("p".repeat(9999));
    let failure = client_failure(next(&Outcome::EarlyFail(failure), &History::default(), NOW).1);
    assert_eq!((failure.message.as_str(), failure.code.as_deref()), ("a  b", Some("c  x-evil: 1")));
    assert_eq!(failure.param.map(|param| param.len()), Some(128));
}

#[rstest]
#[case("120", Some(120))]
#[case(" 1.2 ", Some(2))]
#[case("99999999999", Some(31 * 86_400))]
#[case("Fri, 15 Jan 2027 08:00:30 GMT", Some(30))]
#[case("Sun, 06 Nov 1994 08:49:37 GMT", Some(0))]
#[case("Thu, 29 Feb 2029 00:00:00 GMT", Some(31 * 86_400))]
#[case("-5", None)]
#[case("soon", None)]
#[case("Fri, 15 Jan 2027 08:00:30 CET", None)]
#[case("Fri, 15 Foo 2027 08:00:30 GMT", None)]
fn retry_after_is_read(#[case] value: &str, #[case] seconds: Option<u64>) {
    assert_eq!(Retry::from_headers([("Retry-After", value)].into_iter(), NOW).after, seconds);
}

#[rstest]
#[case(with(429, "{}", &[]), 90)]
#[case(with(429, "{}", &[("retry-after", "7")]), 7)]
#[case(early(Kind::RateLimited, None, "slow down"), 90)]
#[case(status(403, r#"{"detail":"Forbidden"}"#), 300)]
fn the_owners_rest_applies_without_a_retry_time(#[case] outcome: Outcome, #[case] seconds: i64) {
    let history = History { rest: Some(Duration::from_secs(90)), ..History::default() };
    let (signal, _) = next(&outcome, &history, NOW);
    assert!(is(&cool(seconds), &signal), "{signal:?}");
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    let kinds = [TroubleKind::Connect, TroubleKind::Cut, TroubleKind::Timeout];
    let code = prop::sample::select(vec![302_u16, 400, 401, 402, 403, 404, 413, 429, 500, 502, 503, 504, 520]);
    let codes =
        ["", "usage_limit_reached", "invalid_encrypted_content", "model_not_found", "account_banned", "token_expired"];
    let codes = prop::sample::select(codes.to_vec());
    prop_oneof![
        prop::sample::select(kinds.to_vec()).prop_map(|kind| Outcome::trouble(Sent::No, trouble(kind))),
        prop::sample::select(kinds.to_vec()).prop_map(|kind| Outcome::trouble(Sent::Maybe, trouble(kind))),
        (code, codes.clone()).prop_map(|(status, code)| super::tests::status(status, &body_with_code(code))),
        codes.prop_map(|code| early(Kind::Upstream, Some(code), "m")),
        any::<bool>().prop_map(|lasting| Outcome::NotRefreshed { lasting, why: "w".into() }),
    ]
}

proptest! {
    /// Whatever comes, a request ends, with at most two POSTs that were not refused for a dead login.
    #[test]
    fn a_request_ends_within_its_cap(outcomes in proptest::collection::vec(any_outcome(), 200)) {
        let mut history = History::default();
        let (mut account, mut refreshing) = (0, false);
        let mut tries = 0;
        for outcome in outcomes {
            if !refreshing && matches!(outcome, Outcome::NotRefreshed { .. }) {
                continue;
            }
            tries += 1;
            let (_, step) = history.on_outcome(&id(&account.to_string()), &outcome, NOW);
            prop_assert!(history.posts <= limits::MODEL_POSTS);
            let Step::Again { to, refresh, .. } = step else { return Ok(()) };
            refreshing = refresh;
            account += i32::from(to != NextAccount::Same);
        }
        prop_assert!(tries < 40, "{} tries", tries);
    }

    #[test]
    fn no_body_panics(code in 100_u16..600, body in proptest::collection::vec(any::<u8>(), 0..300), text in ".{0,80}") {
        for body in [Bytes::from(body), Bytes::from(format!("{{\"error\":{{\"message\":\"try again in {text}\"}}}}"))] {
            let outcome = Outcome::Status { code, body, retry: Retry::default() };
            prop_assert!(client_failure(next(&outcome, &History::default(), NOW).1).message.len() <= limits::MESSAGE + 64);
        }
        let _ = Retry::from_headers([("retry-after", text.as_str())].into_iter(), NOW);
    }
}

#[rstest]
#[case(Kind::RateLimited, true)]
#[case(Kind::Exhausted, true)]
#[case(Kind::Overloaded, true)]
#[case(Kind::Upstream, true)]
#[case(Kind::NoAccount, true)]
#[case(Kind::ModelNotFound, true)]
#[case(Kind::Invalid, false)]
#[case(Kind::ContextLength, false)]
#[case(Kind::Filtered, false)]
#[case(Kind::TooLarge, false)]
fn another_model_heals_what_is_not_the_requests_fault(#[case] kind: Kind, #[case] may: bool) {
    let failure = Failure::new(kind, "no");
    let once = History { posts: 1, ..History::default() };
    assert_eq!(once.may_fall_back(&failure), may);
    assert!(!History { posts: 2, ..History::default() }.may_fall_back(&failure), "two calls are the most");
    assert!(!History { lost: true, ..once }.may_fall_back(&failure), "the answer may have been paid for");
}

#[test]
fn a_fallback_resets_the_tried_accounts_and_keeps_the_posts() {
    let mut history = History { keyed: false, rest: Some(Duration::from_secs(9)), ..History::default() };
    let refusal = Outcome::Status { code: 500, body: Bytes::new(), retry: Retry::default() };
    history.on_outcome(&AccountId("a".into()), &refusal, Millis(0));
    let fallback = history.for_fallback(true);
    assert_eq!((fallback.posts, fallback.keyed, fallback.rest), (1, true, history.rest));
    assert!(fallback.tried.is_empty() && !history.lost);
    let cut = Outcome::NoStatus { cause: Trouble { kind: TroubleKind::Cut, message: "cut".into() } };
    history.on_outcome(&AccountId("a".into()), &cut, Millis(0));
    assert!(history.lost);
}

#[rstest]
#[case(Outcome::NotSent { cause: Trouble { kind: TroubleKind::Connect, message: String::new() } }, Some(false), false)]
#[case(Outcome::Status { code: 503, body: Bytes::new(), retry: Retry::default() }, Some(false), true)]
#[case(Outcome::Status { code: 429, body: Bytes::new(), retry: Retry::default() }, Some(true), true)]
#[case(Outcome::Status { code: 401, body: Bytes::new(), retry: Retry::default() }, Some(true), false)]
#[case(Outcome::EarlyFail(Failure::new(Kind::Overloaded, "")), Some(false), true)]
#[case(Outcome::EarlyFail(Failure::new(Kind::Exhausted, "")), Some(true), true)]
#[case(Outcome::NotRefreshed { lasting: false, why: String::new() }, None, false)]
fn outcomes_count_for_the_breaker_and_cost_posts(
    #[case] outcome: Outcome,
    #[case] works: Option<bool>,
    #[case] costs: bool,
) {
    assert_eq!(outcome.proves_working(), works);
    let (_, step) = History::default().on_outcome(&AccountId("a".into()), &outcome, Millis(0));
    assert!(matches!(step, Step::Again { .. }));
    assert_eq!(outcome.spends_budget(&step), costs);
}

/// Other models walk no further: an outage that answers 401 to everybody signs out no more accounts for a chain.
#[test]
fn a_chain_does_not_walk_again() {
    let tried = (0..limits::LOGIN_WALK).map(|n| id(&n.to_string())).collect();
    let over = History { tried, ..History::default() };
    let next = over.for_fallback(false);
    assert!(next.tried.is_empty() && !next.may_skip_dead_login());
    let some = History { tried: vec![id("a")], ..History::default() };
    assert!(some.for_fallback(false).for_fallback(true).may_skip_dead_login());
    let dead = Outcome::NotRefreshed { lasting: true, why: "revoked".into() };
    assert!(matches!(next_step(&dead, &next), Step::Fail(_)));
}

fn next_step(outcome: &Outcome, history: &History) -> Step {
    next(outcome, history, NOW).1
}

/// A turn that a waiting socket did not take is sent once more to the same account. It counts as a model request, the second calls'
/// budget pays for it, and what both sends came to is given to the client.
#[test]
fn a_stale_connection_is_one_more_model_request() {
    let stale = || Outcome::Stale { cause: trouble(TroubleKind::Cut) };
    let mut history = History::default();
    let (signal, step) = history.on_outcome(&id("a"), &stale(), NOW);
    let again = matches!(&step, Step::Again { to: NextAccount::Same, refresh: false, strip_replay: false, .. });
    assert!(again && signal == Signal::None, "{step:?}");
    assert!(stale().spends_budget(&step));
    assert_eq!((history.posts, history.lost), (1, false));
    assert_eq!(stale().proves_working(), None, "an old socket says nothing about the account");
    let (_, step) = history.on_outcome(&id("a"), &stale(), NOW);
    assert!(matches!(&step, Step::Fail(failure) if failure.kind == Kind::Upstream), "{step:?}");
    assert!(!stale().spends_budget(&step));
    assert_eq!(history.posts, limits::MODEL_POSTS);
}

/// After the second send no other account is asked, whatever it was told.
#[test]
fn a_refusal_after_a_stale_connection_is_final() {
    let mut history = History::default();
    history.on_outcome(&id("a"), &Outcome::Stale { cause: trouble(TroubleKind::Cut) }, NOW);
    let (_, step) = history.on_outcome(&id("a"), &status(503, ""), NOW);
    assert!(matches!(step, Step::Fail(_)), "{step:?}");
}

/// The words of a limit mean the same as in `proto`: from one second to a day.
#[rstest]
#[case("try again in 0s", 1)]
#[case("try again in 1.2s", 2)]
#[case("try again in 900000s", 86_400)]
fn a_wait_in_words_has_one_reading(#[case] message: &str, #[case] seconds: i64) {
    let (signal, _) = next(&early(Kind::RateLimited, None, message), &History::default(), NOW);
    assert!(matches!(signal, Signal::Cool { until, .. } if until == NOW.plus(seconds * 1000)), "{signal:?}");
    assert_eq!(
        proto::upstream_error::bounds::try_again(message).and_then(|wait| i64::try_from(wait).ok()),
        Some(seconds)
    );
}
