use super::*;

/// Status, body; kind, code, seconds to wait, a part of the message.
type Case = (u16, &'static str, Kind, Option<&'static str>, Option<u64>, &'static str);

#[rustfmt::skip]
const CASES: &[Case] = &[
    // OpenAI and compatible services.
    (401, r#"{"error":{"message":"Incorrect API key provided","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#, Kind::Invalid, Some("invalid_api_key"), None, "Incorrect"),
    (429, r#"{"error":{"message":"Rate limit reached, try again in 1.2s","type":"requests","code":"rate_limit_exceeded"}}"#, Kind::RateLimited, Some("rate_limit_exceeded"), Some(2), "Rate"),
    (429, r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#, Kind::Exhausted, Some("insufficient_quota"), None, "quota"),
    (404, r#"{"error":{"message":"The model `x` does not exist","type":"invalid_request_error","code":"model_not_found"}}"#, Kind::ModelNotFound, Some("model_not_found"), None, "does not exist"),
    (400, r#"{"error":{"message":"This model's maximum context length is 8192 tokens","type":"invalid_request_error","code":null}}"#, Kind::ContextLength, None, None, "8192"),
    (402, r#"{"error":{"message":"Insufficient credits","code":402}}"#, Kind::Exhausted, None, None, "credits"),
    (403, r#"{"error":{"code":403,"message":"flagged","metadata":{"reasons":["violence"],"flagged_input":"..."}}}"#, Kind::Filtered, None, None, "flagged"),
    (502, r#"{"error":{"code":502,"message":"Provider returned error"}}"#, Kind::Upstream, None, None, "Provider"),
    // Anthropic.
    (401, r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}"#, Kind::Unauthorized, None, None, "x-api-key"),
    (403, r#"{"type":"error","error":{"type":"permission_error","message":"not allowed"}}"#, Kind::Forbidden, None, None, "not allowed"),
    (404, r#"{"type":"error","error":{"type":"not_found_error","message":"model: claude-0"}}"#, Kind::ModelNotFound, None, None, "claude-0"),
    (404, r#"{"type":"error","error":{"type":"not_found_error","message":"Not Found"}}"#, Kind::NotFound, None, None, "Not Found"),
    (429, r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow"}}"#, Kind::RateLimited, None, None, "slow"),
    (529, r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#, Kind::Overloaded, None, None, "Overloaded"),
    (500, r#"{"type":"error","error":{"type":"api_error","message":"Internal server error"}}"#, Kind::Upstream, None, None, "Internal"),
    (400, r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"}}"#, Kind::ContextLength, None, None, "210000"),
    (400, r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API."}}"#, Kind::Exhausted, None, None, "credit"),
    (413, r#"{"type":"error","error":{"type":"request_too_large","message":"big"}}"#, Kind::TooLarge, Some("request_too_large"), None, "big"),
    // Google.
    (400, r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"@type":"x","reason":"API_KEY_INVALID"}]}}"#, Kind::Unauthorized, Some("API_KEY_INVALID"), None, "API key"),
    (429, r#"[{"error":{"code":429,"message":"Resource exhausted","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"33.4s"}]}}]"#, Kind::RateLimited, None, Some(34), "Resource"),
    (404, r#"{"error":{"code":404,"message":"models/x is not found for API version v1beta","status":"NOT_FOUND"}}"#, Kind::ModelNotFound, None, None, "models/x"),
    (400, r#"{"error":{"code":400,"message":"Invalid value at 'contents'","status":"INVALID_ARGUMENT"}}"#, Kind::Invalid, None, None, "contents"),
    (400, r#"{"error":{"code":400,"message":"The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}"#, Kind::ContextLength, None, None, "1048576"),
    (503, r#"{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}"#, Kind::Overloaded, None, None, "overloaded"),
    // Local servers, proxies and invalid bodies.
    (400, r#"{"error":{"code":400,"message":"request (13392 tokens) exceeds the available context size (8192 tokens), try increasing it","type":"exceed_context_size_error","n_prompt_tokens":13392,"n_ctx":8192}}"#, Kind::ContextLength, None, None, "increasing it"),
    (400, r#"{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error","n_prompt_tokens":5000,"n_ctx":4096}}"#, Kind::ContextLength, None, None, "size (n_prompt_tokens: 5000, n_ctx: 4096)"),
    (400, r#"{"error":"The number of tokens to keep from the initial prompt is greater than the context length"}"#, Kind::ContextLength, None, None, "initial prompt"),
    (400, r#"{"object":"error","message":"The decoder prompt (length 8867) is longer than the maximum model length of 8192.","type":"BadRequestError","code":400}"#, Kind::ContextLength, Some("BadRequestError"), None, "8192"),
    (400, r#"{"error":{"message":"max_tokens is too large: 32768. This model supports at most 16384 completion tokens, whereas you provided 32768.","type":"invalid_request_error","param":"max_tokens","code":"invalid_value"}}"#, Kind::Invalid, Some("invalid_value"), None, "16384"),
    (404, r#"{"error":"model 'llama9' not found"}"#, Kind::ModelNotFound, None, None, "llama9"),
    (404, "404 page not found", Kind::NotFound, None, None, "page not found"),
    (502, "<html><title>502</title></html>", Kind::Upstream, None, None, "web page"),
    (422, r#"{"detail":[{"loc":["body"],"msg":"field required"}]}"#, Kind::Invalid, None, None, "status 422"),
    (401, "", Kind::Unauthorized, None, None, "status 401"),
    (500, "[]", Kind::Upstream, None, None, "status 500"),
    (400, "\u{fffd}{", Kind::Invalid, None, None, "{"),
];

#[test]
fn bodies_of_all_kinds_are_read() {
    for (status, body, kind, code, wait, part) in CASES {
        let failure = from_body(*status, &Bytes::from_static(body.as_bytes()));
        let got = (failure.kind, failure.code.as_deref(), failure.retry_after);
        assert_eq!(got, (*kind, *code, *wait), "{status} {body}");
        assert!(failure.message.contains(part), "{status} {body}: {}", failure.message);
        assert!(failure.message.len() <= 2048);
    }
}
