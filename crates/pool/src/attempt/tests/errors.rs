//! What every reader of upstream errors makes of the same code, wording, status and body. The readers disagree in places, on
//! purpose: a word in a stream, in a relay's body and in an account's body does not mean the same. `errors.txt` pins all of it.

use proto::Json;
use proto::upstream_error::{Source, from_body, from_object, kind_of_status};

use super::super::refusal::{self, Refusal};
use super::super::relay_refusal;
use super::*;

const CODES: &[&str] = &[
    "rate_limit_exceeded",
    "rate_limit_error",
    "slow_down",
    "too_many_requests",
    "usage_limit_reached",
    "quota_exceeded",
    "usage_not_included",
    "insufficient_quota",
    "billing_limit",
    "organization_spend_limit_exceeded",
    "workspace_owner_credits_depleted",
    "workspace_member_credits_depleted",
    "workspace_owner_usage_limit_reached",
    "workspace_member_usage_limit_reached",
    "billing_error",
    "billing_hard_limit_reached",
    "session_budget_exceeded",
    "context_length_exceeded",
    "context_window_exceeded",
    "exceed_context_size_error",
    "server_is_overloaded",
    "service_unavailable_error",
    "policy_capacity_unavailable",
    "flex_unavailable",
    "overloaded_error",
    "cyber_policy",
    "bio_policy",
    "misalignment_policy_violation",
    "content_filter",
    "content_policy_violation",
    "moderation_blocked",
    "invalid_prompt",
    "model_not_found",
    "model_not_supported",
    "not_found_error",
    "request_too_large",
    "previous_response_not_found",
    "invalid_encrypted_content",
    "missing_tool_output",
    "unsupported_value",
    "request_timeout",
    "timeout",
    "timeout_error",
    "upstream_timeout",
    "server_error",
    "internal_server_error",
    "internal_error",
    "api_error",
    "stream_cut",
    "invalid_image_request",
    "invalid_image_url",
    "image_parse_error",
    "invalid_value",
    "invalid_type",
    "invalid_request_error",
    "missing_required_parameter",
    "unsupported_parameter",
    "authentication_error",
    "invalid_api_key",
    "UNAUTHENTICATED",
    "API_KEY_INVALID",
    "API_KEY_EXPIRED",
    "permission_error",
    "PERMISSION_DENIED",
    "API_KEY_SERVICE_BLOCKED",
    "NOT_FOUND",
    "RESOURCE_EXHAUSTED",
    "UNAVAILABLE",
    "DEADLINE_EXCEEDED",
    "token_invalidated",
    "token_expired",
    "token_revoked",
    "token_invalid",
    "access_token_expired",
    "account_deactivated",
    "account_banned",
    "account_suspended",
    "deactivated_workspace",
    "organization_disabled",
    "identity_verification_required",
    "unsupported_country_region_territory",
    "workspace_access_denied",
    "brand_new",
    "Slow_Down",
    "",
];

const MESSAGES: &[&str] = &[
    "The 'x' model is not supported when using Codex with a ChatGPT account.",
    "Model not found gpt-9",
    "The model is not supported",
    "Previous response resp_1 was not found",
    "The encrypted content gAAA could not be verified.",
    "Your input exceeds the context window of this model.",
    "A context window of few",
    "This model's maximum context length is 8192 tokens",
    "prompt is too long: 9 tokens > 8 maximum",
    "It exceeds the available context size",
    "It is greater than the context length",
    "It exceeded model token limit",
    "The token count exceeds the maximum",
    "The decoder prompt (length 8867) is longer than the maximum model length of 8192.",
    "Too Many Requests",
    "Your credit balance is too low",
    "Your credit balance is too low, and n_ctx: 4096",
    "API key not valid",
    "API key expired",
    "User location is not supported",
    "You have insufficient permissions. Missing scopes: model.request.",
    "Invalid `signature` in `thinking` block",
    "The model does not exist",
    "no",
];

const STATUSES: &[u16] = &[
    302, 400, 401, 402, 403, 404, 405, 407, 408, 409, 413, 415, 418, 421, 422, 425, 426, 429, 500, 501, 502, 503, 504,
    520, 529,
];

const BODIES: &[&str] = &[
    r#"{"error":{"message":"m","code":"c","type":"t","param":"p"}}"#,
    r#"{"error":{"message":"m","type":"usage_limit_reached"}}"#,
    r#"{"error":{"message":"m","code":"c","type":"usage_limit_reached"}}"#,
    r#"{"error":{"message":7,"code":7,"type":null,"param":[]}}"#,
    r#"{"error":{}}"#,
    r#"{"error":"m"}"#,
    r#"{"error":null,"detail":"m"}"#,
    r#"{"detail":{"code":"c"}}"#,
    r#"{"detail":[{"loc":["body"],"msg":"bad"}]}"#,
    r#"{"message":"m","type":"t"}"#,
    r#"{"error":{"message":"m\"\u00e9"}}"#,
    r#"[{"loc":"x"}]"#,
    r#"[{"error":{"message":"m","code":"c"}}]"#,
    r#""m""#,
    "[]",
    "null",
    "plain text\n",
    " <html>",
    "",
];

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn in_stream(object: &str) -> Failure {
    from_object(&Json::from_valid(bytes(object)))
}

fn relay(status: u16, body: &str) -> Failure {
    from_body(status, &bytes(body))
}

fn account(status: u16, body: &str) -> Refusal {
    refusal::read_status(status, &bytes(body), &Retry::default(), NOW)
}

fn begun(failure: &Failure) -> Refusal {
    refusal::read_early_failure(failure, None, NOW)
}

fn keyed(status: u16, failure: &Failure) -> Refusal {
    relay_refusal::read(status, failure, &Retry::default(), NOW)
}

/// Class and kind.
fn both(refusal: &Refusal) -> String {
    format!("{:?}>{:?}", refusal.class, refusal.failure.kind)
}

fn quoted(text: &str) -> String {
    Json::of(text).as_str().to_owned()
}

/// In a stream as `code` and as `type`, and the code then | a relay's body with it as `code`, `type`, `status` and `reason`, and the code of
/// the second | an account's body under 400, 400 as `type`, 429, 401, 503 | a failure at the start of an account's stream as `code` and
/// `type` | what becomes of the four of a relay.
fn of_code(code: &str) -> String {
    let as_code = format!(r#"{{"message":"m","code":"{code}"}}"#);
    let as_type = format!(r#"{{"message":"m","type":"{code}"}}"#);
    let as_status = format!(r#"{{"error":{{"message":"m","status":"{code}"}}}}"#);
    let as_reason = format!(r#"{{"error":{{"message":"m","details":[{{"reason":"{code}"}}]}}}}"#);
    let body = |object: &str| format!(r#"{{"error":{object}}}"#);
    let [stream_code, stream_type] = [in_stream(&as_code), in_stream(&as_type)];
    let relays = [body(&as_code), body(&as_type), as_status, as_reason].map(|body| relay(400, &body));
    let accounts = [(400, &as_code), (400, &as_type), (429, &as_code), (401, &as_code), (503, &as_code)];
    let accounts = accounts.map(|(status, object)| both(&account(status, &body(object))));
    format!(
        "{code} | {:?} {:?} {:?} | {:?} {:?} | {} | {} {} | {}",
        stream_code.kind,
        stream_type.kind,
        stream_type.code,
        relays.each_ref().map(|failure| failure.kind),
        relays[1].code,
        accounts.join(" "),
        both(&begun(&stream_code)),
        both(&begun(&stream_type)),
        relays.each_ref().map(|failure| both(&keyed(400, failure))).join(" "),
    )
}

/// In a stream alone, beside a general type, and as a bare text | a relay's body under 400, 403, 404, 500, and as plain text | an account's
/// body under the same | a failure at the start of an account's stream | what becomes of the four of a relay, and of the second under 403.
fn of_message(message: &str) -> String {
    let object = format!(r#"{{"message":{}}}"#, quoted(message));
    let generic = format!(r#"{{"message":{},"type":"invalid_request_error"}}"#, quoted(message));
    let [stream, typed, text] = [in_stream(&object), in_stream(&generic), in_stream(&quoted(message))];
    let statuses = [400, 403, 404, 500];
    let relays = statuses.map(|status| relay(status, &format!(r#"{{"error":{object}}}"#)));
    let accounts = statuses.map(|status| both(&account(status, &format!(r#"{{"error":{object}}}"#))));
    let refused = relays.each_ref().map(|failure| both(&keyed(400, failure)));
    format!(
        "{message} | {:?} {:?} {:?} | {:?} {:?} | {} | {} | {} {}",
        stream.kind,
        typed.kind,
        text.kind,
        relays.each_ref().map(|failure| failure.kind),
        relay(400, message).kind,
        accounts.join(" "),
        both(&begun(&stream)),
        refused.join(" "),
        both(&keyed(403, &relays[1])),
    )
}

/// In a stream | a relay | an account with and without a body | what becomes of the relay's.
fn of_status(status: u16) -> String {
    let relay = relay(status, "{}");
    format!(
        "{status} | {:?} | {:?} | {} {} | {}",
        kind_of_status(status, Source::Stream),
        relay.kind,
        both(&account(status, "{}")),
        both(&account(status, "")),
        both(&keyed(status, &relay)),
    )
}

/// Message, code and field of a relay's and of an account's.
fn of_body(body: &str) -> String {
    let words = |failure: &Failure| format!("{:?} {:?} {:?}", failure.message, failure.code, failure.param);
    format!("{body:?} | {} | {}", words(&relay(400, body)), words(&account(429, body).failure))
}

#[test]
fn every_reader_keeps_its_meaning() {
    let upper: Vec<_> = MESSAGES.iter().flat_map(|text| [(*text).to_owned(), text.to_ascii_uppercase()]).collect();
    let rows = CODES.iter().map(|code| of_code(code));
    let rows = rows.chain(upper.iter().map(|text| of_message(text)));
    let rows = rows.chain(STATUSES.iter().map(|status| of_status(*status)));
    let rows: Vec<_> = rows.chain(BODIES.iter().map(|body| of_body(body))).collect();
    let expected: Vec<_> = include_str!("errors.txt").lines().collect();
    for (row, expected) in rows.iter().zip(&expected) {
        assert_eq!(row, expected);
    }
    assert_eq!(rows.len(), expected.len());
}

/// A stream and a relay's body are read strictly, an account's body leniently, and its own span beats `Retry-After`.
#[rstest]
#[case("70", Some(70), 70)]
#[case("70.0", Some(70), 70)]
#[case("70.9", None, 70)]
#[case("\"70\"", None, 70)]
#[case("-70", None, 9)]
#[case("true", None, 9)]
fn spans_are_read(#[case] number: &str, #[case] strict: Option<u64>, #[case] lenient: i64) {
    let object = format!(r#"{{"type":"usage_limit_reached","message":"m","resets_in_seconds":{number}}}"#);
    let body = format!(r#"{{"error":{object}}}"#);
    assert_eq!((in_stream(&object).retry_after, relay(429, &body).retry_after), (strict, strict));
    let retry = Retry { after: Some(9), ..Retry::default() };
    let until = refusal::read_status(429, &bytes(&body), &retry, NOW).until;
    assert_eq!(until, NOW.plus(lenient * 1000));
    let limited = body.replace("usage_limit_reached", "rate_limit_exceeded");
    assert_eq!(refusal::read_status(429, &bytes(&limited), &retry, NOW).until, NOW.plus(9000));
    let at = body.replace("resets_in_seconds", "resets_at");
    assert_eq!(relay(429, &at).resets_at, strict);
}

/// Streams and relays cut texts and leave secrets to the classification, which cleans all that it shows.
#[test]
fn shown_texts_are_cut_and_clean() {
    let secret = "sk-proj-abcdefghijklmnopqrstuvwx";
    let object = format!(r#"{{"message":"{secret} {}","code":"{}"}}"#, "m".repeat(4000), "c".repeat(400));
    let body = format!(r#"{{"error":{object}}}"#);
    for failure in [in_stream(&object), relay(400, &body)] {
        assert_eq!((failure.message.len(), failure.code.as_deref().map(str::len)), (2048, Some(400)));
        assert!(failure.message.starts_with(secret));
    }
    let plain = relay(400, &format!("{secret} {}", "m".repeat(4000)));
    assert!(plain.message.len() == 512 && plain.message.starts_with(secret));
    let shown = [account(400, &body), begun(&in_stream(&object)), keyed(400, &relay(400, &body))];
    for Refusal { failure, .. } in shown {
        assert!(failure.message.starts_with("*** mmm") && failure.message.len() <= limits::MESSAGE);
        assert_eq!(failure.code.map(|code| code.len()), Some(128));
    }
}
