//! Where the backend is and how long to wait for it, checked once.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::profile::Profile;

/// The public OAuth client id of the Codex CLI; a login through it is a Codex login.
pub const CLIENT_ID: &str = "app_EMoamEEZ73f0CkXaXp7hrann";

/// How the backend is reached.
#[derive(Clone, Debug)]
pub struct Config {
    /// `https://chatgpt.com/backend-api`; `/codex/...` and `/wham/...` are appended. Plain http only for loopback.
    pub base_url: Url,
    /// `https://auth.openai.com`; `/oauth/...` is appended. Plain http only for loopback.
    pub auth_url: Url,
    /// Who we say we are.
    pub profile: Profile,
    /// Every wait's bound.
    pub timeouts: Timeouts,
    /// OAuth client id, [`CLIENT_ID`] unless an issuer of one's own is used.
    pub client_id: String,
    /// The one proxy (`http`, `https`, `socks5`, `socks5h`) of every connection; the environment is not read here.
    pub proxy: Option<Url>,
    /// PEM file of authorities trusted besides the system's.
    pub ca_bundle: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        let url = |text: &str| Url::parse(text).expect("invariant: a constant URL parses");
        Self {
            base_url: url("https://chatgpt.com/backend-api"),
            auth_url: url("https://auth.openai.com"),
            profile: Profile::default(),
            timeouts: Timeouts::default(),
            client_id: CLIENT_ID.to_owned(),
            proxy: None,
            ca_bundle: None,
        }
    }
}

/// Bounds of every wait; the body of an answer has none (its reader keeps its own idle timer).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Name lookup and TCP connect, and a proxy's own handshake.
    pub connect: Duration,
    /// TLS handshake.
    pub handshake: Duration,
    /// From the start of a request to its answer's headers.
    pub headers: Duration,
    /// A whole call of the token endpoint.
    pub token: Duration,
    /// A whole small call (models, usage, accounts).
    pub small: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            handshake: Duration::from_secs(10),
            headers: Duration::from_secs(120),
            token: Duration::from_secs(30),
            small: Duration::from_secs(30),
        }
    }
}

/// Why no client could be built from a [`Config`].
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Plain http to a host that is not loopback, another scheme, credentials, a query or a fragment.
    #[error("{setting} {problem}; hint: {hint}")]
    Url {
        /// `upstream.base_url` and its like.
        setting: &'static str,
        /// What is wrong; never the URL itself, which may hold credentials.
        problem: String,
        /// What to write instead.
        hint: &'static str,
    },
    /// The bundle cannot be read or holds no certificate.
    #[error("upstream.ca_bundle {path}: {problem}; hint: it must be a readable PEM file with at least one certificate")]
    Bundle {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A profile value that cannot be a header.
    #[error("identity profile: {0} is not a valid header value; hint: use printable ASCII")]
    Profile(&'static str),
    /// The HTTP client refused its settings.
    #[error("HTTP client: {0}")]
    Client(String),
}
