//! The server's settings and limits. Nothing here is read from files or the environment.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use crate::memory;
use pool::keys::Strength;
use pool::limits;

pub use crate::forwarded::Network;

/// How and where the server listens, and which clients it serves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Addresses to listen on, all at the same port. Both loopback families by default.
    pub hosts: Vec<IpAddr>,
    /// Port; 0 picks a free one for all hosts together.
    pub port: u16,
    /// Names that a `Host` header may carry in addition to localhost and IP literals of the connection's local interface.
    pub allowed_hosts: Vec<String>,
    /// Web origins (`https://app.example`) that may call the data plane from a browser.
    pub cors_origins: Vec<String>,
    /// Whether plain HTTP may leave this machine (`--allow-plain-http`).
    pub allow_plain_http: bool,
    /// Whether data routes require a client key. `false` only has effect on loopback and is refused elsewhere.
    pub require_key: bool,
    /// Whether the admin side also answers on listeners that are not loopback.
    pub admin_remote: bool,
    /// The strength of the client keys, which decides whether a public bind is safe.
    pub keys: ClientKeyStrength,
    /// Proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<Network>,
    /// The Ollama listener.
    pub ollama: Ollama,
    /// Timers and caps.
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            hosts: loopback(),
            port: 8080,
            allowed_hosts: Vec::new(),
            cors_origins: Vec::new(),
            allow_plain_http: false,
            require_key: true,
            admin_remote: false,
            keys: ClientKeyStrength::None,
            trusted_proxies: Vec::new(),
            ollama: Ollama::default(),
            limits: Limits::default(),
        }
    }
}

/// The listener for Ollama's own API, as local programs expect it: without a key, on loopback only.
#[derive(Clone, Debug)]
pub struct Ollama {
    /// Whether the listener is opened.
    pub enabled: bool,
    /// Addresses to listen on, all at the same port.
    pub hosts: Vec<IpAddr>,
    /// Port; 0 picks a free one.
    pub port: u16,
    /// Whether addresses other than loopback are allowed; clients there need a key.
    pub allow_remote: bool,
    /// The version of Ollama that is reported; clients use features according to the version.
    pub version: String,
    /// Whether the listener hides that models accept images.
    pub disable_vision: bool,
}

impl Default for Ollama {
    fn default() -> Self {
        Self {
            enabled: false,
            hosts: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
            port: 11434,
            allow_remote: false,
            version: "0.18.3".to_owned(),
            disable_vision: false,
        }
    }
}

/// Parses `server.host`: `localhost` (or nothing) means both loopback families, `::` every address of both, else an IP literal. Errors: the
/// text itself if it is a name, because a name may resolve to anything and is never bound.
pub fn hosts(text: &str) -> Result<Vec<IpAddr>, String> {
    let bare = text.trim().trim_start_matches('[').trim_end_matches(']');
    if bare.is_empty() || bare.eq_ignore_ascii_case("localhost") {
        return Ok(loopback());
    }
    match bare.parse() {
        Ok(IpAddr::V6(Ipv6Addr::UNSPECIFIED)) => Ok(vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()]),
        Ok(address) => Ok(vec![address]),
        Err(_) => Err(text.to_owned()),
    }
}

fn loopback() -> Vec<IpAddr> {
    vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]
}

/// The strength of the client keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKeyStrength {
    /// There is no key at all.
    None,
    /// A key that the owner chose.
    Fixed(Strength),
    /// Only generated keys, which are always strong.
    Generated,
}

impl ClientKeyStrength {
    /// The strength of a fixed key (`server.api_key`), or of the generated keys if there is no fixed key. Generated keys do not make up for
    /// a weak fixed key.
    pub fn judge(fixed: Option<&str>, minted: bool) -> Self {
        match fixed.map(str::trim).filter(|key| !key.is_empty()) {
            Some(key) => Self::Fixed(Strength::of(key)),
            None if minted => Self::Generated,
            None => Self::None,
        }
    }
}

/// Timers and caps of the listener.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The longest time from accept to the first byte.
    pub first_byte: Duration,
    /// The longest time from the first byte of a request head to its last.
    pub head: Duration,
    /// Idle time between requests of one connection.
    pub idle: Duration,
    /// Bytes of a request head.
    pub head_bytes: usize,
    /// Headers of a request.
    pub headers: usize,
    /// Longest time without a byte of a request body.
    pub body_stall: Duration,
    /// Longest time that a write to a client may block.
    pub write_stall: Duration,
    /// How long new requests are still accepted after a shutdown was requested.
    pub drain_delay: Duration,
    /// How long the store may be unreachable until the node counts as not ready.
    pub store_grace: Duration,
    /// How long streams may take to finish after a shutdown was requested.
    pub drain: Duration,
    /// How long the last frames may take after the drain.
    pub abort_timeout: Duration,
    /// Bytes of a request body on the wire.
    pub wire: u64,
    /// Bytes of a request body once decoded.
    pub decoded: usize,
    /// Bytes of all request bodies and replies held at once.
    pub buffered: usize,
    /// Connections at once.
    pub connections: usize,
    /// Connections at once from one address, or requests at once of one address behind a trusted proxy; loopback is exempt.
    pub per_address: usize,
    /// Replies in progress at once.
    pub replies: usize,
    /// WebSocket connections at once.
    pub sockets: usize,
    /// How long a WebSocket may be silent between two replies.
    pub socket_idle: Duration,
    /// Messages of one WebSocket that may wait while a reply runs.
    pub waiting: usize,
    /// HTTP/2 streams of one connection.
    pub h2_streams: u32,
    /// HTTP/2 flow-control window, per stream and per connection, in bytes.
    pub h2_window: u32,
    /// How often an HTTP/2 connection is pinged.
    pub h2_ping: Duration,
    /// How long the answer to a ping may take.
    pub h2_pong: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            first_byte: limits::HEADER_READ,
            head: limits::HEADER_READ,
            // Longer than the 90 s after which common clients drop an idle connection, so that they never send into a close.
            idle: Duration::from_mins(2),
            head_bytes: limits::HEADER_BYTES,
            headers: limits::HEADER_COUNT,
            body_stall: limits::BODY_STALL,
            write_stall: limits::WRITE_STALL,
            drain_delay: Duration::ZERO,
            store_grace: limits::STORE_GRACE,
            drain: limits::DRAIN,
            abort_timeout: Duration::from_secs(2),
            wire: limits::BODY_WIRE as u64,
            decoded: limits::BODY_DECODED,
            buffered: memory::budget(),
            connections: limits::CONNECTIONS,
            per_address: limits::CONNECTIONS_PER_IP,
            replies: limits::STREAMS,
            sockets: limits::SOCKETS,
            socket_idle: limits::SOCKET_IDLE,
            waiting: limits::SOCKET_WAITING,
            h2_streams: limits::H2_STREAMS,
            h2_window: limits::H2_WINDOW,
            h2_ping: Duration::from_secs(20),
            h2_pong: Duration::from_secs(10),
        }
    }
}

#[cfg(test)]
mod tests;
