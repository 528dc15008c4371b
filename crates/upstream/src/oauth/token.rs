//! The token endpoint: code exchange, refresh, API-key exchange, revocation.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use pool::Secret;
use serde::Serialize;
use url::Url;
use url::form_urlencoded::Serializer;

use super::Pkce;
use super::reply::{Refusal, refusal, tokens};
use crate::client::OutboundRequest;
use crate::codex::headers;
use crate::fault::{Fault, Sent};
use crate::profile::HeaderField;
use crate::{Profile, Upstream};

/// Largest answer of the auth server, bytes.
const CAP: usize = 256 * 1024;
const SCOPE: &str = "openid profile email offline_access api.connectors.read api.connectors.invoke";

/// The tokens from the token endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Bearer.
    pub access: Secret,
    /// The next refresh token; when absent, the old one stays valid.
    pub refresh: Option<Secret>,
    /// Identity token.
    pub id: Option<Secret>,
}

/// The reason for a refresh; the request names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshReason {
    /// The access token is about to expire.
    ProactiveExpiry,
    /// The backend answered 401.
    UnauthorizedRecovery,
}

impl RefreshReason {
    fn name(self) -> &'static str {
        match self {
            Self::ProactiveExpiry => "proactive_expiry",
            Self::UnauthorizedRecovery => "unauthorized_recovery",
        }
    }
}

/// A refresh that gave no access token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each field has the name that the text gives it")]
pub enum RefreshError {
    /// The login is lost: the user must sign in again. `code` comes from the endpoint, such as `refresh_token_reused`.
    #[error("{message}")]
    Permanent { code: String, message: String },
    /// May work later. With `sent` other than `No` the token may have been used up. `retry_after` is in seconds. `rotated` is a new
    /// refresh token that came without an access token: store it before anything else.
    #[error("{message}")]
    Transient { sent: Sent, status: Option<u16>, retry_after: Option<u64>, rotated: Option<Secret>, message: String },
}

/// A login step that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each field has the name that the text gives it")]
pub enum LoginError {
    /// The endpoint refused. `code` is its `error.code` or `error`, and may be empty.
    #[error("sign-in refused ({status}): {message}")]
    Refused { status: u16, code: String, message: String },
    /// The endpoint did not answer, or its answer breaks the protocol.
    #[error("sign-in failed: {message}; hint: check the network and try again")]
    Failed { sent: Sent, message: String },
    /// Device login is switched off for the workspace.
    #[error("device login is not enabled for this workspace; hint: use the browser login or `login --import`")]
    DeviceDisabled,
    /// The user did not type the code in time.
    #[error("the code has expired; hint: start the device login again")]
    Expired,
}

impl From<Fault> for LoginError {
    fn from(fault: Fault) -> Self {
        Self::Failed { sent: fault.sent, message: fault.message }
    }
}

/// A whole answer of the auth server.
pub(super) struct AuthReply {
    pub(super) status: u16,
    pub(super) retry_after: Option<u64>,
    pub(super) body: Bytes,
}

#[derive(Serialize)]
struct Refresh<'a> {
    client_id: &'a str,
    grant_type: &'static str,
    #[serde(rename = "refresh_reason")]
    reason: &'static str,
    #[serde(rename = "refresh_token")]
    token: &'a str,
}

#[derive(Serialize)]
struct Revoke<'a> {
    token: &'a str,
    token_type_hint: &'static str,
    client_id: &'a str,
}

impl Upstream {
    /// The authorize URL for the browser; the parameters are in the official client's order.
    pub fn authorize_url(&self, pkce: &Pkce, state: &str, redirect: &str) -> Url {
        let (config, profile) = (self.config(), self.profile());
        let query = form(&[
            ("response_type", "code"),
            ("client_id", &config.client_id),
            ("redirect_uri", redirect),
            ("code_challenge", &pkce.challenge),
            ("code_challenge_method", "S256"),
            ("state", state),
            ("scope", SCOPE),
            ("id_token_add_organizations", "true"),
            ("codex_cli_simplified_flow", "true"),
            ("originator", &profile.login_originator),
        ]);
        let mut url = self.endpoints().authorize.clone();
        // A literal plus is already %2B, so every remaining `+` is a space.
        url.set_query(Some(&query.replace('+', "%20")));
        url
    }

    /// Exchanges a refresh token, with one request of at most 30 s. Do not cancel the call: the answer may hold the only valid token.
    pub async fn refresh(&self, refresh: &Secret, reason: RefreshReason) -> Result<Grant, RefreshError> {
        let body = json(&Refresh {
            client_id: &self.config().client_id,
            grant_type: "refresh_token",
            reason: reason.name(),
            token: refresh.expose(),
        });
        let headers = refresh_headers(&self.profile());
        match self.call(&self.endpoints().token, headers, body).await {
            Ok(reply) => refresh_result(&reply),
            Err(fault) => Err(transient(fault.sent, None, fault.message)),
        }
    }

    /// Exchanges a browser login's code.
    pub async fn exchange(&self, code: &Secret, verifier: &Secret, redirect: &str) -> Result<Grant, LoginError> {
        let fields = [
            ("grant_type", "authorization_code"),
            ("client_id", &self.config().client_id),
            ("code", code.expose()),
            ("redirect_uri", redirect),
            ("code_verifier", verifier.expose()),
        ];
        let tokens = tokens(&self.post_form(&fields).await?.body).ok_or_else(|| unexpected("no JSON object"))?;
        let access = tokens.access.ok_or_else(|| unexpected("no access token"))?;
        Ok(Grant { access, refresh: tokens.refresh, id: tokens.id })
    }

    /// Requests an API key for the login's organisation (RFC 8693); many logins cannot get one.
    pub async fn api_key(&self, id: &Secret) -> Result<Secret, LoginError> {
        let fields = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("client_id", &self.config().client_id),
            ("requested_token", "openai-api-key"),
            ("subject_token", id.expose()),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
        ];
        let tokens = tokens(&self.post_form(&fields).await?.body).ok_or_else(|| unexpected("no JSON object"))?;
        tokens.access.ok_or_else(|| unexpected("no API key"))
    }

    /// Revokes a login at the provider.
    pub async fn revoke(&self, refresh: &Secret) -> Result<(), LoginError> {
        let client_id = &self.config().client_id;
        let body = json(&Revoke { token: refresh.expose(), token_type_hint: "refresh_token", client_id });
        let headers = refresh_headers(&self.profile());
        require_success(self.call(&self.endpoints().revoke, headers, body).await?).map(|_| ())
    }

    async fn post_form(&self, fields: &[(&str, &str)]) -> Result<AuthReply, LoginError> {
        let headers = auth_headers(&self.profile(), "application/x-www-form-urlencoded");
        require_success(self.call(&self.endpoints().token, headers, form(fields).into()).await?)
    }

    /// A small JSON call to the auth server, without identity headers, as in the official client.
    pub(super) async fn post_json(&self, url: &Url, body: &impl Serialize) -> Result<AuthReply, Fault> {
        self.call(url, auth_headers(&self.profile(), "application/json"), json(body)).await
    }

    async fn call(&self, url: &Url, headers: HeaderMap, body: Bytes) -> Result<AuthReply, Fault> {
        let limit = self.config().timeouts.token;
        let outbound = OutboundRequest { method: Method::POST, url: url.clone(), headers, body };
        Fault::within(limit, self.send_whole(outbound)).await
    }

    async fn send_whole(&self, outbound: OutboundRequest) -> Result<AuthReply, Fault> {
        let answer = self.send(outbound).await?;
        let wait = answer.headers.get(header::RETRY_AFTER);
        let retry_after = wait.and_then(|value| value.to_str().ok()).and_then(|text| text.trim().parse().ok());
        let body = answer.body.collect(CAP).await?;
        Ok(AuthReply { status: answer.status, retry_after, body })
    }
}

/// The refusal table: which refusals end the login, and which are temporary.
///
/// A 401 with a JSON body is final whatever its code, as in the official client; a 401 in HTML comes from a middlebox. A 400 is final
/// only with `invalid_grant` or a known code: other 400s concern this client, not the login.
fn refresh_result(reply: &AuthReply) -> Result<Grant, RefreshError> {
    const FINAL: [&str; 3] = ["refresh_token_expired", "refresh_token_reused", "refresh_token_invalidated"];
    if (200..300).contains(&reply.status) {
        return read_grant(reply);
    }
    let Refusal { json, code, message } = refusal(&reply.body);
    let known = FINAL.contains(&code.as_str()) && (400..500).contains(&reply.status);
    let over = match reply.status {
        _ if known => true,
        400 => code == "invalid_grant",
        401 => json,
        _ => false,
    };
    let message = if message.is_empty() { format!("the token endpoint answered {}", reply.status) } else { message };
    if over {
        let code = if code.is_empty() { "unauthorized".to_owned() } else { code };
        return Err(RefreshError::Permanent { code, message });
    }
    Err(transient(Sent::Yes, Some(reply), message))
}

fn read_grant(reply: &AuthReply) -> Result<Grant, RefreshError> {
    let Some(tokens) = tokens(&reply.body) else {
        return Err(transient(Sent::Yes, Some(reply), "the token endpoint's answer cannot be read".to_owned()));
    };
    if let Some(access) = tokens.access {
        return Ok(Grant { access, refresh: tokens.refresh, id: tokens.id });
    }
    let message = "the token endpoint's answer holds no access token".to_owned();
    let (status, retry_after) = (Some(reply.status), reply.retry_after);
    Err(RefreshError::Transient { sent: Sent::Yes, status, retry_after, rotated: tokens.refresh, message })
}

fn transient(sent: Sent, reply: Option<&AuthReply>, message: String) -> RefreshError {
    let (status, retry_after) = (reply.map(|reply| reply.status), reply.and_then(|reply| reply.retry_after));
    RefreshError::Transient { sent, status, retry_after, rotated: None, message }
}

/// Returns a 2xx; any other status becomes [`LoginError::Refused`].
pub(super) fn require_success(reply: AuthReply) -> Result<AuthReply, LoginError> {
    if (200..300).contains(&reply.status) {
        return Ok(reply);
    }
    let Refusal { code, message, .. } = refusal(&reply.body);
    let message = if message.is_empty() { "no reason given".to_owned() } else { message };
    Err(LoginError::Refused { status: reply.status, code, message })
}

/// The error for an answer that breaks the protocol.
pub(super) fn unexpected(problem: &str) -> LoginError {
    LoginError::Failed { sent: Sent::Yes, message: format!("the auth server's answer holds {problem}") }
}

fn refresh_headers(profile: &Profile) -> HeaderMap {
    let value = |field| match field {
        HeaderField::ContentType => Some("application/json".to_owned()),
        HeaderField::Originator => Some(profile.originator.clone()),
        HeaderField::UserAgent => Some(profile.user_agent.clone()),
        HeaderField::Accept => Some("*/*".to_owned()),
        _ => None,
    };
    headers::write(profile.orders.refresh, value).expect("invariant: these slots hold no credential")
}

fn auth_headers(profile: &Profile, content_type: &'static str) -> HeaderMap {
    let value = |field: &HeaderField| match field {
        HeaderField::ContentType => Some((header::CONTENT_TYPE, HeaderValue::from_static(content_type))),
        HeaderField::Accept => Some((header::ACCEPT, HeaderValue::from_static("*/*"))),
        _ => None,
    };
    profile.orders.auth.iter().filter_map(value).collect()
}

fn form(fields: &[(&str, &str)]) -> String {
    Serializer::new(String::new()).extend_pairs(fields).finish()
}

fn json(body: &impl Serialize) -> Bytes {
    serde_json::to_vec(body).expect("invariant: strings serialise").into()
}
