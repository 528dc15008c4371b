use rstest::rstest;

use super::*;

/// The body that the official client takes (spec, upstream §6), with a consumed one.
const LIST: &str = r#"{"credits":[
    {"id":"b","status":"available","reset_type":"rate_limit","granted_at":"2026-11-01T00:00:00Z","expires_at":"2026-12-02T00:00:00Z","title":"Usage reset","description":"x"},
    {"id":"a","status":"available","reset_type":"rate_limit","granted_at":"2026-11-01T00:00:00Z","expires_at":"2026-12-01T00:00:00Z","title":null,"description":null},
    {"id":"c","status":"redeemed","expires_at":"2026-11-01T00:00:00Z","redeemed_at":"2026-10-01T00:00:00Z"}],"available_count":2}"#;

#[test]
fn a_list_is_read() {
    let list = ResetCredits::read(LIST.as_bytes()).unwrap();
    assert_eq!((list.available_count, list.credits.len()), (2, 3));
    assert_eq!(list.next_expires_at.as_deref(), Some("2026-12-01T00:00:00Z"));
    assert_eq!(list.credits[2].redeemed_at.as_deref(), Some("2026-10-01T00:00:00Z"));
    assert_eq!(list.credits[1].title, None);
}

#[rstest]
#[case(r#"{"credits":[]}"#, Some((0, 0)))]
// Counted where the count is missing or none.
#[case(r#"{"credits":[{"id":"a","status":"available"},{"id":"b","status":"expired"}],"available_count":"many"}"#, Some((1, 2)))]
#[case(r#"{"credits":[{"id":7,"status":null,"title":{}}],"available_count":3}"#, Some((3, 1)))]
#[case(r#"{"credits":null}"#, None)]
#[case(r#"{"available_count":1}"#, None)]
#[case("[]", None)]
#[case("<html>", None)]
fn odd_lists_are_read_or_refused(#[case] body: &str, #[case] expected: Option<(u64, usize)>) {
    let list = ResetCredits::read(body.as_bytes());
    assert_eq!(list.map(|list| (list.available_count, list.credits.len())), expected);
}

#[test]
fn a_list_is_bounded() {
    let one = format!(r#"{{"id":"{}","status":"available"}}"#, "x".repeat(100_000));
    let list = ResetCredits::read(format!(r#"{{"credits":[{}]}}"#, vec![one; 100].join(",")).as_bytes()).unwrap();
    assert_eq!(list.credits.len(), 64);
    assert!(list.credits.iter().all(|credit| credit.id.len() <= WORDS));
}

#[rstest]
#[case(r#"{"code":"reset","windows_reset":2}"#, Some(Redeemed::Reset { windows: 2 }), true)]
#[case(r#"{"code":"reset"}"#, Some(Redeemed::Reset { windows: 0 }), true)]
#[case(r#"{"code":"nothing_to_reset","windows_reset":0}"#, Some(Redeemed::NothingToReset), false)]
#[case(r#"{"code":"no_credit"}"#, Some(Redeemed::NoCredit), false)]
#[case(r#"{"code":"already_redeemed","windows_reset":0}"#, Some(Redeemed::AlreadyRedeemed), true)]
#[case(r#"{"code":"later"}"#, Some(Redeemed::Other { outcome: "later".into(), said: "later".into() }), false)]
#[case(r#"{"windows_reset":1}"#, None, false)]
#[case("", None, false)]
fn a_reply_is_read(#[case] body: &str, #[case] expected: Option<Redeemed>, #[case] done: bool) {
    let reply = Redeemed::read(body.as_bytes());
    assert_eq!(reply, expected);
    assert_eq!(reply.is_some_and(|reply| reply.done()), done);
}

#[test]
fn an_unknown_code_is_written_under_both_names() {
    let reply = Redeemed::read(br#"{"code":"later"}"#).unwrap();
    let written = serde_json::json!({ "code": "other", "outcome": "later", "said": "later" });
    assert_eq!(serde_json::to_value(reply).unwrap(), written);
}
