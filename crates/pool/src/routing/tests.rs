//! Which answers are followed.

use rstest::rstest;

use super::*;

fn answer(origin: &str, region: &str) -> Vec<u8> {
    let entry = |id: &str, origin: &str, region: &str| {
        format!(
            r#"{{"id":"{id}","name":null,"plan_type":"plus","workspace_backend_origin":{origin},"account_routing_override":{region}}}"#
        )
    };
    let other = entry("other", "\"https://other.chatgpt.com\"", "\"eu\"");
    format!(r#"{{"accounts":[{other},{}],"default_account_id":"other"}}"#, entry("mine", origin, region)).into_bytes()
}

#[rstest]
#[case("\"NO_CONSTRAINT\"", None, 0)]
#[case("\"us\"", Some("us"), 0)]
#[case("\"us_cr\"", Some("us_cr"), 0)]
#[case("\"us\\r\\nx-evil: 1\"", None, 1)]
#[case("\"\"", None, 1)]
#[case("null", None, 0)]
#[case("7", None, 0)]
fn regions(#[case] value: &str, #[case] region: Option<&str>, #[case] ignored: usize) {
    let read = read(&answer("\"NO_CONSTRAINT\"", value), "mine").unwrap();
    assert_eq!((read.routing.region.as_deref(), read.routing.origin, read.ignored.len()), (region, None, ignored));
}

#[rstest]
#[case("https://gov.chatgpt.com", Some("gov.chatgpt.com"))]
#[case("https://chatgpt.com", Some("chatgpt.com"))]
#[case("https://a.b.chatgpt.com/", Some("a.b.chatgpt.com"))]
#[case("http://gov.chatgpt.com", None)]
#[case("https://gov.chatgpt.com:8443", None)]
#[case("https://gov.chatgpt.com/path", None)]
#[case("https://gov.chatgpt.com?q", None)]
#[case("https://a@gov.chatgpt.com", None)]
#[case("https://evilchatgpt.com", None)]
#[case("https://chatgpt.com.evil.example", None)]
#[case("https://127.0.0.1", None)]
#[case("https://[::1]", None)]
#[case("gov.chatgpt.com", None)]
fn origins(#[case] value: &str, #[case] host: Option<&str>) {
    let read = read(&answer(&format!("\"{value}\""), "\"NO_CONSTRAINT\""), "mine").unwrap();
    assert_eq!(read.routing.origin.as_ref().and_then(Url::host_str), host);
    assert_eq!(read.ignored.len(), usize::from(host.is_none()));
}

#[rstest]
#[case("https://chatgpt.com/backend-api/codex/responses", "https://gov.chatgpt.com/backend-api/codex/responses")]
#[case("https://proxy.example/backend-api/codex/responses", "https://proxy.example/backend-api/codex/responses")]
#[case("http://127.0.0.1:9/backend-api/codex/responses", "http://127.0.0.1:9/backend-api/codex/responses")]
fn an_origin_replaces_only_the_backends_host(#[case] usual: &str, #[case] expected: &str) {
    let routing = read(&answer("\"https://gov.chatgpt.com\"", "\"us\""), "mine").unwrap().routing;
    assert_eq!(routing.rewrite_url(&Url::parse(usual).unwrap()).as_str(), expected);
    assert_eq!(Routing::default().rewrite_url(&Url::parse(usual).unwrap()).as_str(), usual);
}

#[test]
fn answers_about_nobody_are_none() {
    for body in [&b""[..], b"{}", b"[]", b"{\"accounts\":[]}", b"{\"accounts\":{}}", b"<html>"] {
        assert_eq!(read(body, "mine"), None);
    }
    assert_eq!(read(&answer("null", "null"), "nobody"), None);
}
