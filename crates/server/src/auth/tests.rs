use rstest::rstest;

use super::*;

#[rstest]
#[case(&[], Credential::Missing)]
#[case(&[("authorization", "Bearer a")], Credential::One("a"))]
#[case(&[("authorization", "bearer  a ")], Credential::One("a"))]
#[case(&[("x-api-key", "a")], Credential::One("a"))]
#[case(&[("x-goog-api-key", "a")], Credential::One("a"))]
#[case(&[("authorization", "Bearer a"), ("x-api-key", "a")], Credential::One("a"))]
#[case(&[("authorization", "Bearer a"), ("x-api-key", "")], Credential::One("a"))]
#[case(&[("authorization", "Bearer a"), ("x-api-key", "b")], Credential::Conflict("Authorization", "x-api-key"))]
#[case(&[("authorization", "Bearer a"), ("authorization", "Bearer b")], Credential::Conflict("Authorization", "Authorization"))]
#[case(&[("x-api-key", "a"), ("x-goog-api-key", "b")], Credential::Conflict("x-api-key", "x-goog-api-key"))]
#[case(&[("authorization", "Basic a")], Credential::Unreadable("Authorization"))]
#[case(&[("authorization", "Basic a"), ("x-api-key", "b")], Credential::Unreadable("Authorization"))]
#[case(&[("authorization", "Bearer \u{e9}")], Credential::Unreadable("Authorization"))]
#[case(&[("authorization", "Bearer")], Credential::Missing)]
#[case(&[("cookie", "polygate_s_8080=a")], Credential::Missing)]
#[case(&[("?key", "a")], Credential::One("a"))]
#[case(&[("?key", "a"), ("?key", "b")], Credential::Conflict("the query", "the query"))]
#[case(&[("?key", "a"), ("authorization", "Bearer a")], Credential::One("a"))]
#[case(&[("?key", "a"), ("x-goog-api-key", "b")], Credential::Conflict("x-goog-api-key", "the query"))]
#[case(&[("?key", ""), ("x-goog-api-key", "b")], Credential::One("b"))]
fn one_credential_is_found(#[case] given: &[(&'static str, &str)], #[case] found: Credential<'_>) {
    let mut headers = HeaderMap::new();
    let mut query = Vec::new();
    for (name, value) in given {
        match *name {
            "?key" => query.push((*value).to_owned()),
            name => drop(headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap())),
        }
    }
    assert_eq!(credential(&headers, &query), found);
}

#[rstest]
#[case(Credential::Conflict("Authorization", "x-api-key"), "Authorization and x-api-key hold different keys")]
#[case(Credential::Conflict("x-api-key", "x-api-key"), "x-api-key holds two different keys")]
#[case(Credential::Unreadable("Authorization"), "in Authorization; it must read `Bearer <key>`")]
#[case(Credential::Unreadable("x-goog-api-key"), "in x-goog-api-key;")]
fn a_refusal_names_the_header(#[case] presented: Credential<'_>, #[case] words: &str) {
    let message = rejection(presented, AuthError::Unknown).failure.message;
    assert!(message.contains(words), "{message}");
}
