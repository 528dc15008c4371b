//! Builds the tokens of a login: JWTs with the claims of real ones.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde_json::{Value, json};

use super::Login;
use crate::token::{now, random};

/// An access token.
pub(crate) fn access(person: &Login, expires: i64, client: &str) -> String {
    let mut claims = common(person, expires, client);
    claims["aud"] = json!(["https://api.openai.com/v1"]);
    claims["scp"] = json!(["openid", "profile", "email", "offline_access"]);
    claims["session_id"] = json!(format!("authsess_{}", random(18)));
    sign(&claims)
}

/// An id token, valid for one hour.
pub(crate) fn id(person: &Login, client: &str) -> String {
    let mut claims = common(person, now() + 3600, client);
    claims["aud"] = json!([client]);
    claims["email"] = json!(person.email);
    claims["email_verified"] = json!(true);
    claims["auth_provider"] = json!("password");
    sign(&claims)
}

fn common(person: &Login, expires: i64, client: &str) -> Value {
    json!({
        "iss": "https://auth.openai.com",
        "client_id": client,
        "sub": format!("auth0|{}", person.user.trim_start_matches("user-")),
        "iat": now(),
        "exp": expires,
        "jti": uuid::Uuid::new_v4().to_string(),
        "https://api.openai.com/profile": { "email": person.email, "email_verified": true },
        "https://api.openai.com/auth": {
            "chatgpt_account_id": person.account_id,
            "chatgpt_account_user_id": format!("{}__{}", person.user, person.account_id),
            "chatgpt_account_is_fedramp": person.fedramp,
            "chatgpt_compute_residency": "no_constraint",
            "chatgpt_plan_type": person.plan,
            "chatgpt_user_id": person.user,
            "user_id": person.user,
            "organizations": [{ "id": format!("org-{}", &person.user[5..]), "is_default": true, "role": "owner", "title": "Personal" }],
            "groups": [],
            "localhost": true,
            "completed_platform_onboarding": false,
            "is_org_owner": true,
        },
    })
}

/// A JWT with a fake signature: no client of this backend checks it.
fn sign(claims: &Value) -> String {
    let head = json!({ "alg": "RS256", "kid": "offline", "typ": "JWT" });
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", part(&head), part(claims), BASE64_URL_SAFE_NO_PAD.encode("offline backend, not a signature"))
}
