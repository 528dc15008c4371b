//! Claims of a token, read without verification: display strings and hints, never proof. The tokens come from the issuer over TLS,
//! and a forged token would only mislabel the forger's own account.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use pool::{Millis, Secret};
use serde_json::Value;

/// Longer tokens are not read.
const LONGEST: usize = 64 * 1024;
/// Longer claims are read as absent.
pub(crate) const CLAIM: usize = 512;

/// The claims of a token about its owner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// Workspace id (`chatgpt_account_id`), empty when absent.
    pub account_id: String,
    /// ChatGPT user id, empty when absent.
    pub user: String,
    /// E-mail, empty when absent.
    pub email: String,
    /// Plan, empty when absent.
    pub plan: String,
    /// Whether the workspace is a FedRAMP workspace.
    pub fedramp: bool,
    /// `exp`.
    pub expires: Option<Millis>,
}

impl Claims {
    /// Reads a token's payload; `None` when it is no JWT. Invalid fields read as absent.
    pub fn read(token: &Secret) -> Option<Self> {
        let payload = payload(token.expose())?;
        let auth = payload.get("https://api.openai.com/auth").unwrap_or(&Value::Null);
        let profile = payload.get("https://api.openai.com/profile").unwrap_or(&Value::Null);
        Some(Self {
            account_id: text(auth, &["chatgpt_account_id"]),
            user: text(auth, &["chatgpt_user_id", "user_id"]),
            email: first(text(profile, &["email"]), || text(&payload, &["email"])),
            plan: text(auth, &["chatgpt_plan_type"]),
            fedramp: auth.get("chatgpt_account_is_fedramp") == Some(&Value::Bool(true)),
            expires: payload.get("exp").and_then(expiry),
        })
    }

    /// The owner's claims from the id token, or from the access token if the id token lacks them; the expiry from the access token only.
    pub fn from_tokens(access: &Secret, id: Option<&Secret>) -> Self {
        let access = Self::read(access).unwrap_or_default();
        let Some(id) = id.and_then(Self::read) else { return access };
        Self {
            account_id: first(id.account_id, || access.account_id),
            user: first(id.user, || access.user),
            email: first(id.email, || access.email),
            plan: first(id.plan, || access.plan),
            fedramp: id.fedramp || access.fedramp,
            expires: access.expires,
        }
    }
}

fn payload(token: &str) -> Option<Value> {
    if token.len() > LONGEST {
        return None;
    }
    let mut parts = token.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    let payload: Value = serde_json::from_slice(&bytes).ok()?;
    payload.is_object().then_some(payload)
}

/// `exp` in seconds, as an integer or a fraction; an invalid value reads as absent.
fn expiry(exp: &Value) -> Option<Millis> {
    #[expect(clippy::cast_possible_truncation, reason = "the cast saturates and the range is checked after it")]
    let seconds = exp.as_i64().or_else(|| exp.as_f64().map(|seconds| seconds as i64))?;
    // The end of the year 9999; a later value is not a date.
    (1..=253_402_300_799).contains(&seconds).then(|| Millis(seconds * 1000))
}

fn text(object: &Value, names: &[&str]) -> String {
    let value = names.iter().find_map(|name| object.get(name)?.as_str());
    let fit = |text: &&str| text.len() <= CLAIM && !text.chars().any(char::is_control);
    value.filter(fit).unwrap_or_default().to_owned()
}

fn first(one: String, other: impl FnOnce() -> String) -> String {
    if one.is_empty() { other() } else { one }
}

#[cfg(test)]
mod tests;
