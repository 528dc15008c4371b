use rstest::rstest;

use super::*;

#[rstest]
#[case("http://localhost:3000")]
#[case("http://127.0.0.1")]
#[case("https://[::1]:8443")]
fn pages_of_this_machine_are_known(#[case] origin: &str) {
    let headers = HeaderMap::from_iter([(ORIGIN, origin.parse().unwrap())]);
    assert_eq!(local_page(&headers), Some(Site::Listed(origin.to_owned())));
}

#[rstest]
#[case("null")]
#[case("https://evil.com")]
#[case("http://localhost.evil.com")]
#[case("http://localhost:3000/")]
#[case("http://localhost@evil.com")]
#[case("http://10.0.0.1")]
#[case("http://2130706433")]
#[case("chrome-extension://localhost")]
fn other_pages_are_not_of_this_machine(#[case] origin: &str) {
    let headers = HeaderMap::from_iter([(ORIGIN, origin.parse().unwrap())]);
    assert_eq!(local_page(&headers), None);
}

fn placed(origin: Option<&str>, relation: Option<&str>) -> Option<Site> {
    let mut headers = HeaderMap::new();
    headers.extend(origin.map(|value| (ORIGIN, value.parse().unwrap())));
    headers.extend(relation.map(|value| (http::HeaderName::from_static("sec-fetch-site"), value.parse().unwrap())));
    let host = Host::parse("localhost:8080").unwrap();
    check(&headers, &host, &["https://app.example".to_owned(), "*".to_owned(), "null".to_owned()])
}

#[rstest]
#[case(None, None)]
#[case(None, Some("none"))]
#[case(None, Some("same-origin"))]
#[case(Some("http://localhost:8080"), Some("same-origin"))]
#[case(Some("https://localhost:8080"), None)]
fn programs_and_our_own_pages_pass(#[case] origin: Option<&str>, #[case] relation: Option<&str>) {
    assert_eq!(placed(origin, relation), Some(Site::Own));
}

#[rstest]
#[case(Some("null"), None)]
#[case(Some("*"), None)]
#[case(Some(""), None)]
#[case(Some("https://evil.com"), None)]
#[case(Some("http://localhost:3000"), Some("same-site"))]
#[case(Some("http://localhost:3000"), None)]
#[case(Some("http://localhost:8080.evil.com"), None)]
#[case(Some("http://localhost:8080/"), None)]
#[case(Some("http://127.0.0.1:8080"), None)]
#[case(Some("file://"), None)]
#[case(Some("chrome-extension://localhost:8080"), None)]
#[case(Some("http://localhost:8080"), Some("cross-site"))]
#[case(None, Some("cross-site"))]
#[case(None, Some("same-site"))]
#[case(None, Some("Same-Origin"))]
#[case(None, Some(""))]
#[case(Some("https://sub.app.example"), None)]
#[case(Some("http://app.example"), None)]
fn other_pages_do_not(#[case] origin: Option<&str>, #[case] relation: Option<&str>) {
    assert_eq!(placed(origin, relation), None);
}

#[test]
fn listed_pages_are_named() {
    let listed = Site::Listed("https://app.example".to_owned());
    assert_eq!(placed(Some("https://app.example"), Some("cross-site")), Some(listed));
}
