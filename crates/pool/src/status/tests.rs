use proptest::prelude::*;
use rstest::rstest;

use super::*;

const NOW: Millis = Millis(1_800_000_000_000);
const DAY: i64 = 86_400_000;

fn cooling(after: i64) -> Status {
    Status::Cooling { until: NOW.plus(after), why: "429".into() }
}

fn exhausted(after: i64) -> Status {
    Status::Exhausted { until: NOW.plus(after), window: "primary".into() }
}

fn needs_login() -> Status {
    Status::NeedsLogin { why: "revoked".into() }
}

/// From an instant on, until its token ends in ten days.
fn expiring(after: i64) -> Status {
    Status::Expiring { why: "reused".into(), from: NOW.plus(after), until: NOW.plus(10 * DAY) }
}

fn expire() -> Signal {
    Signal::Expiring { why: "reused".into(), until: NOW.plus(10 * DAY) }
}

fn blocked() -> Status {
    Status::Blocked { why: "deactivated".into() }
}

fn cool(after: i64) -> Signal {
    Signal::Cool { until: NOW.plus(after), why: "429".into() }
}

fn exhaust(after: i64) -> Signal {
    Signal::Exhaust { until: NOW.plus(after), window: "primary".into() }
}

fn measured(after: i64) -> Signal {
    Signal::Measured { until: NOW.plus(after), window: "primary".into() }
}

fn lost() -> Signal {
    Signal::NeedsLogin { why: "revoked".into() }
}

fn block() -> Signal {
    Signal::Block { why: "deactivated".into() }
}

#[rstest]
#[case(Status::Active, false)]
#[case(cooling(60_000), false)]
#[case(exhausted(DAY), false)]
#[case(expiring(0), false)]
#[case(needs_login(), true)]
#[case(blocked(), true)]
#[case(Status::Disabled, true)]
fn only_a_person_ends(#[case] status: Status, #[case] lasts: bool) {
    assert_eq!(status.needs_person(), lasts);
}

#[rstest]
// From active.
#[case(Status::Active, Signal::None, Status::Active)]
#[case(Status::Active, Signal::ModelMissing, Status::Active)]
#[case(Status::Active, Signal::Served, Status::Active)]
#[case(Status::Active, cool(60_000), cooling(60_000))]
#[case(Status::Active, exhaust(DAY), exhausted(DAY))]
#[case(Status::Active, lost(), needs_login())]
#[case(Status::Active, block(), blocked())]
// A late answer ends no rest, the end of its time does.
#[case(cooling(60_000), Signal::Served, cooling(60_000))]
#[case(exhausted(DAY), Signal::Served, exhausted(DAY))]
#[case(cooling(0), Signal::Served, Status::Active)]
#[case(exhausted(-1), Signal::Served, Status::Active)]
// Healing.
#[case(exhausted(DAY), Signal::Ample, Status::Active)]
#[case(cooling(60_000), Signal::Ample, cooling(60_000))]
#[case(needs_login(), Signal::SignedIn, Status::Active)]
#[case(blocked(), Signal::SignedIn, Status::Active)]
#[case(cooling(60_000), Signal::SignedIn, Status::Active)]
#[case(exhausted(DAY), Signal::SignedIn, exhausted(DAY))]
// Of two rests the later end wins, a rest that is over counts for nothing.
#[case(exhausted(DAY), exhaust(1000), exhausted(DAY))]
#[case(exhausted(1000), exhaust(DAY), exhausted(DAY))]
// Newer figures know better than a refusal, and nothing of a rate limit.
#[case(exhausted(DAY), measured(1000), exhausted(1000))]
#[case(exhausted(1000), measured(400 * DAY), exhausted(31 * DAY))]
#[case(cooling(DAY), measured(1000), cooling(DAY))]
#[case(Status::Active, measured(1000), exhausted(1000))]
#[case(blocked(), measured(1000), blocked())]
#[case(exhausted(DAY), cool(60_000), exhausted(DAY))]
#[case(cooling(60_000), exhaust(DAY), exhausted(DAY))]
#[case(cooling(-1), exhaust(1000), exhausted(1000))]
#[case(cooling(60 * DAY), cool(1000), cooling(1000))]
// No provider signal brings back who must sign in, is blocked or switched off; worse news still count.
#[case(needs_login(), Signal::Served, needs_login())]
#[case(needs_login(), Signal::Ample, needs_login())]
#[case(needs_login(), cool(1000), needs_login())]
#[case(needs_login(), exhaust(1000), needs_login())]
#[case(needs_login(), block(), blocked())]
#[case(blocked(), lost(), blocked())]
#[case(blocked(), Signal::Served, blocked())]
#[case(blocked(), Signal::Ample, blocked())]
#[case(Status::Disabled, Signal::Served, Status::Disabled)]
#[case(Status::Disabled, Signal::SignedIn, Status::Disabled)]
#[case(Status::Disabled, block(), Status::Disabled)]
// A lost login serves as long as its access token does; it takes rests, and ends at a refusal or a login.
#[case(Status::Active, expire(), expiring(0))]
#[case(cooling(60_000), expire(), expiring(60_000))]
#[case(needs_login(), expire(), needs_login())]
#[case(expiring(0), Signal::Served, expiring(0))]
#[case(expiring(0), Signal::Ample, expiring(0))]
#[case(expiring(0), cool(1000), expiring(1000))]
#[case(expiring(5000), exhaust(1000), expiring(5000))]
#[case(expiring(0), measured(400 * DAY), expiring(31 * DAY))]
#[case(expiring(0), lost(), needs_login())]
#[case(expiring(0), block(), blocked())]
#[case(expiring(0), Signal::SignedIn, Status::Active)]
#[case(Status::Disabled, expire(), Status::Disabled)]
// A reset is believed up to 31 days.
#[case(Status::Active, exhaust(400 * DAY), exhausted(31 * DAY))]
#[case(Status::Active, cool(i64::MAX), cooling(31 * DAY))]
fn a_signal_moves_a_state(#[case] from: Status, #[case] signal: Signal, #[case] to: Status) {
    assert_eq!(from.apply(&signal, NOW), to);
}

#[rstest]
#[case(Status::Active, None)]
#[case(cooling(0), None)]
#[case(cooling(-DAY), None)]
#[case(cooling(1), Some("cooling down for 1 s: 429"))]
#[case(cooling(90_000), Some("cooling down for 1 min 30 s: 429"))]
#[case(exhausted(2 * 3_600_000 + 5 * 60_000), Some("primary quota used up, resets in 2 h 5 min"))]
#[case(exhausted(3 * DAY), Some("primary quota used up, resets in 3 d 0 h"))]
#[case(exhausted(-1), None)]
// An end that nobody could have set: the clock went back.
#[case(exhausted(3650 * DAY), None)]
#[case(needs_login(), Some("needs a new login: revoked"))]
#[case(expiring(0), None)]
#[case(expiring(90_000), Some("cooling down for 1 min 30 s: it rests, and needs a new login: reused"))]
#[case(Status::Expiring { why: "reused".into(), from: NOW, until: NOW }, Some("needs a new login: reused"))]
#[case(blocked(), Some("blocked by the provider: deactivated"))]
#[case(Status::Disabled, Some("switched off"))]
fn a_state_has_the_reason_why_it_does_not_serve(#[case] status: Status, #[case] words: Option<&str>) {
    assert_eq!(status.usable(NOW).err().map(|reason| reason.describe(NOW)).as_deref(), words);
    assert_eq!(status.serves(NOW), words.is_none());
}

#[test]
fn states_are_stored_as_json() {
    for status in [Status::Active, cooling(1), exhausted(1), expiring(1), needs_login(), blocked(), Status::Disabled] {
        let text = serde_json::to_string(&status).unwrap();
        assert!(text.contains(&format!("\"state\":\"{}\"", status.as_str())), "{text}");
        assert_eq!(serde_json::from_str::<Status>(&text).unwrap(), status);
    }
}

fn any_signal() -> impl Strategy<Value = Signal> {
    let until = any::<i64>().prop_map(Millis);
    prop_oneof![
        Just(Signal::None),
        Just(Signal::Served),
        Just(Signal::Ample),
        Just(Signal::ModelMissing),
        Just(Signal::ModelExhausted { until: NOW, limit: "codex_x".into() }),
        ".{0,8}".prop_map(|why| Signal::NeedsLogin { why }),
        ".{0,8}".prop_map(|why| Signal::Block { why }),
        (until.clone(), ".{0,8}").prop_map(|(until, why)| Signal::Cool { until, why }),
        (until.clone(), ".{0,8}").prop_map(|(until, window)| Signal::Exhaust { until, window }),
        (until, ".{0,8}").prop_map(|(until, window)| Signal::Measured { until, window }),
    ]
}

proptest! {
    #[test]
    fn no_provider_signal_heals_a_lasting_state(signals in proptest::collection::vec(any_signal(), 0..12), now: i64) {
        for first in [blocked(), Status::Disabled] {
            let last = signals.iter().fold(first.clone(), |status, signal| status.apply(signal, Millis(now)));
            prop_assert_eq!(last, first);
        }
        let last = signals.iter().fold(needs_login(), |status, signal| status.apply(signal, Millis(now)));
        prop_assert!(["needs_login", "blocked"].contains(&last.as_str()));
    }

    #[test]
    fn no_rest_outlasts_the_clamp(signals in proptest::collection::vec(any_signal(), 0..12), now in 0..i64::MAX / 2) {
        let lasting = |signal: &&Signal| !matches!(signal, Signal::Block { .. } | Signal::NeedsLogin { .. });
        let apply = |status: Status, signal: &Signal| status.apply(signal, Millis(now));
        let last = signals.iter().filter(lasting).fold(Status::Active, apply);
        prop_assert!(last.serves(latest(Millis(now))));
    }
}

#[test]
fn an_expiring_login_has_a_notice() {
    let expected = "needs a new login: reused; its access token serves for 10 d 0 h more";
    assert_eq!(expiring(0).notice(NOW).as_deref(), Some(expected));
    assert_eq!(expiring(0).notice(NOW.plus(10 * DAY)), None);
    assert_eq!(needs_login().notice(NOW), None);
    assert!(!expiring(0).refreshes() && Status::Active.refreshes());
}
