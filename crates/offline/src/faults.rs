//! Ready-made plans for the failures that a client of this backend meets (spec: the backend's error table and the token faults).

use std::time::Duration;

use serde_json::{Value, json};

use crate::errors;
use crate::plan::wire::Termination;
use crate::plan::{Body, Coding, Endpoint, Plan, Wait};
use crate::token::{self, Revocation};

const CHALLENGE: &str = "<!DOCTYPE html><html lang=\"en-US\"><head><title>Just a moment...</title>\
<meta http-equiv=\"Content-Type\" content=\"text/html; charset=UTF-8\"></head><body><noscript>Enable JavaScript and \
cookies to continue</noscript><script>(function(){window._cf_chl_opt={cvId:'3',cType:'managed'};})();</script></body></html>";

/// Model and account failures.
impl Plan {
    /// 429: the plan's window is used up and resets in `resets_in` seconds.
    pub fn usage_limit(resets_in: i64) -> Self {
        let resets_at = token::now() + resets_in;
        Self::json(429, errors::usage_limit("plus", resets_at))
            .header("x-codex-active-limit", "premium")
            .header("x-codex-plan-type", "plus")
            .header("x-codex-primary-used-percent", "100")
            .header("x-codex-primary-window-minutes", "300")
            .header("x-codex-primary-reset-after-seconds", resets_in.to_string())
            .header("x-codex-primary-reset-at", resets_at.to_string())
    }

    /// 429: the plan does not include Codex.
    pub fn usage_not_included() -> Self {
        Self::json(
            429,
            json!({ "error": { "type": "usage_not_included", "message": "Usage not included in your plan" } }),
        )
    }

    /// 429 without a reset time; `retry_after` becomes the header, in seconds.
    pub fn rate_limit(retry_after: Option<u32>) -> Self {
        let message = "Rate limit reached. Please try again later.";
        let plan = Self::json(429, errors::error(message, "tokens", None, Some("rate_limit_exceeded")));
        match retry_after {
            Some(seconds) => plan.header("retry-after", seconds.to_string()),
            None => plan,
        }
    }

    /// 429 with only a `detail`, as the backend's own form.
    pub fn too_many() -> Self {
        Self::json(429, json!({ "detail": "Too Many Requests" }))
    }

    /// 429: a workspace without credits.
    pub fn workspace_depleted() -> Self {
        Self::usage_limit(3_600).header("x-codex-rate-limit-reached-type", "workspace_owner_credits_depleted")
    }

    /// 401 with the body for this refusal; `None` is `{"detail":"Unauthorized"}`.
    pub fn unauthorized(why: Option<Revocation>) -> Self {
        Self::json(401, errors::unauthorized(why))
    }

    /// 402: the workspace is deactivated.
    pub fn deactivated_workspace() -> Self {
        Self::json(402, json!({ "detail": { "code": "deactivated_workspace" } }))
    }

    /// 403 in the backend's own form.
    pub fn forbidden() -> Self {
        Self::json(403, json!({ "detail": "Forbidden" }))
    }

    /// 403: the country is not served.
    pub fn unsupported_country() -> Self {
        let message = "Country, region, or territory not supported";
        let code = "unsupported_country_region_territory";
        Self::json(403, errors::error(message, "request_forbidden", None, Some(code)))
    }

    /// 403: Cloudflare's challenge page.
    pub fn challenge() -> Self {
        Self::text(403, CHALLENGE)
            .header("content-type", "text/html; charset=UTF-8")
            .header("cf-mitigated", "challenge")
            .header("server", "cloudflare")
            .header("cf-ray", "8f00000000000000-AMS")
    }

    /// 404 with an empty body: the path is blocked at the edge.
    pub fn path_block() -> Self {
        Self::text(404, "").header("server", "cloudflare").header("cf-ray", "8f00000000000000-AMS")
    }

    /// 400: the model is not available to this kind of account.
    pub fn model_not_supported(model: &str) -> Self {
        let text = format!("The '{model}' model is not supported when using Codex with a ChatGPT account.");
        Self::json(400, json!({ "detail": text }))
    }

    /// 400 with a code such as `context_length_exceeded` or `invalid_encrypted_content`.
    pub fn bad_request(code: &str, message: &str) -> Self {
        Self::json(400, errors::error(message, "invalid_request_error", None, Some(code)))
    }

    /// 400: the socket has reached its maximum age.
    pub fn connection_limit() -> Self {
        let message =
            "Responses websocket connection limit reached (60 minutes). Create a new websocket connection to continue.";
        Self::bad_request("websocket_connection_limit_reached", message)
    }

    /// 400: the backend does not know the response that a turn continues.
    pub fn previous_not_found() -> Self {
        let message = "Previous response with id 'resp_lost' not found.";
        Self::bad_request("previous_response_not_found", message)
    }

    /// An error frame without a status; the official client ignores it and keeps waiting.
    pub fn error_without_status() -> Self {
        let error = errors::error("Something went wrong.", "server_error", None, None);
        Self::text(200, json!({ "type": "error", "error": error["error"] }).to_string()).hold(Wait::Forever)
    }

    /// The terminal event of another response, sent after `after` events.
    pub fn foreign_completion(after: u32) -> Self {
        let response = json!({ "id": "resp_stray", "object": "response", "status": "completed", "output": [],
            "usage": { "input_tokens": 1, "output_tokens": 1, "total_tokens": 2 } });
        let event = json!({ "type": "response.completed", "sequence_number": 0, "response": response });
        Self::auto().extra(after, format!("event: response.completed\ndata: {event}\n\n"))
    }

    /// 503: the model is at capacity.
    pub fn overloaded() -> Self {
        let message = "Our servers are currently overloaded. Please try again later.";
        Self::json(503, errors::error(message, "service_unavailable_error", None, Some("server_is_overloaded")))
    }

    /// A 5xx with the public API's body.
    pub fn server_error(status: u16) -> Self {
        let message = "The server had an error while processing your request. Sorry about that!";
        Self::json(status, errors::error(message, "server_error", None, Some("server_error")))
    }

    /// A 5xx page of the CDN edge, about `bytes` bytes of HTML.
    pub fn html(status: u16, bytes: usize) -> Self {
        let head = "<html><head><title>Bad gateway</title></head><body><h1>Bad gateway</h1>";
        let text = format!("{head}{}</body></html>", "<p>Error</p>".repeat(bytes.saturating_sub(head.len()) / 12));
        Self::text(status, text).header("content-type", "text/html; charset=UTF-8")
    }

    /// A redirect to another URL.
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::text(status, "").header("location", location)
    }

    /// `count` informational responses before the usual answer.
    pub fn informational(status: u16, count: usize) -> Self {
        (0..count).fold(Self::auto(), |plan, _| plan.interim(status))
    }

    /// The usual answer with `count` extra headers.
    pub fn many_headers(count: usize) -> Self {
        (0..count).fold(Self::auto(), |plan, at| plan.header(format!("x-filler-{at}"), "0123456789abcdef"))
    }

    /// Resets the connection after the request is read, without an answer.
    pub fn reset() -> Self {
        Self::auto().cut_wire(0, Termination::Reset)
    }

    /// Closes the connection after the request is read, without an answer.
    pub fn close() -> Self {
        Self::auto().cut_wire(0, Termination::Fin)
    }

    /// Silence for `time` after `after` events.
    pub fn silence(after: u32, time: Duration) -> Self {
        Self::auto().pause(after, time)
    }

    /// `response.failed` after `after` events.
    pub fn failed(after: u32, code: &str, message: &str) -> Self {
        Self::auto().cut_event(after, Termination::Failed { code: code.to_owned(), message: message.to_owned() })
    }

    /// `response.incomplete` after `after` events.
    pub fn incomplete(after: u32, reason: &str) -> Self {
        Self::auto().cut_event(after, Termination::Incomplete { reason: reason.to_owned() })
    }

    /// A stream with one delta of `bytes` bytes that compresses to almost nothing.
    pub fn bomb(bytes: u64, coding: Coding) -> Self {
        Self::auto().huge(bytes).compress(coding)
    }
}

/// Relay failures, in the error format of the API at `place`.
impl Plan {
    /// A failure with any status; the error type follows from the status.
    pub fn relay(place: Endpoint, status: u16, message: &str) -> Self {
        let reject = place.api().refusal(status, message);
        Self::json(reject.status, reject.body)
    }

    /// 429 with the time to retry after: `retry-after`, or Google's `RetryInfo`.
    pub fn relay_limit(place: Endpoint, seconds: u32) -> Self {
        let mut plan = Self::relay(place, 429, "Rate limit reached. Please try again later.");
        if place != Endpoint::GeminiRelay {
            return plan.header("retry-after", seconds.to_string());
        }
        if let Body::Json(body) = &mut plan.body {
            body["error"]["details"] = json!([
                { "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                    "violations": [{ "quotaId": "GenerateRequestsPerMinutePerProjectPerModel" }] },
                { "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": format!("{seconds}s") },
            ]);
        }
        plan
    }

    /// The refusal of an unknown key; Google's status is 400.
    pub fn relay_key(place: Endpoint) -> Self {
        let reject = crate::relay::wrong_key(place.api());
        Self::json(reject.status, reject.body)
    }
}

/// Token endpoint failures.
impl Plan {
    /// 401 with one of `refresh_token_reused`, `refresh_token_expired`, `refresh_token_invalidated`.
    pub fn refresh_refused(code: &str) -> Self {
        Self::json(401, errors::refresh_failed(code))
    }

    /// 400 `invalid_grant`.
    pub fn invalid_grant() -> Self {
        Self::json(400, errors::oauth("invalid_grant", "The provided grant is invalid."))
    }

    /// 200 with only an access token. The presented refresh token still works afterwards.
    pub fn refresh_without_rotation(access: &str) -> Self {
        Self::json(200, json!({ "access_token": access, "token_type": "Bearer", "expires_in": 864_000 }))
    }

    /// 200 with a body that is not JSON; the refresh token rotates anyway.
    pub fn malformed_refresh() -> Self {
        Self::text(200, "<html>maintenance</html>").header("content-type", "text/html").with_effects()
    }

    /// The token rotates, then the connection is reset after the headers.
    pub fn reset_after_headers() -> Self {
        Self::auto().cut_byte(0, Termination::Reset)
    }

    /// Any JSON with a status, for bodies without a method here.
    pub fn answer(status: u16, body: Value) -> Self {
        Self::json(status, body)
    }
}
