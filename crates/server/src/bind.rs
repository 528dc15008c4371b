//! Opens the listeners, and refuses public addresses that would let strangers use the gateway.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use pool::keys::Strength;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use crate::settings::{ClientKeyStrength, Ollama, Settings};

/// The longest queue of connections that wait to be accepted.
const BACKLOG: i32 = 1024;
/// The number of attempts to find one free port for all hosts.
const TRIES: u32 = 32;

/// Why a server does not listen.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field has the name that the text gives it")]
pub enum BindError {
    /// A public address without any key.
    #[error(
        "refusing to listen on {0}: there is no client key, so anybody could use your accounts; hint: run `polygate keys create` \
         or set server.api_key (POLYGATE_SERVER__API_KEY), or listen on localhost (server.host)"
    )]
    NoKey(IpAddr),
    /// A public address with a key that everybody knows.
    #[error(
        "refusing to listen on {0}: server.api_key is a sample key that everybody knows; hint: unset it and run \
         `polygate keys create`, or listen on localhost (server.host)"
    )]
    SampleKey(IpAddr),
    /// A public address with a key that can be guessed.
    #[error(
        "refusing to listen on {0}: server.api_key has fewer than 24 characters; hint: choose a longer one, or unset it and run \
         `polygate keys create`"
    )]
    ShortKey(IpAddr),
    /// A public address that would serve without asking for a key.
    #[error("refusing to listen on {0}: server.require_key = false is for localhost only (server.host)")]
    Keyless(IpAddr),
    /// A public address over plain HTTP.
    #[error(
        "refusing to listen on {0}: plain HTTP shows keys and prompts to the network; hint: put TLS in front on this machine and \
         listen on localhost, or allow it with --allow-plain-http (server.allow_plain_http = true)"
    )]
    PlainHttp(IpAddr),
    /// The Ollama API on a public address.
    #[error(
        "refusing to serve the Ollama API on {0}: it asks for no key; hint: listen on 127.0.0.1 (ollama.host), or set \
         ollama.allow_remote = true, which makes it ask for a client key there"
    )]
    OllamaRemote(IpAddr),
    /// The Ollama API on a public address, without a client key that protects it.
    #[error(
        "refusing to serve the Ollama API on {0}: there is no client key that is worth asking for; hint: run \
         `polygate keys create`, or listen on 127.0.0.1 (ollama.host)"
    )]
    OllamaKey(IpAddr),
    /// Nothing to listen on.
    #[error("no address to listen on; hint: set server.host")]
    NoHost,
    /// Another program has the port.
    #[error("{0} is in use by another program; hint: stop it or choose another server.port (0 picks a free one)")]
    InUse(SocketAddr),
    /// The operating system refuses to listen.
    #[error("cannot listen on {address}")]
    Io { address: SocketAddr, source: io::Error },
}

/// Opens every listener of `settings`, all at one port.
pub(crate) fn listen(settings: &Settings) -> Result<Vec<TcpListener>, BindError> {
    check_settings(settings)?;
    open_all(&settings.hosts, settings.port)
}

/// Checks whether the Ollama listener may be opened.
pub(crate) fn check_ollama(ollama: &Ollama, keys: ClientKeyStrength) -> Result<(), BindError> {
    let Some(host) = first_public(&ollama.hosts) else { return Ok(()) };
    if !ollama.allow_remote {
        return Err(BindError::OllamaRemote(host));
    }
    let good = matches!(keys, ClientKeyStrength::Generated | ClientKeyStrength::Fixed(Strength::Strong));
    if good { Ok(()) } else { Err(BindError::OllamaKey(host)) }
}

/// Opens the Ollama listener.
pub(crate) fn listen_ollama(ollama: &Ollama) -> Result<Vec<TcpListener>, BindError> {
    open_all(&ollama.hosts, ollama.port)
}

fn first_public(hosts: &[IpAddr]) -> Option<IpAddr> {
    hosts.iter().copied().find(|host| !host.to_canonical().is_loopback())
}

fn open_all(hosts: &[IpAddr], port: u16) -> Result<Vec<TcpListener>, BindError> {
    if port != 0 {
        return open_hosts(hosts, port);
    }
    let mut last = BindError::NoHost;
    for _ in 0..TRIES {
        match open_hosts(hosts, 0) {
            Err(BindError::InUse(address)) => last = BindError::InUse(address),
            other => return other,
        }
    }
    Err(last)
}

fn check_settings(settings: &Settings) -> Result<(), BindError> {
    let Some(host) = first_public(&settings.hosts) else { return Ok(()) };
    if !settings.require_key {
        return Err(BindError::Keyless(host));
    }
    match settings.keys {
        ClientKeyStrength::None => return Err(BindError::NoKey(host)),
        ClientKeyStrength::Fixed(Strength::Known) => return Err(BindError::SampleKey(host)),
        ClientKeyStrength::Fixed(Strength::Weak) => return Err(BindError::ShortKey(host)),
        ClientKeyStrength::Fixed(Strength::Strong) | ClientKeyStrength::Generated => {}
    }
    if settings.allow_plain_http { Ok(()) } else { Err(BindError::PlainHttp(host)) }
}

/// Listens on all hosts at `port`. With port 0, all hosts use the port that the first host picked.
fn open_hosts(hosts: &[IpAddr], mut port: u16) -> Result<Vec<TcpListener>, BindError> {
    let mut listeners = Vec::new();
    for host in hosts {
        let address = SocketAddr::new(*host, port);
        match listener(address) {
            Ok((listener, chosen)) => {
                port = chosen;
                listeners.push(listener);
            }
            Err(error) if *host == Ipv6Addr::LOCALHOST && hosts.len() > 1 && lacks_ipv6(&error) => {}
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(BindError::InUse(address)),
            Err(source) => return Err(BindError::Io { address, source }),
        }
    }
    if listeners.is_empty() { Err(BindError::NoHost) } else { Ok(listeners) }
}

/// Whether this machine has no IPv6 loopback.
fn lacks_ipv6(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported)
        // EAFNOSUPPORT has no `ErrorKind`: 97 on Linux, 47 on macOS and the BSDs, 10047 on Windows.
        || matches!(error.raw_os_error(), Some(97 | 47 | 10047))
}

fn listener(address: SocketAddr) -> io::Result<(TcpListener, u16)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Not on Windows, where this option would let another program take over the port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    let listener = TcpListener::from_std(socket.into())?;
    let port = listener.local_addr()?.port();
    Ok((listener, port))
}

#[cfg(test)]
mod tests;
