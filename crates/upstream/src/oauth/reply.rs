//! Answers of the auth server, read without trusting their shape.

use pool::{Secret, sanitize};
use serde_json::Value;

/// Most bytes of a foreign text that are shown.
const SHOWN: usize = 300;

/// The tokens of a 200. Each token is optional; other fields are ignored.
#[derive(Default)]
pub(super) struct Tokens {
    pub(super) access: Option<Secret>,
    pub(super) refresh: Option<Secret>,
    pub(super) id: Option<Secret>,
}

/// Reads a 200's body; `None` when it is not a JSON object. Empty strings and other types read as absent, so that a bad neighbouring
/// field does not lose a refresh token.
pub(super) fn tokens(body: &[u8]) -> Option<Tokens> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let body = body.as_object()?;
    let keep = |name: &str| body.get(name)?.as_str().filter(|text| !text.is_empty()).map(Secret::from);
    Some(Tokens { access: keep("access_token"), refresh: keep("refresh_token"), id: keep("id_token") })
}

/// An error body's code and message. Two shapes occur: `{"error":{"code","message"}}` and RFC 6749's
/// `{"error":"invalid_grant","error_description":".."}`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Whether the body was JSON at all; HTML comes from a middlebox.
    pub(super) json: bool,
    /// May be empty.
    pub(super) code: String,
    /// May be empty.
    pub(super) message: String,
}

/// Reads an error body.
pub(super) fn refusal(body: &[u8]) -> Refusal {
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return Refusal::default() };
    let text = |path: &str| body.pointer(path).and_then(Value::as_str).map(clean);
    let first = |paths: &[&str]| paths.iter().find_map(|path| text(path)).unwrap_or_default();
    Refusal {
        json: true,
        code: first(&["/error/code", "/error", "/code", "/error/type", "/detail/code"]),
        message: first(&["/error/message", "/error_description", "/message", "/detail"]),
    }
}

/// A foreign text made safe to show: one line, bounded, without anything that looks like a token.
pub(super) fn clean(text: &str) -> String {
    sanitize::clean(text, SHOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_error_shapes_are_read() {
        let nested = br#"{"error":{"message":"used","type":"invalid_request_error","param":null,"code":"refresh_token_reused"}}"#;
        let flat = br#"{"error":"invalid_grant","error_description":"gone"}"#;
        assert_eq!(
            refusal(nested),
            Refusal { json: true, code: "refresh_token_reused".into(), message: "used".into() }
        );
        assert_eq!(refusal(flat), Refusal { json: true, code: "invalid_grant".into(), message: "gone".into() });
        assert_eq!(refusal(b"<html>"), Refusal::default());
        assert!(refusal(b"[]").json);
    }

    #[test]
    fn a_refusal_that_repeats_the_token_does_not_show_it() {
        let body = br#"{"error":{"code":"invalid_grant","message":"refresh_token=rt_canary0123456789abcdef is void"}}"#;
        assert_eq!(refusal(body).message, "refresh_token=*** is void");
        assert_eq!(clean(&"x ".repeat(9999)).len(), SHOWN);
    }

    #[test]
    fn junk_is_no_tokens_and_empty_is_absent() {
        assert!(tokens(b"\"junk\"").is_none() && tokens(br#"["a","rt","it"]"#).is_none());
        let odd = tokens(br#"{"access_token":5,"refresh_token":"rt","id_token":null}"#).unwrap();
        assert!(odd.access.is_none() && odd.id.is_none());
        assert_eq!(odd.refresh, Some(Secret::from("rt")));
        let some = tokens(br#"{"access_token":"a","refresh_token":"","extra":[]}"#).unwrap();
        assert!(some.access.is_some() && some.refresh.is_none() && some.id.is_none());
    }
}
