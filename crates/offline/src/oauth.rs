//! The OAuth issuer: browser login with PKCE, refresh with rotation and reuse detection, revocation, device codes.

use std::collections::HashMap;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::account::{LoginIndex, NewAccount};
use crate::answer::Answer;
use crate::call::Call;
use crate::errors;
use crate::state::Shared;

mod device;
mod grant;
#[cfg(test)]
mod tests;

pub(crate) use device::{device_code, device_page, device_token};
pub(crate) use grant::{presented, revoke, token};

/// The S256 challenge of a verifier.
fn challenge(verifier: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

/// The login that the next authorization gets: the one set by the test, or a new login.
fn person(shared: &Shared) -> LoginIndex {
    let mut accounts = shared.accounts.lock();
    match accounts.login_as {
        Some(who) => who,
        None => accounts.add(NewAccount::default()),
    }
}

/// The authorization endpoint: checks the request and redirects at once, without a login page.
pub(crate) fn authorize(shared: &Shared, call: &Call) -> Answer {
    let query = call.uri.query().unwrap_or_default().as_bytes();
    let params: HashMap<String, String> = url::form_urlencoded::parse(query).into_owned().collect();
    let param = |name: &str| params.get(name).map_or("", String::as_str);
    if let Err(reason) = judge(shared, &param) {
        return Answer::json(400, &errors::oauth("invalid_request", reason));
    }
    let Ok(mut to) = url::Url::parse(param("redirect_uri")) else {
        return Answer::json(400, &errors::oauth("invalid_request", "redirect_uri is not a URL"));
    };
    if shared.accounts.lock().deny {
        to.query_pairs_mut().append_pair("error", "access_denied");
    } else {
        let who = person(shared);
        let code = shared.pending_logins.lock().issue(who, param("code_challenge"), param("redirect_uri"));
        to.query_pairs_mut().append_pair("code", &code).append_pair("scope", param("scope"));
    }
    to.query_pairs_mut().append_pair("state", param("state"));
    let mut answer = Answer::empty(302);
    answer.header("location", to.as_str());
    answer
}

fn judge<'a>(shared: &Shared, param: &impl Fn(&str) -> &'a str) -> Result<(), &'static str> {
    let scopes: Vec<&str> = param("scope").split(' ').collect();
    let checks = [
        (param("response_type") == "code", "response_type must be code"),
        (param("client_id") == shared.options.client_id, "unknown client_id"),
        (loopback(param("redirect_uri"), &shared.options.redirect_ports), "redirect_uri is not registered"),
        (param("code_challenge_method") == "S256", "code_challenge_method must be S256"),
        (param("code_challenge").len() == 43, "code_challenge must be 43 base64url characters"),
        (param("state").len() >= 8, "state is too short"),
        (scopes.contains(&"openid") && scopes.contains(&"offline_access"), "scope must hold openid and offline_access"),
    ];
    checks.iter().find(|(good, _)| !good).map_or(Ok(()), |(_, reason)| Err(reason))
}

/// Whether a redirect URI is `http://localhost:1455/auth/callback`, or the same with another registered port or `127.0.0.1`.
fn loopback(uri: &str, ports: &[u16]) -> bool {
    url::Url::parse(uri).is_ok_and(|uri| {
        uri.scheme() == "http"
            && matches!(uri.host_str(), Some("localhost" | "127.0.0.1"))
            && uri.port().is_some_and(|port| ports.contains(&port))
            && uri.path() == "/auth/callback"
            && uri.query().is_none()
    })
}

/// A successful token response.
fn granted(shared: &Shared, who: LoginIndex) -> Value {
    let options = &shared.options;
    let grant = shared.accounts.lock().grant(who, options.access_lifetime, &options.client_id);
    json!({
        "access_token": grant.access,
        "expires_in": options.access_lifetime,
        "id_token": grant.id,
        "refresh_token": grant.refresh,
        "scope": "openid profile email offline_access api.connectors.read api.connectors.invoke",
        "token_type": "Bearer",
    })
}
