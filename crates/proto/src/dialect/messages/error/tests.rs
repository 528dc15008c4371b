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

/// Anthropic's SDK reads the details and continues with the whole conversation (`continue_unthreaded`, 1.11.0).
#[test]
fn a_thread_is_refused_so_that_sdks_go_on_without_it() {
    let body = r#"{"model":"m","thread":{"type":"create"},"messages":[{"role":"user","content":"x"}]}"#;
    let failure = crate::dialect::Dialect::Messages.read_request(body.into()).unwrap_err();
    let (status, body) = write(&failure);
    assert_eq!(status, 400);
    let details = r#""details":{"error_code":"thread_unsupported_request","unsupported":["thread"]}}}"#;
    assert!(std::str::from_utf8(&body).unwrap().ends_with(details), "{body:?}");
    let body = r#"{"model":"m","thread":null,"messages":[{"role":"user","content":"x"}]}"#;
    assert!(crate::dialect::Dialect::Messages.read_request(body.into()).is_ok());
}

#[test]
fn a_context_length_error_has_the_wording_that_clients_compact_on() {
    let cases = [
        ("prompt is too long: 7 tokens > 5 maximum", "prompt is too long: 7 tokens > 5 maximum"),
        (
            "Your input exceeds the context window of this model.",
            "prompt is too long: Your input exceeds the context window of this model.",
        ),
        (
            "This model's maximum context length is 102400 tokens. However, you requested 107837 tokens (99645 in the messages, 8192 in the completion).",
            "This model's maximum context length is 102400 tokens. However, you requested 107837 tokens (99645 in the messages, 8192 in the completion).",
        ),
        (
            "This model's maximum context length is 128,000 tokens. However, your messages resulted in 130231 tokens.",
            "prompt is too long: 130231 tokens > 128000 maximum",
        ),
        (
            "The prompt of gpt-4o-2024-08-06 is over the limit (request 9121).",
            "prompt is too long: The prompt of gpt-4o-2024-08-06 is over the limit (request 9121).",
        ),
        ("gpt-5.5 takes no more than 272000 tokens", "prompt is too long: gpt-5.5 takes no more than 272000 tokens"),
    ];
    for (message, expected) in cases {
        assert_eq!(too_long(message), expected);
    }
}

/// A prompt that fits its window is not too long: this text makes clients lower `max_tokens`; otherwise they would compact in a loop.
#[test]
fn a_refused_output_limit_keeps_the_upstreams_words() {
    for message in [
        "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease input length or `max_tokens` and try again",
        "'max_tokens' or 'max_completion_tokens' is too large: 40000. This model's maximum context length is 32,768 tokens and your request has 200 input tokens (40000 > 32768 - 200).",
        "This model's maximum context length is 40960 tokens. However, you requested 14746 output tokens and your prompt contains at least 26215 input tokens.",
    ] {
        assert_eq!(too_long(message), message);
    }
}
