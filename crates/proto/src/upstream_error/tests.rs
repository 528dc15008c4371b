use super::*;

fn error(body: &'static str) -> Failure {
    from_object(&Json::from_valid(Bytes::from_static(body.as_bytes())))
}

/// The failure of a body, read as in a stream, together with a status.
fn refined(status: u16, body: &'static str) -> Failure {
    let error = error_object(&Bytes::from_static(body.as_bytes()));
    let mut failure = error.map_or_else(|| Failure::new(Kind::Upstream, ""), |error| from_object(&error));
    refine(&mut failure, status, Source::Stream);
    failure
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
        assert_eq!(from_object(&Json::from_valid(Bytes::from(body))).retry_after, seconds, "{message}");
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
        (402, r#"{"detail":{"code":"deactivated_workspace"}}"#, Kind::Upstream, ""),
        (429, r#"{"detail":"Too Many Requests"}"#, Kind::RateLimited, "Too Many"),
        (500, "<html>", Kind::Upstream, ""),
        (503, "", Kind::Overloaded, ""),
        (404, r#"{"error":"no"}"#, Kind::Upstream, "no"),
        (401, r#"{"error":{"message":"gone","code":"token_revoked","type":null}}"#, Kind::Upstream, "gone"),
    ];
    for (status, body, kind, message) in cases {
        let failure = refined(status, body);
        assert_eq!(failure.kind, kind, "{body}");
        assert!(failure.message.starts_with(message), "{failure:?}");
        assert_eq!(failure.message.is_empty(), message.is_empty(), "{failure:?}");
    }
}
