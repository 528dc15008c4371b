use rstest::rstest;

use super::*;

#[rstest]
#[case("application/json", true)]
#[case("Application/JSON; charset=UTF-8", true)]
#[case("application/json;charset=\"utf-8\"", true)]
#[case("application/vnd.api+json", true)]
#[case("application/json;", true)]
#[case("application/json; charset=utf-16", false)]
#[case("application/json; charset", false)]
#[case("application/+json", false)]
#[case("application/x y+json", false)]
#[case("text/json", false)]
#[case("text/plain", false)]
#[case("text/plain; application/json", false)]
#[case("application/x-www-form-urlencoded", false)]
#[case("multipart/form-data; boundary=a", false)]
#[case("application/xml", false)]
#[case("application/jsonp", false)]
#[case("", false)]
fn only_json_passes(#[case] value: &str, #[case] passes: bool) {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, value.parse().unwrap());
    assert_eq!(is_json(&headers), passes, "{value}");
}

#[test]
fn none_and_two_do_not_pass() {
    let mut headers = HeaderMap::new();
    assert!(!is_json(&headers));
    headers.append(CONTENT_TYPE, "application/json".parse().unwrap());
    headers.append(CONTENT_TYPE, "text/plain".parse().unwrap());
    assert!(!is_json(&headers));
}
