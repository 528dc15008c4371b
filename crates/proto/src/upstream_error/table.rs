//! The tables of codes, wordings and statuses. A column is empty where the word has no meaning there, or a less exact one than the status.

use super::{Cause, Source};
use crate::failure::Kind;

/// Words, separated by blanks; their kind as `code` or `type` of an error object; their kind as `type`, `status` or `reason` of a relay's
/// body, which overrides the first; the cause that they name for an account or a key.
type Codes = (&'static str, Option<Kind>, Option<Kind>, Option<Cause>);

const CODES: &[Codes] = &[
    ("rate_limit_exceeded", Some(Kind::RateLimited), None, Some(Cause::Kind(Kind::RateLimited))),
    ("rate_limit_error", Some(Kind::RateLimited), Some(Kind::RateLimited), None),
    ("RESOURCE_EXHAUSTED", None, Some(Kind::RateLimited), None),
    ("too_many_requests", Some(Kind::RateLimited), None, None),
    // The accounts' backend sends this code about itself, not about a limit of the account.
    ("slow_down", Some(Kind::RateLimited), None, Some(Cause::Kind(Kind::Overloaded))),
    ("usage_limit_reached quota_exceeded", Some(Kind::Exhausted), None, Some(Cause::Exhausted("usage"))),
    ("workspace_owner_usage_limit_reached", Some(Kind::Exhausted), None, Some(Cause::Exhausted("workspace"))),
    ("workspace_member_usage_limit_reached", Some(Kind::Exhausted), None, Some(Cause::Exhausted("workspace"))),
    ("workspace_owner_credits_depleted", Some(Kind::Exhausted), None, Some(Cause::Exhausted("credits"))),
    ("workspace_member_credits_depleted", Some(Kind::Exhausted), None, Some(Cause::Exhausted("credits"))),
    ("organization_spend_limit_exceeded", Some(Kind::Exhausted), None, Some(Cause::Exhausted("credits"))),
    ("insufficient_quota billing_limit", Some(Kind::Exhausted), None, Some(Cause::Exhausted("credits"))),
    ("usage_not_included", Some(Kind::Exhausted), None, Some(Cause::Exhausted("plan"))),
    // Words of relays; the accounts' backend does not use them.
    ("billing_error", Some(Kind::Exhausted), Some(Kind::Exhausted), None),
    ("billing_hard_limit_reached session_budget_exceeded", Some(Kind::Exhausted), None, None),
    ("context_length_exceeded", Some(Kind::ContextLength), None, Some(Cause::Kind(Kind::ContextLength))),
    ("context_window_exceeded", Some(Kind::ContextLength), None, Some(Cause::Kind(Kind::ContextLength))),
    ("exceed_context_size_error", Some(Kind::ContextLength), None, None),
    ("request_too_large", Some(Kind::TooLarge), Some(Kind::TooLarge), None),
    ("server_is_overloaded", Some(Kind::Overloaded), None, Some(Cause::Kind(Kind::Overloaded))),
    ("service_unavailable_error policy_capacity_unavailable flex_unavailable", Some(Kind::Overloaded), None, None),
    ("overloaded_error", Some(Kind::Overloaded), Some(Kind::Overloaded), None),
    ("UNAVAILABLE", None, Some(Kind::Overloaded), None),
    ("request_timeout timeout upstream_timeout", Some(Kind::Timeout), None, None),
    ("timeout_error", Some(Kind::Timeout), Some(Kind::Timeout), None),
    ("DEADLINE_EXCEEDED", None, Some(Kind::Timeout), None),
    ("server_error", Some(Kind::Upstream), None, Some(Cause::Kind(Kind::Upstream))),
    ("internal_server_error internal_error api_error stream_cut", Some(Kind::Upstream), None, None),
    ("cyber_policy bio_policy content_filter", Some(Kind::Filtered), None, Some(Cause::Kind(Kind::Filtered))),
    ("misalignment_policy_violation", Some(Kind::Filtered), None, Some(Cause::Kind(Kind::Filtered))),
    ("content_policy_violation moderation_blocked", Some(Kind::Filtered), None, None),
    ("invalid_prompt", Some(Kind::Filtered), None, Some(Cause::Kind(Kind::Invalid))),
    ("model_not_found model_not_supported", Some(Kind::ModelNotFound), None, Some(Cause::Kind(Kind::ModelNotFound))),
    // In a relay's body the message decides whether the error is about a model.
    ("not_found_error", Some(Kind::ModelNotFound), Some(Kind::NotFound), None),
    ("NOT_FOUND", None, Some(Kind::NotFound), None),
    ("previous_response_not_found invalid_encrypted_content", Some(Kind::Invalid), None, Some(Cause::Replay)),
    ("invalid_image_request", Some(Kind::Invalid), None, Some(Cause::Kind(Kind::Invalid))),
    ("invalid_request_error invalid_value invalid_type", Some(Kind::Invalid), None, None),
    ("missing_required_parameter missing_tool_output", Some(Kind::Invalid), None, None),
    ("unsupported_parameter unsupported_value", Some(Kind::Invalid), None, None),
    ("authentication_error", None, Some(Kind::Unauthorized), Some(Cause::RelayKey)),
    ("API_KEY_INVALID API_KEY_EXPIRED", None, Some(Kind::Unauthorized), Some(Cause::RelayKey)),
    ("invalid_api_key", None, None, Some(Cause::RelayKey)),
    ("UNAUTHENTICATED", None, Some(Kind::Unauthorized), None),
    ("permission_error PERMISSION_DENIED API_KEY_SERVICE_BLOCKED", None, Some(Kind::Forbidden), None),
    ("token_invalidated token_expired token_revoked", None, None, Some(Cause::Kind(Kind::Unauthorized))),
    ("token_invalid access_token_expired", None, None, Some(Cause::Kind(Kind::Unauthorized))),
    ("account_deactivated account_banned account_suspended", None, None, Some(Cause::Banned)),
    ("deactivated_workspace organization_disabled", None, None, Some(Cause::Banned)),
    ("identity_verification_required", None, None, Some(Cause::Banned)),
    ("unsupported_country_region_territory workspace_access_denied", None, None, Some(Cause::Kind(Kind::Forbidden))),
];

/// Parts that a message must all contain; the columns as in [`Codes`]. Messages of streams are compared as they are, those of relays and
/// accounts in lower case.
type Wording = (&'static [&'static str], Option<Kind>, Option<Kind>, Option<Cause>);

const WORDINGS: &[Wording] = &[
    (&["is not supported when using Codex"], Some(Kind::ModelNotFound), None, None),
    (&["Model not found"], Some(Kind::ModelNotFound), None, None),
    (&["model is not supported"], None, None, Some(Cause::Kind(Kind::ModelNotFound))),
    (&["model not found"], None, None, Some(Cause::Kind(Kind::ModelNotFound))),
    (&["previous response", "not found"], None, None, Some(Cause::Replay)),
    (&["encrypted content", "verif"], None, None, Some(Cause::Replay)),
    (&["exceeds the context window"], Some(Kind::ContextLength), None, None),
    (&["maximum context length"], Some(Kind::ContextLength), Some(Kind::ContextLength), None),
    (&["prompt is too long"], Some(Kind::ContextLength), Some(Kind::ContextLength), None),
    (&["context window"], None, Some(Kind::ContextLength), None),
    (&["available context size"], None, Some(Kind::ContextLength), None),
    (&["greater than the context length"], None, Some(Kind::ContextLength), None),
    (&["model token limit"], None, Some(Kind::ContextLength), None),
    (&["token count", "exceeds the maximum"], None, Some(Kind::ContextLength), None),
    (&["Too Many Requests"], Some(Kind::RateLimited), None, None),
    (&["credit balance is too low"], None, Some(Kind::Exhausted), None),
    (&["api key not valid"], None, Some(Kind::Unauthorized), None),
    (&["api key expired"], None, Some(Kind::Unauthorized), None),
    (&["location is not supported"], None, Some(Kind::Forbidden), None),
];

/// The value for a word in one column of [`CODES`].
pub(super) fn code<T>(word: &str, column: fn(&Codes) -> Option<T>) -> Option<T> {
    CODES.iter().find(|row| row.0.split(' ').any(|known| known == word)).and_then(column)
}

/// The value in one column of [`WORDINGS`] for the first wording that a message contains.
pub(super) fn wording<T>(message: &str, column: fn(&Wording) -> Option<T>) -> Option<T> {
    WORDINGS.iter().filter(|row| row.0.iter().all(|part| message.contains(part))).find_map(column)
}

/// The meaning of a status alone.
pub fn kind_of_status(status: u16, source: Source) -> Kind {
    match (status, source) {
        (413, _) => Kind::TooLarge,
        (429, _) => Kind::RateLimited,
        (503, _) | (529, Source::Relay) => Kind::Overloaded,
        (408 | 504, _) => Kind::Timeout,
        (404, Source::Relay | Source::Account) => Kind::NotFound,
        (401, Source::Relay) => Kind::Unauthorized,
        (402, Source::Relay) => Kind::Exhausted,
        (403, Source::Relay) => Kind::Forbidden,
        (405, Source::Relay) => Kind::Method,
        (415, Source::Account) => Kind::Unsupported,
        // These statuses are about the connection or the gateway's own request line, never about the client's content.
        (401..=403 | 405 | 407 | 421 | 426, _) => Kind::Upstream,
        (400 | 409 | 415 | 422, _) | (400..=499, Source::Account) => Kind::Invalid,
        _ => Kind::Upstream,
    }
}
