//! The backend's addresses and timeouts, checked once.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use pool::guard::{is_loopback, is_plain_loopback};
use pool::limits;
use pool::relay::Service;
use url::Url;

use crate::profile::Profile;

/// The public OAuth client id of the Codex CLI; a login through it is a Codex login.
pub const CLIENT_ID: &str = "app_EMoamEEZ73f0CkXaXp7hrann";

/// Settings of the client. `Debug` leaves out a proxy's user name and password.
#[derive(Clone)]
pub struct Config {
    /// `https://chatgpt.com/backend-api`; `/codex/...` and `/wham/...` are appended. Plain http only for loopback.
    pub base_url: Url,
    /// `https://auth.openai.com`; `/oauth/...` is appended. Plain http only for loopback.
    pub auth_url: Url,
    /// The token endpoint, when it is not `<auth_url>/oauth/token`. Plain http only for loopback.
    pub token_url: Option<Url>,
    /// The first identity towards the backend; `Upstream::set_profile` changes it.
    pub profile: Profile,
    /// The time limits.
    pub timeouts: Timeouts,
    /// OAuth client id: [`CLIENT_ID`], or the id at another issuer.
    pub client_id: String,
    /// The proxy (`http`, `https`, `socks5`, `socks5h`) of every connection; environment variables are not read here.
    pub proxy: Option<Url>,
    /// PEM file of certificate authorities that are trusted in addition to the system's.
    pub ca_bundle: Option<PathBuf>,
    /// Whether HTTP/2 is never offered, for proxies that break it.
    pub force_http11: bool,
}

impl Default for Config {
    fn default() -> Self {
        let url = |text: &str| Url::parse(text).expect("invariant: a constant URL parses");
        Self {
            base_url: url("https://chatgpt.com/backend-api"),
            auth_url: url("https://auth.openai.com"),
            token_url: None,
            profile: Profile::default(),
            timeouts: Timeouts::default(),
            client_id: CLIENT_ID.to_owned(),
            proxy: None,
            ca_bundle: None,
            force_http11: false,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bare = |url: &Url| format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default());
        f.debug_struct("Config")
            .field("base_url", &bare(&self.base_url))
            .field("auth_url", &bare(&self.auth_url))
            .field("profile", &self.profile.name)
            .field("timeouts", &self.timeouts)
            .field("proxy", &self.proxy.as_ref().map(bare))
            .field("ca_bundle", &self.ca_bundle)
            .field("force_http11", &self.force_http11)
            .finish_non_exhaustive()
    }
}

/// The time limits. The body of an answer has none here: the reader of the body has an idle timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Name lookup and TCP connect, and a proxy's own handshake.
    pub connect: Duration,
    /// TLS handshake.
    pub handshake: Duration,
    /// How long the other end may leave bytes or probes unacknowledged before a connection counts as dead; on systems without this timer,
    /// the system's own limit applies.
    pub unacknowledged: Duration,
    /// From the start of a request to its answer's headers.
    pub headers: Duration,
    /// A whole call to the token endpoint.
    pub token: Duration,
    /// A whole small call (models, usage, accounts).
    pub small: Duration,
    /// From the end of a request to the headers of a relay's answer, for anything but a conversation.
    pub service: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: limits::CONNECT,
            handshake: limits::CONNECT,
            unacknowledged: limits::UNACKNOWLEDGED,
            headers: limits::RESPONSE_HEAD,
            token: limits::REFRESH_CALL,
            small: Duration::from_secs(30),
            service: limits::SERVICE_HEAD,
        }
    }
}

/// Why no client could be built from a [`Config`].
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field has the name that the text gives it")]
pub enum BuildError {
    /// Plain http to a host that is not loopback, another scheme, credentials, a query or a fragment. The text leaves out the URL, which
    /// may hold credentials.
    #[error("{setting} {problem}; hint: {hint}")]
    Url { setting: &'static str, problem: String, hint: &'static str },
    /// The bundle cannot be read or holds no certificate.
    #[error("upstream.ca_bundle {path}: {problem}; hint: it must be a readable PEM file with at least one certificate")]
    Bundle { path: PathBuf, problem: String },
    /// A profile value that cannot be a header.
    #[error("identity profile: {0} is not a valid header value; hint: use printable ASCII")]
    Profile(&'static str),
    /// The HTTP client refused its settings.
    #[error("HTTP client: {0}")]
    Client(String),
}

/// Every endpoint URL, derived once.
#[derive(Clone, Debug)]
pub(crate) struct Endpoints {
    pub(crate) responses: Url,
    pub(crate) models: Url,
    pub(crate) usage: Url,
    /// The URL of the quota, used if `usage` does not exist.
    pub(crate) usage_fallback: Url,
    pub(crate) credits: Url,
    pub(crate) consume: Url,
    pub(crate) accounts: Url,
    pub(crate) authorize: Url,
    pub(crate) token: Url,
    pub(crate) revoke: Url,
    pub(crate) device_code: Url,
    pub(crate) device_token: Url,
    pub(crate) device_page: Url,
    pub(crate) device_redirect: Url,
}

impl Endpoints {
    pub(crate) fn new(config: &Config) -> Result<Self, BuildError> {
        check("upstream.base_url", &config.base_url)?;
        check("upstream.auth_url", &config.auth_url)?;
        config.token_url.as_ref().map_or(Ok(()), |url| check("upstream.token_url", url))?;
        config.proxy.as_ref().map_or(Ok(()), check_proxy)?;
        let base = |path: &str| join(&config.base_url, path);
        let auth = |path: &str| join(&config.auth_url, path);
        // The official client's rule: outside /backend-api, `wham` is called `api/codex`.
        let side = if config.base_url.path().contains("/backend-api") { "/wham" } else { "/api/codex" };
        Ok(Self {
            responses: base("/codex/responses"),
            models: base("/codex/models"),
            usage: base(&format!("{side}/usage")),
            usage_fallback: base("/codex/usage"),
            credits: base(&format!("{side}/rate-limit-reset-credits")),
            consume: base(&format!("{side}/rate-limit-reset-credits/consume")),
            accounts: base(&format!("{side}/accounts/check")),
            authorize: auth("/oauth/authorize"),
            token: config.token_url.clone().unwrap_or_else(|| auth("/oauth/token")),
            revoke: auth("/oauth/revoke"),
            device_code: auth("/api/accounts/deviceauth/usercode"),
            device_token: auth("/api/accounts/deviceauth/token"),
            device_page: auth("/codex/device"),
            device_redirect: auth("/deviceauth/callback"),
        })
    }

    /// The URL of a service call.
    pub(crate) fn service(&self, service: Service) -> Url {
        let mut url = self.responses.clone();
        let base = url.path().strip_suffix("/responses").unwrap_or_default().to_owned();
        url.set_path(&format!("{base}{}", service.path()));
        url
    }

    /// Whether a URL belongs to the backend or to the issuer.
    pub(crate) fn is_own(&self, url: &Url) -> bool {
        let same = |own: &&Url| own.host_str() == url.host_str() && own.port() == url.port();
        [&self.responses, &self.authorize, &self.token].iter().any(same)
    }
}

fn join(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url
}

/// Whether a URL's host is this machine's loopback by its text.
pub(crate) fn is_loopback_url(url: &Url) -> bool {
    url.host_str().is_some_and(is_loopback)
}

fn check(setting: &'static str, url: &Url) -> Result<(), BuildError> {
    let bad = |problem: &str, hint| Err(BuildError::Url { setting, problem: problem.to_owned(), hint });
    match url.scheme() {
        "https" => {}
        "http" if is_plain_loopback(url) => {}
        "http" => return bad("is plain http to another machine", "use https; http is allowed for localhost only"),
        other => return bad(&format!("has the scheme {other}"), "use https"),
    }
    if !url.has_host() {
        return bad("names no host", "write it as https://host/path");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return bad("holds a user name or password", "remove it; logins are added with `polygate login`");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return bad("has a query or fragment", "write only scheme, host, port and path");
    }
    Ok(())
}

fn check_proxy(url: &Url) -> Result<(), BuildError> {
    if matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h") && url.has_host() {
        return Ok(());
    }
    let problem = format!("cannot be used with the scheme {}", url.scheme());
    Err(BuildError::Url { setting: "upstream.proxy", problem, hint: "use http, https, socks5 or socks5h and a host" })
}

#[cfg(test)]
mod tests;
