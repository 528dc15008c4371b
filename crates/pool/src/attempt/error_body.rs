//! What an error body says, in whichever of the known shapes: `{"error":{..}}`, `{"error":".."}`, `{"detail":..}`, a bare
//! error object, or plain text.

use proto::failure::Kind;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::refusal::Class;
use crate::lenient::{self, Number};
use crate::{limits, sanitize};

/// An error body, read. Texts are short and clean.
#[derive(Debug, Default)]
pub(super) struct ErrorBody {
    pub(super) code: Option<String>,
    /// `type`, which carries the code on usage limits.
    pub(super) kind: Option<String>,
    pub(super) message: Option<String>,
    pub(super) param: Option<String>,
    /// Seconds.
    pub(super) resets_in: Option<u64>,
    /// Unix seconds.
    pub(super) resets_at: Option<i64>,
}

#[derive(Deserialize)]
struct Outer<'a> {
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
    #[serde(default, borrow)]
    detail: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Inner {
    #[serde(default, deserialize_with = "lenient::field")]
    code: Option<String>,
    #[serde(default, rename = "type", deserialize_with = "lenient::field")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "lenient::field")]
    message: Option<String>,
    #[serde(default, deserialize_with = "lenient::field")]
    param: Option<String>,
    #[serde(default, deserialize_with = "lenient::field")]
    resets_in_seconds: Option<Number>,
    #[serde(default, deserialize_with = "lenient::field")]
    resets_at: Option<Number>,
}

impl ErrorBody {
    /// Reads a body; never fails.
    pub(super) fn read(body: &[u8]) -> Self {
        match serde_json::from_slice::<Outer<'_>>(body) {
            Ok(Outer { error: Some(inner), .. } | Outer { detail: Some(inner), .. }) => Self::value(inner.get()),
            Ok(_) => Self::value(&String::from_utf8_lossy(body)),
            Err(_) => Self::text(String::from_utf8_lossy(body).trim()),
        }
    }

    fn text(text: &str) -> Self {
        Self { message: (!text.is_empty()).then(|| clean(text)), ..Self::default() }
    }

    fn value(json: &str) -> Self {
        if let Ok(text) = serde_json::from_str::<String>(json) {
            return Self::text(&text);
        }
        // Derived readers take arrays for structs too.
        let object = json.trim_start().starts_with('{');
        let Some(inner) = object.then(|| serde_json::from_str::<Inner>(json).ok()).flatten() else {
            return Self::text(json);
        };
        Self {
            message: inner.message.map(|text| clean(&text)).filter(|text| !text.is_empty()),
            code: sanitized_code(inner.code.as_deref()),
            kind: sanitized_code(inner.kind.as_deref()),
            param: sanitized_code(inner.param.as_deref()),
            resets_in: inner.resets_in_seconds.and_then(Number::count),
            resets_at: inner.resets_at.map(Number::whole),
        }
    }

    /// The machine-readable code for a client: `code`, else a `type` that is one.
    pub(super) fn code(&self) -> Option<String> {
        let kind = self.kind.as_ref().filter(|kind| class_of_code(kind).is_some());
        self.code.as_ref().or(kind).cloned()
    }

    /// The class that code, type or wording names.
    pub(super) fn class(&self) -> Option<Class> {
        let words = [self.code.as_deref(), self.kind.as_deref()];
        words.into_iter().flatten().find_map(class_of_code).or_else(|| class_of_wording(self.message.as_deref()?))
    }

    /// Seconds from "try again in 1.054s".
    pub(super) fn wait(&self) -> Option<u64> {
        proto::bounds::try_again(self.message.as_deref()?)
    }
}

fn class_of_code(code: &str) -> Option<Class> {
    Some(match code {
        "token_invalidated" | "token_expired" | "token_revoked" | "token_invalid" | "access_token_expired" => {
            Class::Login
        }
        "account_deactivated"
        | "account_banned"
        | "account_suspended"
        | "deactivated_workspace"
        | "organization_disabled"
        | "identity_verification_required" => Class::Banned,
        "unsupported_country_region_territory" | "workspace_access_denied" => Class::Forbidden,
        "rate_limit_exceeded" => Class::Limited,
        "usage_limit_reached" | "quota_exceeded" => Class::Spent("usage".into()),
        "workspace_owner_usage_limit_reached" | "workspace_member_usage_limit_reached" => {
            Class::Spent("workspace".into())
        }
        "insufficient_quota"
        | "billing_limit"
        | "organization_spend_limit_exceeded"
        | "workspace_owner_credits_depleted"
        | "workspace_member_credits_depleted" => Class::Spent("credits".into()),
        "usage_not_included" => Class::Spent("plan".into()),
        "model_not_supported" | "model_not_found" => Class::NoModel,
        "previous_response_not_found" | "invalid_encrypted_content" => Class::Replay,
        "server_is_overloaded" | "slow_down" | "server_error" => Class::Unsteady,
        code if kind_of_code(code).is_some() => Class::Final,
        _ => return None,
    })
}

/// Kinds of refusals of the request itself that a code names more exactly than a status does.
pub(super) fn kind_of_code(code: &str) -> Option<Kind> {
    match code {
        "context_length_exceeded" | "context_window_exceeded" => Some(Kind::ContextLength),
        "cyber_policy" | "bio_policy" | "misalignment_policy_violation" | "content_filter" => Some(Kind::Filtered),
        "invalid_prompt" | "invalid_image_request" => Some(Kind::Invalid),
        _ => None,
    }
}

/// Answers that carry no code: the backend's `{"detail":".."}` about models, and texts beside a generic type.
fn class_of_wording(message: &str) -> Option<Class> {
    let text = message.to_ascii_lowercase();
    let has = |words: &str| text.contains(words);
    if has("model is not supported") || has("model not found") {
        Some(Class::NoModel)
    } else if has("previous response") && has("not found") || has("encrypted content") && has("verif") {
        Some(Class::Replay)
    } else {
        None
    }
}

/// Whether a body is a web page.
pub(super) fn is_html(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'<')
}

/// A machine-readable word of the upstream, fit to be passed on; an empty one is none.
pub(super) fn sanitized_code(word: Option<&str>) -> Option<String> {
    word.map(|word| sanitize::short(word, 128)).filter(|word| !word.is_empty())
}

/// `text` for clients and logs.
pub(super) fn clean(text: &str) -> String {
    sanitize::clean(text, limits::MESSAGE)
}
