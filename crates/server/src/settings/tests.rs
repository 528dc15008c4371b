use rstest::rstest;

use super::*;

#[rstest]
#[case(None, false, Keys::None)]
#[case(None, true, Keys::Generated)]
#[case(Some("  "), false, Keys::None)]
#[case(Some("sk-tmp"), true, Keys::Fixed(Strength::Known))]
#[case(Some("twenty-three-characters"), true, Keys::Fixed(Strength::Weak))]
#[case(Some("twenty-four--characters!"), false, Keys::Fixed(Strength::Strong))]
fn keys_are_judged(#[case] fixed: Option<&str>, #[case] minted: bool, #[case] judged: Keys) {
    assert_eq!(Keys::judge(fixed, minted), judged);
}

#[rstest]
#[case("", 2)]
#[case("localhost", 2)]
#[case("127.0.0.1", 1)]
#[case("[::]", 2)]
#[case("0.0.0.0", 1)]
#[case("[::1]", 1)]
fn hosts_are_read(#[case] text: &str, #[case] count: usize) {
    assert_eq!(hosts(text).map(|found| found.len()), Ok(count));
}

#[test]
fn a_name_is_no_host() {
    assert_eq!(hosts("gateway.lan"), Err("gateway.lan".to_owned()));
}
