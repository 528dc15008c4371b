//! The auth.json of a Codex that is a client of this gateway: it looks like a ChatGPT login and holds a client key.
//!
//! In ChatGPT mode, Codex sends only the access token of its login, and it reads the token's claims without checking the signature
//! (observed with 0.169.0, 2026-11-21). So the key takes the place of the signature, and the claims are the ones that the client checks
//! before its first call. The token is invalid at the real backend and holds no secret but the key.

#[cfg(test)]
mod tests;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use pool::{Millis, Secret};
use serde::Serialize;

/// Lifetime of a login for a key that never expires. Codex would renew an expiring login at an issuer that does not know it.
const LONG: i64 = 10 * 365 * 86_400_000;
/// The plan in the claims. For company plans the client requests the company's rules; for small plans it hides features.
const PLAN: &str = "pro";
/// The refresh token: it refreshes nothing, but the client requires one.
const NO_REFRESH: &str = "none-this-login-is-a-polygate-key";

/// The holder of a login.
#[derive(Clone, Copy, Debug)]
pub struct KeyLogin<'a> {
    /// The key's text.
    pub key: &'a Secret,
    /// The key's display name.
    pub name: &'a str,
    /// The account id that the client sees, a UUID.
    pub account: &'a str,
    /// When the key expires.
    pub expires: Option<Millis>,
}

#[derive(Serialize)]
struct File<'a> {
    auth_mode: &'static str,
    #[serde(rename = "OPENAI_API_KEY")]
    api_key: Option<&'a str>,
    tokens: Tokens<'a>,
    last_refresh: String,
}

#[derive(Serialize)]
struct Tokens<'a> {
    id_token: &'a str,
    access_token: &'a str,
    refresh_token: &'static str,
    account_id: &'a str,
}

#[derive(Serialize)]
struct Header {
    alg: &'static str,
    typ: &'static str,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'static str,
    sub: &'a str,
    iat: i64,
    exp: i64,
    email: &'a str,
    #[serde(rename = "https://api.openai.com/profile")]
    profile: Profile<'a>,
    #[serde(rename = "https://api.openai.com/auth")]
    auth: Auth<'a>,
}

#[derive(Serialize)]
struct Profile<'a> {
    email: &'a str,
    email_verified: bool,
}

#[derive(Serialize)]
struct Auth<'a> {
    chatgpt_account_id: &'a str,
    chatgpt_plan_type: &'static str,
    chatgpt_user_id: &'a str,
    user_id: &'a str,
}

/// The file's text, with the key in it.
pub fn write(guest: &KeyLogin<'_>, now: Millis) -> Secret {
    let token = token(guest, now);
    let file = File {
        auth_mode: "chatgpt",
        api_key: None,
        tokens: Tokens {
            id_token: token.expose(),
            access_token: token.expose(),
            refresh_token: NO_REFRESH,
            account_id: guest.account,
        },
        last_refresh: jiff::Timestamp::from_millisecond(now.0).unwrap_or_default().to_string(),
    };
    Secret::new(serde_json::to_string_pretty(&file).expect("invariant: a struct of texts serialises"))
}

fn token(guest: &KeyLogin<'_>, now: Millis) -> Secret {
    let user = format!("user-{}", guest.account);
    let email = format!("{}@polygate", guest.name);
    let claims = Claims {
        iss: "polygate",
        sub: &user,
        iat: now.seconds(),
        exp: guest.expires.unwrap_or(now.plus(LONG)).seconds(),
        email: &email,
        profile: Profile { email: &email, email_verified: false },
        auth: Auth {
            chatgpt_account_id: guest.account,
            chatgpt_plan_type: PLAN,
            chatgpt_user_id: &user,
            user_id: &user,
        },
    };
    let header = Header { alg: "none", typ: "JWT" };
    Secret::new(format!("{}.{}.{}", part(&header), part(&claims), guest.key.expose()))
}

fn part<T: Serialize>(value: &T) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(value).expect("invariant: a struct of texts serialises"))
}
