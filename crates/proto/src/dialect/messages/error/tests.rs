use super::{status, too_long, write};
use crate::failure::{Failure, Kind};

#[test]
fn statuses_and_types_are_those_that_sdks_know() {
    let cases = [
        (Kind::Invalid, 400, "invalid_request_error"),
        (Kind::Unauthorized, 401, "authentication_error"),
        (Kind::Forbidden, 403, "permission_error"),
        (Kind::NotFound, 404, "not_found_error"),
        (Kind::ModelNotFound, 404, "not_found_error"),
        (Kind::Method, 405, "invalid_request_error"),
        (Kind::Stalled, 408, "invalid_request_error"),
        (Kind::TooLarge, 413, "request_too_large"),
        (Kind::Unsupported, 415, "invalid_request_error"),
        (Kind::RateLimited, 429, "rate_limit_error"),
        (Kind::Exhausted, 429, "rate_limit_error"),
        (Kind::ContextLength, 400, "invalid_request_error"),
        (Kind::Filtered, 400, "invalid_request_error"),
        (Kind::Internal, 500, "api_error"),
        (Kind::Upstream, 502, "api_error"),
        (Kind::NoAccount, 503, "overloaded_error"),
        (Kind::Timeout, 504, "timeout_error"),
        (Kind::Overloaded, 529, "overloaded_error"),
    ];
    for (kind, code, name) in cases {
        assert_eq!(status(kind), code, "{kind:?}");
        let (_, body) = write(&Failure::new(kind, "prompt is too long: a \"word\""));
        let expected =
            format!(r#"{{"type":"error","error":{{"type":"{name}","message":"prompt is too long: a \"word\""}}}}"#);
        assert_eq!(body, expected);
    }
}

#[test]
fn a_long_prompt_is_said_so_that_clients_compact() {
    let cases = [
        ("prompt is too long: 7 tokens > 5 maximum", "prompt is too long: 7 tokens > 5 maximum"),
        (
            "Your input exceeds the context window of this model.",
            "prompt is too long: Your input exceeds the context window of this model.",
        ),
        (
            "This model's maximum context length is 102400 tokens. However, you requested 107837 tokens (99645 in the messages, 8192 in the completion).",
            "prompt is too long: 107837 tokens > 102400 maximum",
        ),
        (
            "The prompt has 300,000 tokens, the model takes 272,000.",
            "prompt is too long: 300000 tokens > 272000 maximum",
        ),
        ("gpt-5.5 takes no more than 272000 tokens", "prompt is too long: gpt-5.5 takes no more than 272000 tokens"),
    ];
    for (message, expected) in cases {
        assert_eq!(too_long(message), expected);
    }
}
