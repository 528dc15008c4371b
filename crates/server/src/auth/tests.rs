use rstest::rstest;

use super::*;

#[rstest]
#[case(&[], Presented::Nothing)]
#[case(&[("authorization", "Bearer a")], Presented::One("a"))]
#[case(&[("authorization", "bearer  a ")], Presented::One("a"))]
#[case(&[("x-api-key", "a")], Presented::One("a"))]
#[case(&[("x-goog-api-key", "a")], Presented::One("a"))]
#[case(&[("authorization", "Bearer a"), ("x-api-key", "a")], Presented::One("a"))]
#[case(&[("authorization", "Bearer a"), ("x-api-key", "")], Presented::One("a"))]
#[case(&[("authorization", "Bearer a"), ("x-api-key", "b")], Presented::Conflict)]
#[case(&[("authorization", "Bearer a"), ("authorization", "Bearer b")], Presented::Conflict)]
#[case(&[("x-api-key", "a"), ("x-goog-api-key", "b")], Presented::Conflict)]
#[case(&[("authorization", "Basic a")], Presented::Conflict)]
#[case(&[("authorization", "Basic a"), ("x-api-key", "b")], Presented::Conflict)]
#[case(&[("authorization", "Bearer \u{e9}")], Presented::Conflict)]
#[case(&[("authorization", "Bearer")], Presented::Nothing)]
#[case(&[("cookie", "polygate_s_8080=a")], Presented::Nothing)]
#[case(&[("?key", "a")], Presented::One("a"))]
#[case(&[("?key", "a"), ("?key", "b")], Presented::Conflict)]
#[case(&[("?key", "a"), ("authorization", "Bearer a")], Presented::One("a"))]
#[case(&[("?key", "a"), ("x-goog-api-key", "b")], Presented::Conflict)]
#[case(&[("?key", ""), ("x-goog-api-key", "b")], Presented::One("b"))]
fn one_credential_is_found(#[case] given: &[(&'static str, &str)], #[case] found: Presented<'_>) {
    let mut headers = HeaderMap::new();
    let mut query = Vec::new();
    for (name, value) in given {
        match *name {
            "?key" => query.push((*value).to_owned()),
            name => drop(headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap())),
        }
    }
    assert_eq!(presented(&headers, &query), found);
}
