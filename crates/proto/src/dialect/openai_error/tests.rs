use bytes::Bytes;

use super::{of, read, write};
use crate::failure::{Failure, Kind};
use crate::text::Json;

fn error(body: &'static str) -> Failure {
    of(&Json::from_valid(Bytes::from_static(body.as_bytes())))
}

#[test]
fn bodies_have_openai_shape() {
    let failure = Failure::new(Kind::Invalid, "no \"x\"").at("input[0]").code("invalid_type");
    let (status, body) = write(&failure);
    assert_eq!(status, 400);
    let expected =
        r#"{"error":{"message":"no \"x\"","type":"invalid_request_error","param":"input[0]","code":"invalid_type"}}"#;
    assert_eq!(body, expected);
    let mut failure = Failure::new(Kind::Exhausted, "used up").retry_after(60);
    failure.resets_at = Some(1_777_936_568);
    let (status, body) = write(&failure);
    let expected = r#"{"error":{"message":"used up","type":"usage_limit_reached","param":null,"code":"usage_limit_reached","resets_at":1777936568,"resets_in_seconds":60}}"#;
    assert_eq!((status, &body[..]), (429, expected.as_bytes()));
}

#[test]
fn what_is_written_reads_back() {
    let kinds = [
        Kind::Invalid,
        Kind::ModelNotFound,
        Kind::RateLimited,
        Kind::Exhausted,
        Kind::ContextLength,
        Kind::Filtered,
        Kind::Upstream,
        Kind::Overloaded,
        Kind::Timeout,
        Kind::TooLarge,
    ];
    for kind in kinds {
        let (status, body) = write(&Failure::new(kind, "m"));
        assert_eq!(read(status, &body).message, "m");
        if kind != Kind::TooLarge {
            assert_eq!(read(status, &body).kind, kind);
        }
    }
}

#[test]
fn codes_name_kinds() {
    let cases = [
        (r#"{"code":"rate_limit_exceeded","message":"x"}"#, Kind::RateLimited),
        (r#"{"type":"usage_limit_reached","message":"x"}"#, Kind::Exhausted),
        (r#"{"type":"insufficient_quota","code":"insufficient_quota"}"#, Kind::Exhausted),
        (r#"{"code":"context_length_exceeded"}"#, Kind::ContextLength),
        (r#"{"code":"server_is_overloaded","type":"service_unavailable_error"}"#, Kind::Overloaded),
        (r#"{"code":"cyber_policy"}"#, Kind::Filtered),
        (r#"{"code":"server_error"}"#, Kind::Upstream),
        (r#"{"code":"brand_new","type":"invalid_request_error"}"#, Kind::Invalid),
        (r#"{"code":7,"message":null}"#, Kind::Upstream),
        (r#""Model not found gpt-9""#, Kind::ModelNotFound),
        ("[]", Kind::Upstream),
        ("null", Kind::Upstream),
    ];
    for (body, kind) in cases {
        assert_eq!(error(body).kind, kind, "{body}");
    }
}

#[test]
fn delays_are_read() {
    let cases = [
        ("x", None),
        ("Please try again in 1.054s. Visit", Some(2)),
        ("Please try again in 250ms.", Some(1)),
        ("Try again in 7 seconds", Some(7)),
        ("try again in 7 minutes", None),
        ("try again in s", None),
    ];
    for (message, seconds) in cases {
        let body = serde_json::json!({ "message": message }).to_string();
        assert_eq!(of(&Json::from_valid(Bytes::from(body))).retry_after, seconds, "{message}");
    }
    let usage =
        error(r#"{"type":"usage_limit_reached","message":"m","resets_at":1777936568,"resets_in_seconds":13872}"#);
    assert_eq!((usage.retry_after, usage.resets_at), (Some(13872), Some(1_777_936_568)));
    assert_eq!(usage.code.as_deref(), Some("usage_limit_reached"));
}

#[test]
fn bodies_of_any_shape_are_read() {
    let cases: [(u16, &'static str, Kind, &str); 8] = [
        (400, r#"{"detail":"Unsupported parameter: user"}"#, Kind::Invalid, "Unsupported parameter: user"),
        (
            400,
            r#"{"detail":"The 'x' model is not supported when using Codex with a ChatGPT account."}"#,
            Kind::ModelNotFound,
            "The 'x'",
        ),
        (
            402,
            r#"{"detail":{"code":"deactivated_workspace"}}"#,
            Kind::Upstream,
            "The upstream answered with status 402.",
        ),
        (429, r#"{"detail":"Too Many Requests"}"#, Kind::RateLimited, "Too Many"),
        (500, "<html>", Kind::Upstream, "The upstream answered with status 500."),
        (503, "", Kind::Overloaded, "The upstream"),
        (404, r#"{"error":"no"}"#, Kind::Upstream, "no"),
        (401, r#"{"error":{"message":"gone","code":"token_revoked","type":null}}"#, Kind::Upstream, "gone"),
    ];
    for (status, body, kind, message) in cases {
        let failure = read(status, &Bytes::from_static(body.as_bytes()));
        assert_eq!(failure.kind, kind, "{body}");
        assert!(failure.message.starts_with(message), "{failure:?}");
    }
}
