//! The backend's error bodies, verbatim where a report quotes them.

use serde_json::{Value, json};

use crate::account::Login;
use crate::token::{self, Revocation};

/// A refusal: status and body.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reject {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Reject {
    /// The backend's own form, `{"detail": ...}`.
    pub(crate) fn detail(status: u16, detail: impl Into<String>) -> Self {
        Self { status, body: json!({ "detail": detail.into() }) }
    }

    /// The public API's form, 400.
    pub(crate) fn invalid(message: impl Into<String>, param: Option<&str>, code: Option<&str>) -> Self {
        Self { status: 400, body: error(&message.into(), "invalid_request_error", param, code) }
    }
}

/// The public API's error envelope.
pub(crate) fn error(message: &str, kind: &str, param: Option<&str>, code: Option<&str>) -> Value {
    json!({ "error": { "message": message, "type": kind, "param": param, "code": code } })
}

/// The 401 body for a refused access token; `None` is an unknown token.
pub(crate) fn unauthorized(why: Option<Revocation>) -> Value {
    let body = |message: &str, kind: Value, code: &str| json!({ "error": { "message": message, "type": kind, "code": code, "param": null }, "status": 401 });
    match why {
        None => json!({ "detail": "Unauthorized" }),
        Some(Revocation::Invalidated) => body(
            "Your authentication token has been invalidated. Please try signing in again.",
            json!("invalid_request_error"),
            "token_invalidated",
        ),
        Some(Revocation::Expired) => {
            body("Provided authentication token is expired. Please try signing in again.", Value::Null, "token_expired")
        }
        Some(Revocation::Revoked) => body(
            "Encountered invalidated oauth token for user, failing request",
            json!("invalid_request_error"),
            "token_revoked",
        ),
        Some(Revocation::Deactivated) => body(
            "Your account has been deactivated. Please contact support.",
            json!("invalid_request_error"),
            "account_deactivated",
        ),
    }
}

/// The 429 body for a plan whose limit is used up.
pub(crate) fn usage_limit(plan: &str, resets_at: i64) -> Value {
    json!({ "error": {
        "type": "usage_limit_reached",
        "message": "The usage limit has been reached",
        "plan_type": plan,
        "resets_at": resets_at,
        "eligible_promo": null,
        "resets_in_seconds": (resets_at - token::now()).max(0),
    } })
}

/// The rate-limit headers of a login; every model answer has them.
pub(crate) fn limit_headers(person: &Login) -> Vec<(String, String)> {
    let mut headers = vec![
        ("x-codex-active-limit".to_owned(), "premium".to_owned()),
        ("x-codex-plan-type".to_owned(), person.plan.clone()),
    ];
    let now = token::now();
    for (name, window) in [("primary", &person.quota.primary), ("secondary", &person.quota.secondary)] {
        let Some(window) = window else { continue };
        let mut add = |key: &str, value: String| headers.push((format!("x-codex-{name}-{key}"), value));
        add("used-percent", format!("{}", window.used_percent));
        add("window-minutes", window.window_minutes.to_string());
        add("reset-after-seconds", (window.reset_at - now).max(0).to_string());
        add("reset-at", window.reset_at.to_string());
    }
    headers.push(("x-codex-primary-over-secondary-limit-percent".to_owned(), "0".to_owned()));
    for (name, value) in [("has-credits", "False"), ("unlimited", "False"), ("balance", "")] {
        headers.push((format!("x-codex-credits-{name}"), value.to_owned()));
    }
    headers
}

/// The body for a permanent refresh failure.
pub(crate) fn refresh_failed(code: &str) -> Value {
    let message = match code {
        "refresh_token_reused" => {
            "Your refresh token has already been used to generate a new access token. Please try signing in again."
        }
        "refresh_token_expired" => "Your refresh token has expired. Please try signing in again.",
        _ => "Your refresh token has been invalidated. Please try signing in again.",
    };
    error(message, "invalid_request_error", None, Some(code))
}

/// An OAuth error in RFC 6749's form, such as the body of a 400 `invalid_grant`.
pub(crate) fn oauth(code: &str, description: &str) -> Value {
    json!({ "error": code, "error_description": description })
}
