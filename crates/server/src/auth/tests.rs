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
#[case(&[("authorization", "Bearer a"), ("x-api-key", "b")], Presented::Conflict("Authorization", "x-api-key"))]
#[case(&[("authorization", "Bearer a"), ("authorization", "Bearer b")], Presented::Conflict("Authorization", "Authorization"))]
#[case(&[("x-api-key", "a"), ("x-goog-api-key", "b")], Presented::Conflict("x-api-key", "x-goog-api-key"))]
#[case(&[("authorization", "Basic a")], Presented::Unreadable("Authorization"))]
#[case(&[("authorization", "Basic a"), ("x-api-key", "b")], Presented::Unreadable("Authorization"))]
#[case(&[("authorization", "Bearer \u{e9}")], Presented::Unreadable("Authorization"))]
#[case(&[("authorization", "Bearer")], Presented::Nothing)]
#[case(&[("cookie", "polygate_s_8080=a")], Presented::Nothing)]
#[case(&[("?key", "a")], Presented::One("a"))]
#[case(&[("?key", "a"), ("?key", "b")], Presented::Conflict("the query", "the query"))]
#[case(&[("?key", "a"), ("authorization", "Bearer a")], Presented::One("a"))]
#[case(&[("?key", "a"), ("x-goog-api-key", "b")], Presented::Conflict("x-goog-api-key", "the query"))]
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

#[rstest]
#[case(Presented::Conflict("Authorization", "x-api-key"), "Authorization and x-api-key hold different keys")]
#[case(Presented::Conflict("x-api-key", "x-api-key"), "x-api-key holds two different keys")]
#[case(Presented::Unreadable("Authorization"), "in Authorization; it must read `Bearer <key>`")]
#[case(Presented::Unreadable("x-goog-api-key"), "in x-goog-api-key;")]
fn a_refusal_names_the_header(#[case] presented: Presented<'_>, #[case] words: &str) {
    let message = denied(presented, AuthError::Unknown).failure.message;
    assert!(message.contains(words), "{message}");
}
