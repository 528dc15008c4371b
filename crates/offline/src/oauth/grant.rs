//! `POST /oauth/token` and `/oauth/revoke`.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::json;

use super::{challenge, granted};
use crate::account::RefreshTokenState;
use crate::answer::Answer;
use crate::call::{Call, header};
use crate::errors;
use crate::record::{Refresh, Violation};
use crate::state::Shared;
use crate::token;

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// A refresh request, from JSON or a form.
#[derive(Deserialize)]
struct Refreshing {
    client_id: String,
    grant_type: String,
    refresh_token: String,
    refresh_reason: Option<String>,
}

#[derive(Deserialize)]
struct Revoking {
    token: String,
    client_id: String,
}

/// The refresh token in the body of a token request; `None` if the body has none.
pub(crate) fn presented(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Token {
        refresh_token: String,
    }
    serde_json::from_slice::<Token>(body)
        .map(|token| token.refresh_token)
        .ok()
        .or_else(|| form(body).remove("refresh_token"))
}

fn form(body: &[u8]) -> HashMap<String, String> {
    url::form_urlencoded::parse(body).into_owned().collect()
}

/// The token endpoint: every grant type.
pub(crate) fn token(shared: &Shared, call: &Call) -> Answer {
    let kind = header(&call.headers, "content-type").unwrap_or_default();
    if kind.starts_with("application/json") {
        return match serde_json::from_slice::<Refreshing>(&call.body) {
            Ok(body) => refresh(shared, call.id, &body),
            Err(error) => Answer::json(400, &errors::oauth("invalid_request", &error.to_string())),
        };
    }
    if !kind.starts_with("application/x-www-form-urlencoded") {
        return Answer::json(415, &errors::oauth("invalid_request", "unsupported content type"));
    }
    let form = form(&call.body);
    let field = |name: &str| form.get(name).map_or("", String::as_str);
    if field("client_id") != shared.options.client_id {
        return Answer::json(401, &errors::oauth("invalid_client", "Unknown client."));
    }
    match field("grant_type") {
        "authorization_code" => code(shared, call.id, &field),
        "refresh_token" => {
            let body = Refreshing {
                client_id: field("client_id").to_owned(),
                grant_type: field("grant_type").to_owned(),
                refresh_token: field("refresh_token").to_owned(),
                refresh_reason: None,
            };
            refresh(shared, call.id, &body)
        }
        EXCHANGE => exchange(shared, &field),
        _ => Answer::json(400, &errors::oauth("unsupported_grant_type", "Unknown grant_type.")),
    }
}

/// Redeems an authorization code: once, with its verifier and its redirect URI.
fn code<'a>(shared: &Shared, request: u64, field: &impl Fn(&str) -> &'a str) -> Answer {
    let refused = |reason: &str| Answer::json(400, &errors::oauth("invalid_grant", reason));
    let who = {
        let mut logins = shared.pending_logins.lock();
        let Some(code) = logins.codes.get_mut(field("code")) else { return refused("Unknown authorization code.") };
        if code.used {
            shared.recorder.record_offence(Violation::ReusedCode { request });
            return refused("The authorization code has already been used.");
        }
        code.used = true;
        if code.expires <= token::now() {
            return refused("The authorization code has expired.");
        }
        if !same_redirect(&code.redirect, field("redirect_uri")) {
            return refused("redirect_uri does not match.");
        }
        if challenge(field("code_verifier")) != code.challenge {
            return refused("code_verifier does not match.");
        }
        code.who
    };
    Answer::json(200, &granted(shared, who))
}

/// Whether the redirect URIs are equal. In the device flow the issuer's host name may differ.
fn same_redirect(bound: &str, given: &str) -> bool {
    const DEVICE: &str = "/deviceauth/callback";
    bound == given || (bound == DEVICE && given.ends_with(DEVICE))
}

/// Redeems a refresh token. The token rotates and works only once.
fn refresh(shared: &Shared, request: u64, body: &Refreshing) -> Answer {
    if body.client_id != shared.options.client_id {
        return Answer::json(401, &errors::oauth("invalid_client", "Unknown client."));
    }
    if body.grant_type != "refresh_token" {
        return Answer::json(400, &errors::oauth("unsupported_grant_type", "Unknown grant_type."));
    }
    let (who, fate, account) = {
        let mut accounts = shared.accounts.lock();
        let found = accounts.refresh.get_mut(&body.refresh_token).map(|token| {
            let fate = token.state;
            if fate == RefreshTokenState::Current {
                token.state = RefreshTokenState::Used;
            }
            (token.who, fate)
        });
        match found {
            Some((who, fate)) => (Some(who), Some(fate), Some(accounts.logins[who].account_id.clone())),
            None => (None, None, None),
        }
    };
    let reused = fate == Some(RefreshTokenState::Used);
    let (token, reason) = (body.refresh_token.clone(), body.refresh_reason.clone());
    shared.recorder.refresh(Refresh { request, token, account: account.clone(), reused, reason });
    if reused {
        shared.recorder.record_offence(Violation::ReusedRefreshToken { request, account: account.unwrap_or_default() });
    }
    match (who, fate) {
        (Some(who), Some(RefreshTokenState::Current)) => Answer::json(200, &granted(shared, who)),
        (_, Some(RefreshTokenState::Used)) => Answer::json(401, &errors::refresh_failed("refresh_token_reused")),
        (_, Some(RefreshTokenState::Expired)) => Answer::json(401, &errors::refresh_failed("refresh_token_expired")),
        (_, Some(RefreshTokenState::Invalidated)) => {
            Answer::json(401, &errors::refresh_failed("refresh_token_invalidated"))
        }
        _ => Answer::json(400, &errors::oauth("invalid_grant", "Unknown refresh token.")),
    }
}

/// Exchanges an id token for an API key. No endpoint accepts the key.
fn exchange<'a>(shared: &Shared, field: &impl Fn(&str) -> &'a str) -> Answer {
    let subject = field("subject_token").split('.').count() == 3;
    let kind = field("subject_token_type") == "urn:ietf:params:oauth:token-type:id_token";
    if field("requested_token") != "openai-api-key" || !subject || !kind {
        return Answer::json(400, &errors::oauth("invalid_request", "Not a token exchange for an API key."));
    }
    debug_assert_eq!(field("client_id"), shared.options.client_id, "checked by the caller");
    Answer::json(200, &json!({ "access_token": format!("sk-offline-{}", token::random(24)) }))
}

/// Revokes a refresh token; an unknown token is not an error (RFC 7009).
pub(crate) fn revoke(shared: &Shared, call: &Call) -> Answer {
    let Ok(body) = serde_json::from_slice::<Revoking>(&call.body) else {
        return Answer::json(400, &errors::oauth("invalid_request", "token and client_id are required."));
    };
    if body.client_id != shared.options.client_id {
        return Answer::json(401, &errors::oauth("invalid_client", "Unknown client."));
    }
    if let Some(token) = shared.accounts.lock().refresh.get_mut(&body.token) {
        token.state = RefreshTokenState::Invalidated;
    }
    Answer::json(200, &json!({}))
}
