use rstest::rstest;

use super::*;

fn with(base: &str) -> Result<Endpoints, BuildError> {
    Endpoints::new(&Config { base_url: base.parse().unwrap(), ..Config::default() })
}

#[rstest]
#[case("https://chatgpt.com/backend-api", "https://chatgpt.com/backend-api/codex/responses")]
#[case("https://gov.chatgpt.com/backend-api/", "https://gov.chatgpt.com/backend-api/codex/responses")]
#[case("http://127.0.0.1:8081/backend-api", "http://127.0.0.1:8081/backend-api/codex/responses")]
#[case("http://LOCALHOST:8081", "http://localhost:8081/codex/responses")]
#[case("http://[::1]:1/x", "http://[::1]:1/x/codex/responses")]
fn bases_that_can_be_used(#[case] base: &str, #[case] responses: &str) {
    assert_eq!(with(base).unwrap().responses.as_str(), responses);
}

#[rstest]
#[case::plain("http://chatgpt.com/backend-api")]
#[case::looks_like_loopback("http://127.0.0.1.example.test/")]
#[case::loopback_as_user("http://127.0.0.1@example.test/")]
#[case::backslash("http://example.test\\@127.0.0.1/")]
#[case::unspecified("http://0.0.0.0/")]
#[case::mapped("http://[::ffff:10.0.0.1]/")]
#[case::local_name("http://localhost.example.test/")]
#[case::scheme("ftp://localhost/")]
#[case::file("file:///etc/passwd")]
#[case::credentials("https://user:pass@chatgpt.com/")]
#[case::query("https://chatgpt.com/?a=1")]
#[case::fragment("https://chatgpt.com/#a")]
fn bases_that_are_refused_with_a_hint(#[case] base: &str) {
    let error = with(base).unwrap_err();
    assert!(matches!(error, BuildError::Url { setting: "upstream.base_url", .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("hint:") && !text.contains("pass@"), "{text}");
}

#[test]
fn octal_and_decimal_loopback_are_still_loopback() {
    // The URL parser normalises the address, so the checked address is the called one.
    assert_eq!(with("http://0177.1:5/").unwrap().responses.as_str(), "http://127.0.0.1:5/codex/responses");
}

#[rstest]
#[case("http://proxy:3128", true)]
#[case("socks5h://user:pass@proxy:1080", true)]
#[case("ftp://proxy", false)]
#[case("file:///proxy", false)]
fn proxies(#[case] proxy: &str, #[case] good: bool) {
    let config = Config { proxy: Some(proxy.parse().unwrap()), ..Config::default() };
    let result = Endpoints::new(&config);
    assert_eq!(result.is_ok(), good);
}

#[test]
fn profile_values_must_be_headers() {
    let profile = Profile { originator: "a\nb".into(), ..Profile::polygate() };
    let error = crate::Upstream::new(Config { profile, ..Config::default() }).err().unwrap();
    assert!(matches!(error, BuildError::Profile("originator")), "{error}");
}

#[test]
fn debug_output_holds_no_password() {
    let config = Config { proxy: Some("http://user:hunter2@proxy:3128".parse().unwrap()), ..Config::default() };
    let shown = format!("{config:?}");
    assert!(shown.contains("http://proxy") && !shown.contains("hunter2") && !shown.contains("user"), "{shown}");
}
