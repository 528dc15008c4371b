use rstest::rstest;

use super::*;

fn parts(target: &str) -> Parts {
    http::Request::get(target).body(()).unwrap().into_parts().0
}

#[rstest]
#[case("/v1/models", &[], "/v1/models")]
#[case("/v1/models?", &[], "/v1/models?")]
#[case("/v1/models?alt=sse", &[], "/v1/models?alt=sse")]
#[case("/v1/models?key=abc", &["abc"], "/v1/models")]
#[case("/v1/models?alt=sse&key=a%20b&x=1", &["a b"], "/v1/models?alt=sse&x=1")]
#[case("/v1/models?key=a&key=b", &["a", "b"], "/v1/models")]
#[case("/v1/models?k%65y=a", &["a"], "/v1/models")]
#[case("/v1/models?key=%zz", &["%zz"], "/v1/models")]
#[case("/v1/models?key=", &[""], "/v1/models")]
#[case("/v1/models?key", &[], "/v1/models")]
#[case("/v1/models?monkey=a&key2=b", &[], "/v1/models?monkey=a&key2=b")]
#[case("http://localhost/v1/models?key=a&b", &["a"], "http://localhost/v1/models?b")]
fn keys_are_taken_out(#[case] target: &str, #[case] keys: &[&str], #[case] left: &str) {
    let mut parts = parts(target);
    assert_eq!(take_keys(&mut parts), keys);
    assert_eq!(parts.uri.to_string(), left);
}

#[rstest]
#[case("/x", None)]
#[case("/x?alt=sse", Some("sse"))]
#[case("/x?a&alt=s%73e&b=1", Some("sse"))]
#[case("/x?alt=sse&alt=sse", Some("sse"))]
#[case("/x?alt=sse&alt=json", Some(""))]
#[case("/x?alt", Some(""))]
#[case("/x?alt=%zz", Some(""))]
fn a_member_is_read_once(#[case] target: &str, #[case] value: Option<&str>) {
    assert_eq!(single(&parts(target), "alt").as_deref(), value);
}
