//! The identity towards the backend, as data: names, versions, and the headers with their order.
//!
//! The header orders are those of the official client 0.169.0 (measured 2026-11-21); `golden.rs` and `captured.rs` of the tests check
//! them.

use http::{HeaderName, HeaderValue};

/// The version of the official client whose protocol is used; sent as `version` and `client_version`.
pub const CODEX_VERSION: &str = "0.169.0";
/// The newest version of the desktop app whose User-Agent is publicly known (2026-09).
pub const DESKTOP_VERSION: &str = "26.908.40834";

/// A body of up to this size leaves with its headers in the first ten packets, which a connection sends without waiting for an answer
/// (RFC 6928). Compression would not make it arrive earlier.
const FIRST_FLIGHT: usize = 8 * 1024;

/// An identity towards the backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// `polygate`, `codex-cli` or `codex-desktop`.
    pub name: &'static str,
    /// Header `version` and query `client_version`: the protocol version. The catalogue depends on the version.
    pub version: String,
    /// Header `originator` of every call that has one; the User-Agent begins with it.
    pub originator: String,
    /// Header `user-agent` of every call that has one.
    pub user_agent: String,
    /// `originator` of the authorize URL.
    pub login_originator: String,
    /// `x-codex-beta-features`, unless a Codex client's own is passed on.
    pub beta: Option<&'static str>,
    /// Whether turns of other clients get the metadata of the official client ([`Profile::turn_metadata`]).
    pub sends_turn_metadata: bool,
    /// From how many bytes on the bodies of model calls are compressed.
    pub compress_from: usize,
    /// The version of the app around the protocol's core, if the identity has an app.
    pub app: Option<String>,
    /// The machine in the User-Agent of the Codex profiles.
    pub platform: Platform,
    /// The headers of each kind of call, in order.
    pub orders: &'static HeaderOrders,
}

/// The machine as the official client describes it in its User-Agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// `Debian 12.0.0`, `Mac OS 15.6.1`.
    pub os: String,
    /// `x86_64`, `arm64`.
    pub arch: String,
    /// `xterm`, `unknown`.
    pub terminal: String,
}

impl Default for Platform {
    /// The compile-time values.
    fn default() -> Self {
        let os = match std::env::consts::OS {
            "linux" => "Linux",
            "macos" => "Mac OS",
            "windows" => "Windows",
            other => other,
        };
        Self { os: os.to_owned(), arch: std::env::consts::ARCH.to_owned(), terminal: "unknown".to_owned() }
    }
}

impl Default for Profile {
    /// [`Profile::polygate`].
    fn default() -> Self {
        Self::polygate()
    }
}

impl Profile {
    /// The profile with this name; `None` for a name other than the three.
    pub fn named(name: &str, platform: &Platform) -> Option<Self> {
        match name {
            "polygate" => Some(Self::polygate()),
            "codex-cli" => Some(Self::codex_cli(CODEX_VERSION, platform)),
            "codex-desktop" => Some(Self::codex_desktop(CODEX_VERSION, DESKTOP_VERSION, platform)),
            _ => None,
        }
    }

    /// The gateway's own identity: OpenAI asks third-party clients to use their own name.
    pub fn polygate() -> Self {
        let (version, platform) = (env!("CARGO_PKG_VERSION"), Platform::default());
        Self {
            name: "polygate",
            version: CODEX_VERSION.to_owned(),
            originator: "polygate".to_owned(),
            user_agent: format!("polygate/{version} ({}; {})", platform.os, platform.arch),
            login_originator: "polygate".to_owned(),
            beta: None,
            sends_turn_metadata: false,
            compress_from: FIRST_FLIGHT,
            app: None,
            platform,
            orders: &CODEX,
        }
    }

    /// The official terminal client of a version.
    pub fn codex_cli(version: &str, platform: &Platform) -> Self {
        Self::codex("codex-cli", "codex_cli_rs", (version, None), platform)
    }

    /// The official desktop app: a core of `version` inside an app of version `app`.
    pub fn codex_desktop(version: &str, app: &str, platform: &Platform) -> Self {
        Self::codex("codex-desktop", "Codex Desktop", (version, Some(app)), platform)
    }

    /// The same identity with another version of the protocol, or of the app if the identity has an app.
    #[must_use]
    pub fn with_versions(&self, version: Option<&str>, app: Option<&str>) -> Self {
        let version = version.unwrap_or(&self.version);
        match (self.name, app.or(self.app.as_deref())) {
            ("codex-cli", _) => Self::codex_cli(version, &self.platform),
            ("codex-desktop", Some(app)) => Self::codex_desktop(version, app, &self.platform),
            _ => Self { version: version.to_owned(), ..self.clone() },
        }
    }

    fn codex(name: &'static str, originator: &str, (version, app): (&str, Option<&str>), platform: &Platform) -> Self {
        Self {
            name,
            version: version.to_owned(),
            originator: originator.to_owned(),
            user_agent: agent(originator, version, platform, app.map(|app| (originator, app))),
            login_originator: "codex_cli_rs".to_owned(),
            beta: Some("remote_compaction_v2"),
            sends_turn_metadata: true,
            compress_from: 0,
            app: app.map(str::to_owned),
            platform: platform.clone(),
            orders: &CODEX,
        }
    }

    /// Errors: the name of the first field whose value cannot be a header.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let fields = [
            ("version", &self.version),
            ("originator", &self.originator),
            ("user_agent", &self.user_agent),
            ("login_originator", &self.login_originator),
        ];
        let bad = fields.iter().find(|(_, value)| value.is_empty() || HeaderValue::from_str(value).is_err());
        bad.map_or(Ok(()), |(field, _)| Err(*field))
    }
}

/// The official client's User-Agent; `client` is the name and the version of the host app.
pub fn agent(originator: &str, version: &str, platform: &Platform, client: Option<(&str, &str)>) -> String {
    let Platform { os, arch, terminal } = platform;
    let suffix = client.map_or(String::new(), |(name, version)| format!(" ({name}; {version})"));
    format!("{originator}/{version} ({os}; {arch}) {terminal}{suffix}")
}

/// The headers of each kind of call, in order; a field without a value is left out.
#[derive(Debug, PartialEq, Eq)]
pub struct HeaderOrders {
    /// `POST /codex/responses`.
    pub responses: &'static [HeaderField],
    /// `GET /codex/responses` with an upgrade to a socket.
    pub socket: &'static [HeaderField],
    /// `GET /codex/models`.
    pub models: &'static [HeaderField],
    /// `GET /wham/...`.
    pub account: &'static [HeaderField],
    /// `POST /wham/...`.
    pub account_post: &'static [HeaderField],
    /// `POST /codex/images/...` and `POST /codex/alpha/search`.
    pub service: &'static [HeaderField],
    /// Refresh and revoke.
    pub refresh: &'static [HeaderField],
    /// The other calls of the auth server.
    pub auth: &'static [HeaderField],
}

/// A header of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the header of the same name, see `HeaderField::name`")]
pub enum HeaderField {
    Version,
    Routing,
    Beta,
    TurnState,
    Window,
    TurnMetadata,
    ImageTurn,
    ParentThread,
    Subagent,
    Lite,
    RoutingHint,
    RequestId,
    Session,
    Thread,
    Accept,
    Encoding,
    ContentType,
    Authorization,
    Account,
    Fedramp,
    Originator,
    UserAgent,
    Cookie,
    IfNoneMatch,
    OpenAiBeta,
}

impl HeaderField {
    /// Its name on the wire.
    pub fn name(self) -> HeaderName {
        HeaderName::from_static(match self {
            Self::Version => "version",
            Self::Routing => "x-openai-account-routing-override",
            Self::Beta => "x-codex-beta-features",
            Self::TurnState => "x-codex-turn-state",
            Self::Window => "x-codex-window-id",
            Self::TurnMetadata => "x-codex-turn-metadata",
            Self::ImageTurn => "x-codex-image-turn-id",
            Self::ParentThread => "x-codex-parent-thread-id",
            Self::Subagent => "x-openai-subagent",
            Self::Lite => "x-openai-internal-codex-responses-lite",
            Self::RoutingHint => "x-codex-routing-hint",
            Self::RequestId => "x-client-request-id",
            Self::Session => "session-id",
            Self::Thread => "thread-id",
            Self::Accept => "accept",
            Self::Encoding => "content-encoding",
            Self::ContentType => "content-type",
            Self::Authorization => "authorization",
            Self::Account => "chatgpt-account-id",
            Self::Fedramp => "x-openai-fedramp",
            Self::Originator => "originator",
            Self::UserAgent => "user-agent",
            Self::Cookie => "cookie",
            Self::IfNoneMatch => "if-none-match",
            Self::OpenAiBeta => "openai-beta",
        })
    }
}

/// The official client's orders; the HTTP client adds `host` and `content-length`.
pub static CODEX: HeaderOrders = HeaderOrders {
    responses: &[
        HeaderField::Version,
        HeaderField::Routing,
        HeaderField::Beta,
        HeaderField::TurnState,
        HeaderField::Window,
        HeaderField::TurnMetadata,
        HeaderField::ParentThread,
        HeaderField::Subagent,
        HeaderField::Lite,
        HeaderField::RoutingHint,
        HeaderField::RequestId,
        HeaderField::Session,
        HeaderField::Thread,
        HeaderField::Accept,
        HeaderField::Encoding,
        HeaderField::ContentType,
        HeaderField::Authorization,
        HeaderField::Account,
        HeaderField::Fedramp,
        HeaderField::Originator,
        HeaderField::UserAgent,
        HeaderField::Cookie,
    ],
    socket: &[
        HeaderField::Account,
        HeaderField::Fedramp,
        HeaderField::Authorization,
        HeaderField::UserAgent,
        HeaderField::Originator,
        HeaderField::OpenAiBeta,
        HeaderField::Version,
        HeaderField::Routing,
        HeaderField::Beta,
        HeaderField::RequestId,
        HeaderField::Session,
        HeaderField::Thread,
        HeaderField::Window,
        HeaderField::TurnMetadata,
        HeaderField::ParentThread,
        HeaderField::Subagent,
        HeaderField::RoutingHint,
        HeaderField::Cookie,
    ],
    models: &[
        HeaderField::Version,
        HeaderField::Authorization,
        HeaderField::Account,
        HeaderField::Fedramp,
        HeaderField::Originator,
        HeaderField::UserAgent,
        HeaderField::Accept,
        HeaderField::IfNoneMatch,
        HeaderField::Cookie,
    ],
    account: &[
        HeaderField::UserAgent,
        HeaderField::Authorization,
        HeaderField::Account,
        HeaderField::Fedramp,
        HeaderField::Accept,
        HeaderField::Cookie,
    ],
    account_post: &[
        HeaderField::UserAgent,
        HeaderField::Authorization,
        HeaderField::Account,
        HeaderField::Fedramp,
        HeaderField::ContentType,
        HeaderField::Accept,
        HeaderField::Cookie,
    ],
    service: &[
        HeaderField::Version,
        HeaderField::ImageTurn,
        HeaderField::TurnMetadata,
        HeaderField::Authorization,
        HeaderField::Account,
        HeaderField::Fedramp,
        HeaderField::ContentType,
        HeaderField::Originator,
        HeaderField::UserAgent,
        HeaderField::Accept,
        HeaderField::Cookie,
    ],
    refresh: &[HeaderField::ContentType, HeaderField::Originator, HeaderField::UserAgent, HeaderField::Accept],
    auth: &[HeaderField::ContentType, HeaderField::Accept],
};
