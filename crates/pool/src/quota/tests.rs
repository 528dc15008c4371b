use proptest::prelude::*;
use rstest::rstest;

use super::*;

const NOW: Millis = Millis(1_800_000_000_000);
const MOST: i64 = 31 * 86_400;

/// An instant in seconds from [`NOW`].
#[expect(clippy::unnecessary_wraps, reason = "the form in which it is compared")]
fn at(after: i64) -> Option<Millis> {
    Some(NOW.plus(after * 1000))
}

#[expect(clippy::unnecessary_wraps, reason = "the form in which it is compared")]
fn window(used_percent: f64, minutes: u32, after: i64) -> Option<Window> {
    Some(Window { used_percent, minutes: Some(minutes), resets_at: at(after) })
}

/// The header set of a used-up account as it is seen on the wire.
const EXHAUSTED: [(&str, &str); 15] = [
    ("X-Codex-Active-Limit", "premium"),
    ("X-Codex-Plan-Type", "plus"),
    ("X-Codex-Primary-Used-Percent", "100"),
    ("X-Codex-Secondary-Used-Percent", "80.5"),
    ("X-Codex-Primary-Window-Minutes", "300"),
    ("X-Codex-Primary-Over-Secondary-Limit-Percent", "0"),
    ("X-Codex-Secondary-Window-Minutes", "10080"),
    ("X-Codex-Primary-Reset-After-Seconds", "13873"),
    ("X-Codex-Secondary-Reset-After-Seconds", "316705"),
    ("X-Codex-Primary-Reset-At", "1777936568"),
    ("X-Codex-Secondary-Reset-At", "1778239400"),
    ("X-Codex-Credits-Has-Credits", "False"),
    ("X-Codex-Credits-Balance", "0"),
    ("X-Codex-Credits-Unlimited", "False"),
    ("content-type", "application/json"),
];

fn headers(list: &[(&str, &str)]) -> Option<Quota> {
    Quota::from_headers(list.iter().copied(), NOW)
}

#[test]
fn headers_are_read_in_any_case() {
    let quota = headers(&EXHAUSTED).unwrap();
    assert_eq!(quota.primary, window(100.0, 300, 13_873));
    assert_eq!(quota.secondary, window(80.5, 10_080, 316_705));
    assert_eq!(quota.credits, Some(Credits { has: false, unlimited: false, balance: Some("0".into()) }));
    assert_eq!((quota.plan.as_deref(), quota.updated), (Some("plus"), NOW));
    assert_eq!(quota.signal(NOW), Signal::Exhaust { until: NOW.plus(13_873_000), window: "primary".into() });
    let lower: Vec<_> = EXHAUSTED.iter().map(|(name, value)| (name.to_lowercase(), *value)).collect();
    let lower = Quota::from_headers(lower.iter().map(|(name, value)| (name.as_str(), *value)), NOW);
    assert_eq!(lower, Some(quota));
}

#[test]
fn other_limits_have_a_prefix_of_their_own() {
    let quota = headers(&[
        ("x-codex-primary-used-percent", "1"),
        ("x-codex-bengalfox-primary-used-percent", "100"),
        ("x-codex-bengalfox-primary-window-minutes", "300"),
        ("x-codex-bengalfox-primary-reset-after-seconds", "60"),
        ("x-codex-bengalfox-limit-name", "gpt-5.2-codex-sonic"),
        ("x-codex-review-secondary-used-percent", "7"),
        ("x-codex-empty-limit-name", "nothing else"),
    ]);
    let quota = quota.unwrap();
    let named: Vec<_> = quota.named.iter().map(|limit| (limit.id.as_str(), limit.name.as_deref())).collect();
    assert_eq!(named, [("codex_bengalfox", Some("gpt-5.2-codex-sonic")), ("codex_review", None)]);
    assert_eq!(quota.named[0].primary, window(100.0, 300, 60));
    // A feature's own limit does not use the account up.
    assert_eq!(quota.signal(NOW), Signal::Ample);
}

#[rstest]
#[case(&[], None)]
#[case(&[("content-type", "text/html"), ("x-request-id", "1")], None)]
#[case(&[("x-codex-primary-window-minutes", "300")], None)]
#[case(&[("x-codex-primary-used-percent", "often")], None)]
#[case(&[("x-codex-primary-used-percent", "NaN")], None)]
#[case(&[("x-codex-plan-type", ""), ("x-codex-rate-limit-reached-type", " "), ("x-codex-credits-has-credits", "")], None)]
#[case(&[("x--primary-used-percent", "5")], None)]
#[case(&[("x-codex-primary-used-percent", "-5")], Some(0.0))]
#[case(&[("x-codex-primary-used-percent", "1e9")], Some(100.0))]
#[case(&[("x-codex-secondary-used-percent", " 12.25 ")], Some(12.25))]
fn odd_headers_are_bounded(#[case] list: &[(&str, &str)], #[case] used: Option<f64>) {
    assert_eq!(headers(list).map(|quota| quota.used(NOW)), used);
}

#[rstest]
#[case("60", "", at(60))]
#[case("", "1800000060", at(60))]
// The span holds when our clock or theirs is off.
#[case("60", "1999999999", at(60))]
#[case("", "1999999999", at(MOST))]
#[case("99999999999999999999", "", at(MOST))]
#[case("-7", "", at(0))]
#[case("", "0", at(-MOST))]
#[case("", "", None)]
fn resets_are_clamped(#[case] after: &str, #[case] instant: &str, #[case] resets_at: Option<Millis>) {
    let list = [
        ("x-codex-primary-used-percent", "50"),
        ("x-codex-primary-reset-after-seconds", after),
        ("x-codex-primary-reset-at", instant),
    ];
    assert_eq!(headers(&list).unwrap().primary.unwrap().resets_at, resets_at);
}

const EVENT: &str = r#"{"type":"codex.rate_limits","plan_type":"plus","rate_limits":{"allowed":true,"limit_reached":false,
  "primary":{"used_percent":12,"window_minutes":300,"reset_after_seconds":9000,"reset_at":1781672408},
  "secondary":{"used_percent":34.5,"window_minutes":10080,"reset_after_seconds":77038,"reset_at":1781748009}},
  "additional_rate_limits":{"Some Model":{"allowed":true,"primary":{"used_percent":1,"reset_at":1800000001},"secondary":{}}},
  "code_review_rate_limits":null,"credits":{"has_credits":true,"unlimited":false,"balance":12.5},"promo":null}"#;

#[test]
fn an_event_is_read() {
    let quota = Quota::from_event(&json(EVENT), NOW).unwrap();
    assert_eq!((quota.primary, quota.secondary), (window(12.0, 300, 9000), window(34.5, 10_080, 77_038)));
    assert_eq!((quota.allowed, quota.plan.as_deref()), (Some(true), Some("plus")));
    assert_eq!(quota.credits.as_ref().unwrap().balance.as_deref(), Some("12.5"));
    assert_eq!((quota.named[0].id.as_str(), quota.named[0].secondary), ("Some Model", None));
    assert_eq!(quota.signal(NOW), Signal::Ample);
}

fn json(text: &str) -> Json {
    Json::from_valid(text.to_owned().into())
}

const USAGE: &str = r#"{"user_id":"user-1","plan_type":"pro",
 "rate_limit":{"allowed":false,"limit_reached":true,
   "primary_window":{"used_percent":100,"limit_window_seconds":18000,"reset_after_seconds":9000,"reset_at":1999999999},
   "secondary_window":{"used_percent":100,"limit_window_seconds":604800,"reset_after_seconds":300000,"reset_at":1999999999}},
 "code_review_rate_limit":{"primary_window":{"used_percent":3}},
 "additional_rate_limits":[{"limit_name":"Some Model","metered_feature":"codex_some","rate_limit":{"primary_window":null}},{}],
 "credits":{"has_credits":false,"unlimited":false,"balance":null},
 "rate_limit_reached_type":{"type":"rate_limit_reached"},"rate_limit_reset_credits":{"available_count":2}}"#;

#[test]
fn a_usage_poll_is_read() {
    let quota = Quota::from_usage(USAGE.as_bytes(), NOW).unwrap();
    assert_eq!((quota.primary, quota.secondary), (window(100.0, 300, 9000), window(100.0, 10_080, 300_000)));
    let named: Vec<_> = quota.named.iter().map(|limit| (limit.id.as_str(), limit.name.as_deref())).collect();
    assert_eq!(named, [("code_review", None), ("codex_some", Some("Some Model"))]);
    assert_eq!(quota.reached.as_deref(), Some("rate_limit_reached"));
    // Both are used up: the later reset counts.
    assert_eq!(quota.signal(NOW), Signal::Exhaust { until: NOW.plus(300_000_000), window: "secondary".into() });
}

#[rstest]
#[case("{}")]
#[case("[]")]
#[case("<html>")]
#[case(r#"{"plan_type":7,"rate_limit":[],"rate_limits":"none","credits":null}"#)]
fn a_body_without_quota_is_none(#[case] body: &str) {
    assert_eq!(Quota::from_usage(body.as_bytes(), NOW), None);
    assert_eq!(Quota::from_event(&json(body), NOW), None);
}

#[rstest]
#[case(r#"{"rate_limit":{"primary_window":{"used_percent":99.9}}}"#, Signal::Ample)]
#[case(r#"{"rate_limit":{"primary_window":{"used_percent":100,"reset_after_seconds":0}}}"#, Signal::Ample)]
#[case(r#"{"rate_limit":{"primary_window":{"used_percent":100}},"credits":{"has_credits":true}}"#, Signal::Ample)]
#[case(r#"{"rate_limit":{"primary_window":{"used_percent":100}},"credits":{"unlimited":true}}"#, Signal::Ample)]
#[case(r#"{"rate_limit":{"primary_window":{"used_percent":100}}}"#, exhausted("primary"))]
#[case(r#"{"rate_limit":{"allowed":false}}"#, exhausted("plan"))]
#[case(
    r#"{"rate_limit":{"allowed":false},"rate_limit_reached_type":{"type":"workspace_owner_credits_depleted"}}"#,
    exhausted("credits")
)]
// Credits serve when ordinary use is over.
#[case(
    r#"{"rate_limit":{"allowed":false,"primary_window":{"used_percent":100}},"credits":{"has_credits":true}}"#,
    Signal::Ample
)]
#[case(r#"{"rate_limit":{"allowed":false},"credits":{"has_credits":true}}"#, Signal::None)]
#[case(r#"{"rate_limit":{"allowed":true}}"#, Signal::Ample)]
#[case(r#"{"plan_type":"plus"}"#, Signal::None)]
fn figures_give_a_signal(#[case] body: &str, #[case] signal: Signal) {
    assert_eq!(Quota::from_usage(body.as_bytes(), NOW).unwrap().signal(NOW), signal);
}

fn exhausted(window: &str) -> Signal {
    Signal::Exhaust { until: NOW.plus(3_600_000), window: window.into() }
}

#[test]
fn a_window_that_has_reset_is_unused() {
    let quota = headers(&EXHAUSTED).unwrap();
    assert!((quota.used(NOW) - 100.0).abs() < f64::EPSILON);
    assert!((quota.used(NOW.plus(13_873_000)) - 80.5).abs() < f64::EPSILON);
    assert!(quota.used(NOW.plus(316_705_000)).abs() < f64::EPSILON);
}

#[test]
fn newer_figures_replace_and_keep_the_rest() {
    let mut quota = Quota::from_usage(USAGE.as_bytes(), NOW).unwrap();
    let newer = [("x-codex-primary-used-percent", "5"), ("x-codex-some-primary-used-percent", "9")];
    quota.merge(Quota::from_headers(newer.into_iter(), NOW.plus(1)).unwrap());
    assert_eq!((quota.primary.unwrap().used_percent, quota.secondary, quota.allowed), (5.0, None, None));
    assert_eq!((quota.plan.as_deref(), quota.credits.is_some()), (Some("pro"), true));
    assert_eq!((quota.named.len(), quota.named[1].name.as_deref()), (2, Some("Some Model")));
    assert!(quota.named[1].primary.is_some());
    // An event names the same limit by its name.
    let mut event = Quota::from_event(&json(EVENT), NOW).unwrap();
    event.updated = NOW.plus(2);
    quota.merge(event);
    assert_eq!((quota.named.len(), quota.named[1].id.as_str()), (2, "codex_some"));
    // A late answer changes nothing.
    let before = quota.clone();
    quota.merge(headers(&EXHAUSTED).unwrap());
    assert_eq!(quota, before);
}

/// Windows may be null: then `allowed` is all that a poll or an event says.
#[test]
fn a_plan_without_windows_is_followed_too() {
    let poll =
        |body: &str, after| Quota { updated: NOW.plus(after), ..Quota::from_usage(body.as_bytes(), NOW).unwrap() };
    let mut quota = poll(r#"{"rate_limit":{"allowed":true,"primary_window":null,"secondary_window":null}}"#, 0);
    let over = r#"{"rate_limit":{"allowed":false,"primary_window":null,"secondary_window":null},
        "rate_limit_reached_type":{"type":"workspace_owner_credits_depleted"}}"#;
    quota.merge(poll(over, 1));
    assert_eq!(quota.signal(NOW), exhausted("credits"));
    // The figures of an answer that was served after all.
    quota.merge(poll(r#"{"plan_type":"business"}"#, 2));
    assert_eq!((quota.signal(NOW), &quota.reached), (Signal::None, &None));
    quota.merge(poll(r#"{"rate_limit":{"allowed":true}}"#, 3));
    assert_eq!(quota.signal(NOW), Signal::Ample);
}

#[test]
fn headers_written_are_read_back() {
    let mut quota = headers(&EXHAUSTED).unwrap();
    quota.named.push(Named {
        id: "codex_some".into(),
        name: Some("Some".into()),
        primary: quota.primary,
        secondary: None,
    });
    let written = quota.headers(NOW);
    assert!(written.iter().all(|(name, _)| *name == name.to_lowercase()));
    let back = Quota::from_headers(written.iter().map(|(name, value)| (name.as_str(), value.as_str())), NOW);
    assert_eq!(back.as_ref(), Some(&quota));
    let stored = serde_json::to_string(&quota).unwrap();
    assert_eq!(serde_json::from_str::<Quota>(&stored).unwrap(), quota);
    assert_eq!(serde_json::from_str::<Quota>("{}").unwrap(), Quota::default());
}

#[test]
fn names_that_no_header_can_carry_are_left_out() {
    let quota = Quota {
        named: vec![Named { id: "GPT Ünique".into(), primary: window(1.0, 1, 1), ..Named::default() }],
        plan: Some("plus\r\nx-evil: 1".into()),
        ..Quota::default()
    };
    assert_eq!(quota.headers(NOW), []);
}

#[test]
fn floods_are_bounded() {
    let mut names: Vec<_> = (0..1000).map(|n| (format!("x-codex-l{n}-primary-used-percent"), "1")).collect();
    names.push(("x-codex-primary-used-percent".into(), "77"));
    let quota = Quota::from_headers(names.iter().map(|(name, value)| (name.as_str(), *value)), NOW).unwrap();
    assert_eq!((quota.named.len(), quota.primary.unwrap().used_percent), (NAMED, 77.0));
    let limits: Vec<_> = (0..1000).map(|n| format!("\"{n}\":{{\"primary\":{{\"used_percent\":1}}}}")).collect();
    let event =
        format!("{{\"plan_type\":\"{}\",\"additional_rate_limits\":{{{}}}}}", "p".repeat(9999), limits.join(","));
    let quota = Quota::from_event(&json(&event), NOW).unwrap();
    assert_eq!((quota.named.len(), quota.plan.unwrap().len()), (NAMED, TEXT));
}

proptest! {
    #[test]
    fn no_input_panics(
        names in proptest::collection::vec("x-(codex|codex-a|-)?-?(primary|secondary)?-?[a-z-]{0,12}", 0..8),
        values in proptest::collection::vec("[0-9.eE+-]{0,24}|.{0,8}", 8),
        body in proptest::collection::vec(any::<u8>(), 0..200),
        now: i64,
    ) {
        let list = names.iter().map(String::as_str).zip(values.iter().map(String::as_str));
        if let Some(quota) = Quota::from_headers(list, Millis(now)) {
            prop_assert!((0.0..=100.0).contains(&quota.used(Millis(now))));
            let _ = (quota.signal(Millis(now)), quota.headers(Millis(now)));
        }
        let _ = Quota::from_usage(&body, Millis(now));
    }

    #[test]
    fn no_figures_panic(used: f64, minutes: i64, after: i64, at: i64, now: i64) {
        let body = format!(
            r#"{{"rate_limit":{{"primary_window":{{"used_percent":{used:e},"limit_window_seconds":{minutes},
            "reset_after_seconds":{after},"reset_at":{at}}}}}}}"#
        );
        if let Some(quota) = Quota::from_usage(body.as_bytes(), Millis(now)) {
            let _ = (quota.signal(Millis(now)), quota.headers(Millis(now)));
        }
    }
}

/// The whole body that the official client takes (spec, upstream §6).
const WHOLE: &str = r#"{"user_id":"user-1","account_id":"a","email":"user@example.test","plan_type":"pro",
 "rate_limit":{"allowed":false,"limit_reached":true,
   "primary_window":{"used_percent":100,"limit_window_seconds":18000,"reset_after_seconds":9000,"reset_at":1999999999},
   "secondary_window":{"used_percent":34,"limit_window_seconds":604800,"reset_after_seconds":300000,"reset_at":1999999999}},
 "code_review_rate_limit":null,
 "additional_rate_limits":[{"limit_name":"GPT-5.3-Codex-Spark","metered_feature":"codex_bengalfox","rate_limit":{"allowed":true,"limit_reached":false,
   "primary_window":{"used_percent":7,"limit_window_seconds":18000,"reset_after_seconds":60,"reset_at":1999999999},"secondary_window":null}}],
 "credits":{"has_credits":true,"unlimited":false,"balance":"12.50","approx_local_messages":[10,20],"approx_cloud_messages":[1,2]},
 "spend_control":{"reached":true,"individual_limit":{"source":"user","limit":"50","used":40.5,"remaining":"10","used_percent":80,"remaining_percent":20,"reset_after_seconds":1000,"reset_at":1999999999}},
 "rate_limit_reached_type":{"type":"rate_limit_reached"},
 "rate_limit_reset_credits":{"available_count":2},"promo":null}"#;

#[test]
fn a_whole_usage_body_is_read() {
    let quota = Quota::from_usage(WHOLE.as_bytes(), NOW).unwrap();
    assert_eq!((quota.primary, quota.secondary), (window(100.0, 300, 9000), window(34.0, 10_080, 300_000)));
    assert_eq!(quota.named.len(), 1);
    assert_eq!((quota.named[0].id.as_str(), quota.named[0].primary), ("codex_bengalfox", window(7.0, 300, 60)));
    assert_eq!(quota.credits, Some(Credits { has: true, unlimited: false, balance: Some("12.50".into()) }));
    let spend = quota.spend.clone().unwrap();
    assert_eq!((spend.reached, spend.used_percent, spend.resets_at), (true, Some(80.0), at(1000)));
    assert_eq!((spend.limit.as_deref(), spend.used.as_deref()), (Some("50"), Some("40.5")));
    assert_eq!((quota.reset_credits, quota.reached.as_deref()), (Some(2), Some("rate_limit_reached")));
    // Credits that a limit on spending withholds do not serve.
    assert!(matches!(quota.signal(NOW), Signal::Exhaust { .. }));
    let free = WHOLE.replace(r#""reached":true,"individual"#, r#""reached":false,"individual"#);
    assert_eq!(Quota::from_usage(free.as_bytes(), NOW).unwrap().signal(NOW), Signal::Ample);
    let over = free.replace(r#""unlimited":false"#, r#""unlimited":false,"overage_limit_reached":true"#);
    assert!(matches!(Quota::from_usage(over.as_bytes(), NOW).unwrap().signal(NOW), Signal::Exhaust { .. }));
}

#[test]
fn figures_of_polls_outlive_headers() {
    let mut quota = Quota::from_usage(WHOLE.as_bytes(), NOW).unwrap();
    let now = NOW.plus(1);
    assert!(quota.merge(Quota::from_headers(EXHAUSTED.into_iter(), now).unwrap()));
    assert_eq!((quota.reset_credits, quota.spend.is_some(), quota.updated), (Some(2), true, now));
}

#[rstest]
// Reached without a word about what is allowed.
#[case(r#"{"rate_limit":{"limit_reached":true}}"#, Some(false))]
#[case(r#"{"rate_limit":{"limit_reached":false}}"#, Some(true))]
#[case(r#"{"rate_limit":{"allowed":true,"limit_reached":true}}"#, Some(true))]
fn a_reached_limit_is_not_allowed(#[case] body: &str, #[case] allowed: Option<bool>) {
    assert_eq!(Quota::from_usage(body.as_bytes(), NOW).unwrap().allowed, allowed);
}

/// An early reset heals whatever told it; figures from before the refusal do not.
#[rstest]
#[case(1, true)]
#[case(0, true)]
#[case(-1, false)]
fn only_fresh_figures_heal(#[case] after: i64, #[case] heals: bool) {
    let (refused, now) = (NOW, NOW.plus(1000));
    let exhausted = crate::status::Status::Exhausted { until: NOW.plus(3_600_000), window: "primary".into() };
    let window = Window { used_percent: 3.0, minutes: Some(300), resets_at: at(9000) };
    let mut quota = Quota { updated: NOW.plus(-10), ..Quota::default() };
    assert!(quota.merge(Quota { primary: window.into(), updated: NOW.plus(after), ..Quota::default() }));
    let healed = exhausted.apply(&quota.verdict(refused, now), now);
    assert_eq!(healed == crate::status::Status::Active, heals);
    // An answer that was overtaken is no news at all.
    assert!(!quota.merge(Quota { updated: NOW.plus(-2), ..quota.clone() }));
}

/// Figures and refusals that a clock told which ran ahead do not outlast it.
#[test]
fn a_clock_that_ran_ahead_freezes_nothing() {
    let window = |used_percent| Some(Window { used_percent, minutes: Some(300), resets_at: at(9000) });
    let ahead = Quota { primary: window(90.0), updated: NOW.plus(365 * 86_400_000), ..Quota::default() };
    let mut quota = ahead.clone();
    assert!(quota.merge(Quota { primary: window(3.0), updated: NOW, ..Quota::default() }));
    assert_eq!((quota.primary, quota.updated), (window(3.0), NOW));
    assert_eq!(quota.verdict(ahead.updated, NOW), Signal::Ample);
    // Answers overtake each other by less.
    let mut near = Quota { updated: NOW.plus(60_000), ..ahead };
    assert!(!near.merge(quota));
}

/// What a refusal said about the end holds until newer figures say another one.
#[rstest]
#[case(1, 100.0, at(600), Some(600))]
#[case(0, 100.0, at(600), Some(7200))]
#[case(1, 100.0, None, Some(7200))]
#[case(1, 100.0, at(9000), Some(9000))]
#[case(1, 3.0, at(600), None)]
fn fresh_figures_correct_a_refusal(
    #[case] after: i64,
    #[case] used_percent: f64,
    #[case] resets_at: Option<Millis>,
    #[case] ends: Option<i64>,
) {
    use crate::status::Status;
    let now = NOW.plus(10);
    let exhausted = Status::Exhausted { until: NOW.plus(7_200_000), window: "usage".into() };
    let primary = Some(Window { used_percent, minutes: Some(300), resets_at });
    let quota = Quota { primary, updated: NOW.plus(after), ..Quota::default() };
    let status = exhausted.apply(&quota.verdict(NOW, now), now);
    let until = status.usable(now).err().and_then(|reason| reason.until());
    assert_eq!(until, ends.map(|seconds| NOW.plus(seconds * 1000)));
}
