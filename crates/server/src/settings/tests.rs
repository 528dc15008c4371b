use rstest::rstest;

use super::*;

#[rstest]
#[case(None, false, ClientKeyStrength::None)]
#[case(None, true, ClientKeyStrength::Generated)]
#[case(Some("  "), false, ClientKeyStrength::None)]
#[case(Some("sk-tmp"), true, ClientKeyStrength::Fixed(Strength::Known))]
#[case(Some("twenty-three-characters"), true, ClientKeyStrength::Fixed(Strength::Weak))]
#[case(Some("twenty-four--characters!"), false, ClientKeyStrength::Fixed(Strength::Strong))]
fn keys_are_judged(#[case] fixed: Option<&str>, #[case] minted: bool, #[case] judged: ClientKeyStrength) {
    assert_eq!(ClientKeyStrength::judge(fixed, minted), judged);
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
