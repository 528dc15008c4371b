//! The backend's options, and the client versions that it publishes.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_rustls::rustls::ServerConfig;

/// The OAuth client id of the official Codex client.
pub const REAL_CLIENT_ID: &str = "app_EMoamEEZ73f0CkXaXp7hrann";

/// The backend's options.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches, each with a name of its own")]
pub struct Options {
    /// The address to listen on; port 0 picks a free port.
    pub listen: SocketAddr,
    /// Serves over TLS with this certificate, valid or not; the URLs become `https`. Informational responses and planned wire bytes
    /// bypass TLS, as plain bytes.
    pub tls: Option<Arc<ServerConfig>>,
    /// Folders with recorded streams for [`crate::Plan::replay`].
    pub replay: Vec<PathBuf>,
    /// Tokens (text deltas) per second of every answer; unlimited when absent.
    pub pace: Option<f64>,
    /// Repeats the whole output in `response.completed`; the real backend leaves it empty.
    pub completed_output: bool,
    /// Starts every stream with a `codex.rate_limits` event, as over WebSocket.
    pub rate_limits_event: bool,
    /// The initial versions in the feeds of the official clients.
    pub versions: Versions,
    /// Accepts WebSockets; otherwise the answer to an upgrade is 426.
    pub websocket: bool,
    /// The maximum age of a WebSocket.
    pub socket_life: Duration,
    /// The interval of pings to a WebSocket's client while a turn waits; no pings when absent.
    pub socket_pings: Option<Duration>,
    /// Also sends the turn state in a `response.metadata` event, which WebSocket clients read.
    pub turn_state_event: bool,
    /// Refuses encrypted reasoning that this backend did not make for the same account.
    pub strict_encrypted: bool,
    /// The minimum time between two usage requests of one account; an earlier request is a protocol violation.
    pub usage_gap: Option<std::time::Duration>,
    /// The maximum of usage requests at once; more are a protocol violation.
    pub max_usage_requests: Option<usize>,
    /// Sends Cloudflare's cookies, and some that a client must not store.
    pub cookies: bool,
    /// The maximum of requests in the record; the oldest are dropped first.
    pub max_recorded: usize,
    /// The OAuth client that may log in.
    pub client_id: String,
    /// The allowed ports of a login's redirect URI.
    pub redirect_ports: Vec<u16>,
    /// Lifetime of access tokens from the token endpoint, seconds.
    pub access_lifetime: i64,
    /// The number of polls after which a device code is approved automatically; never when absent.
    pub device_polls: Option<u32>,
    /// The poll interval that a device client is given, seconds.
    pub device_interval: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            tls: None,
            replay: Vec::new(),
            pace: None,
            completed_output: false,
            rate_limits_event: false,
            versions: Versions::default(),
            websocket: true,
            socket_life: Duration::from_hours(1),
            socket_pings: None,
            turn_state_event: true,
            strict_encrypted: true,
            usage_gap: None,
            max_usage_requests: None,
            cookies: true,
            max_recorded: 10_000,
            client_id: REAL_CLIENT_ID.to_owned(),
            redirect_ports: vec![1455, 1457],
            access_lifetime: 864_000,
            device_polls: Some(2),
            device_interval: 5,
        }
    }
}

/// The versions in the feeds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Versions {
    /// The version of the command-line program, `0.169.0`.
    pub cli: String,
    /// The version of the desktop app, `26.908.40834`.
    pub app: String,
    /// The build number of the desktop app.
    pub build: String,
}

impl Default for Versions {
    fn default() -> Self {
        Self { cli: "0.169.0".to_owned(), app: "26.908.40834".to_owned(), build: "4083".to_owned() }
    }
}
