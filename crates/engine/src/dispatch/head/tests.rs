//! The allow-list of upstream headers.

use http::{HeaderMap, HeaderName, HeaderValue};
use rstest::rstest;

use super::client_headers;

#[rstest]
#[case("x-codex-primary-used-percent", true, true)]
#[case("x-codex-secondary-window-minutes", true, true)]
#[case("x-codex-primary-reset-at", true, true)]
#[case("x-codex-secondary-reset-after-seconds", true, true)]
#[case("x-codex-primary-over-secondary-limit-percent", true, true)]
#[case("x-codex-bengalfox-limit-name", true, true)]
#[case("x-codex-credits-has-credits", true, true)]
#[case("x-codex-plan-type", true, true)]
#[case("x-codex-active-limit", true, true)]
#[case("x-codex-rate-limit-reached-type", true, true)]
#[case("openai-model", true, true)]
#[case("x-codex-turn-state", false, true)]
#[case("x-models-etag", false, true)]
#[case("x-reasoning-included", false, true)]
#[case("x-codex-safety-buffering-enabled", false, true)]
#[case("x-request-id", false, false)]
#[case("x-oai-request-id", false, false)]
#[case("cf-ray", false, false)]
#[case("set-cookie", false, false)]
#[case("x-codexprimary-used-percent", false, false)]
fn passes(#[case] name: &'static str, #[case] everybody: bool, #[case] codex: bool) {
    let headers: HeaderMap = [(HeaderName::from_static(name), HeaderValue::from_static("1"))].into_iter().collect();
    assert_eq!(client_headers(&headers, false).len() == 1, everybody);
    assert_eq!(client_headers(&headers, true).len() == 1, codex);
}
