use http::{HeaderName, HeaderValue};

use super::*;

fn headers(given: &[(&'static str, &str)]) -> HeaderMap {
    given.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())).collect()
}

#[test]
fn codex_clients_are_known_by_either_name_and_pass_their_headers() {
    let codex = read(
        &headers(&[
            ("originator", "codex_exec"),
            ("session-id", "s"),
            ("thread-id", "t"),
            ("x-codex-turn-state", "turn"),
            ("x-codex-window-id", "s:0"),
            ("x-codex-installation-id", "not on the list"),
        ]),
        "id",
        None,
    );
    assert!(codex.codex);
    assert_eq!((codex.session.as_deref(), codex.thread.as_deref()), (Some("s"), Some("t")));
    assert_eq!(codex.turn_state.as_deref(), Some("turn"));
    assert_eq!(codex.headers, [("x-codex-window-id", "s:0".to_owned())]);
    assert!(read(&headers(&[("user-agent", "Codex_CLI_rs/0.169")]), "id", None).codex);
}

#[test]
fn others_are_not_and_pass_none() {
    let other = read(
        &headers(&[("user-agent", "my-codex/1"), ("x-codex-turn-state", "t"), ("x-codex-window-id", "w")]),
        "id",
        None,
    );
    assert!(!other.codex && other.headers.is_empty() && other.turn_state.is_none());
    assert_eq!(read(&headers(&[("x-session-affinity", "a")]), "id", None).session.as_deref(), Some("a"));
}

#[test]
fn the_review_path_names_its_subagent_unless_the_client_does() {
    let headers_of = |given: &[(&'static str, &str)]| read(&headers(given), "id", Some("review")).headers;
    assert_eq!(headers_of(&[]), [("x-openai-subagent", "review".to_owned())]);
    let own = headers_of(&[("originator", "codex_exec"), ("x-openai-subagent", "compact")]);
    assert_eq!(own, [("x-openai-subagent", "compact".to_owned())]);
}

#[test]
fn a_header_that_stands_twice_is_nobodys() {
    let mut twice = headers(&[("session-id", "a")]);
    twice.append("session-id", HeaderValue::from_static("b"));
    assert_eq!(read(&twice, "id", None).session, None);
}

#[test]
fn a_client_may_want_no_tools_beside_its_own() {
    let own = |name, value| read(&headers(&[(name, value)]), "id", None).own_tools;
    for word in ["off", "False", "0", "none", "disable", "DISABLED"] {
        assert!(own("x-polygate-default-tools", word) && own("x-codex-default-tools", word), "{word}");
    }
    for word in ["1", "true", "YES"] {
        assert!(own("x-codex-no-default-tools", word) && !own("x-polygate-default-tools", word), "{word}");
    }
    assert!(!own("x-codex-no-default-tools", "0") && !own("user-agent", "off"));
}
