//! How the backend behaves, and the versions that it publishes.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_rustls::rustls::ServerConfig;

/// The OAuth client id of the official Codex client.
pub const REAL_CLIENT_ID: &str = "app_EMoamEEZ73f0CkXaXp7hrann";

/// How the backend behaves.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches, each with a name of its own")]
pub struct Options {
    /// Where it listens; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Speaks TLS with this certificate, good or bad; the addresses become `https`. Informational answers and planned
    /// wire bytes go under it, as plain bytes.
    pub tls: Option<Arc<ServerConfig>>,
    /// Folders with recorded streams for [`crate::Plan::replay`].
    pub replay: Vec<PathBuf>,
    /// Tokens (text deltas) per second of every answer; as fast as they are taken without it.
    pub pace: Option<f64>,
    /// Puts the whole output into `response.completed`; the real backend leaves it empty.
    pub completed_output: bool,
    /// Begins every stream with a `codex.rate_limits` event, as over WebSocket.
    pub rate_limits_event: bool,
    /// The versions that the feeds of the official clients name at first.
    pub versions: Versions,
    /// Takes WebSockets; without them an upgrade is answered with 426.
    pub websocket: bool,
    /// How long a WebSocket may live.
    pub socket_life: Duration,
    /// How often it pings a WebSocket's client while a turn stands still; never when absent.
    pub socket_pings: Option<Duration>,
    /// Also sends the turn state in a `response.metadata` event, which WebSocket clients read.
    pub turn_state_event: bool,
    /// Refuses encrypted reasoning that this backend did not give to the same account.
    pub strict_encrypted: bool,
    /// Shortest time between two usage requests of one account; earlier ones are offences.
    pub usage_gap: Option<std::time::Duration>,
    /// Most usage requests at once; more are offences.
    pub usage_most: Option<usize>,
    /// Sends Cloudflare's cookies, and some that a client must not keep.
    pub cookies: bool,
    /// Requests kept in the record; the oldest leave first.
    pub keep: usize,
    /// The OAuth client that may log in.
    pub client_id: String,
    /// Ports of a login's redirect.
    pub redirect_ports: Vec<u16>,
    /// Lifetime of access tokens from the token endpoint, seconds.
    pub access_lifetime: i64,
    /// Polls after which a device code is approved by itself; never when absent.
    pub device_polls: Option<u32>,
    /// Seconds a device client is asked to wait between polls.
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
            usage_most: None,
            cookies: true,
            keep: 10_000,
            client_id: REAL_CLIENT_ID.to_owned(),
            redirect_ports: vec![1455, 1457],
            access_lifetime: 864_000,
            device_polls: Some(2),
            device_interval: 5,
        }
    }
}

/// The versions that the feeds name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Versions {
    /// Of the command-line program, `0.169.0`.
    pub cli: String,
    /// Of the desktop app, `26.908.40834`.
    pub app: String,
    /// Its build number.
    pub build: String,
}

impl Default for Versions {
    fn default() -> Self {
        Self { cli: "0.169.0".to_owned(), app: "26.908.40834".to_owned(), build: "4083".to_owned() }
    }
}
