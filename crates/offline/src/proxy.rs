//! Proxies on loopback, for tests of egress: HTTP CONNECT and plain forwarding, SOCKS 5, with or without credentials, and with
//! faults. Each proxy records its connections, so that a test can prove that nothing bypassed the proxy.

mod http;
mod socks;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::{fmt, io};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::record::RecordedRequest;

/// The protocol of a proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// CONNECT, and plain http requests with an absolute URL.
    #[default]
    Http,
    /// SOCKS 5 with a `socks5h` URL: the proxy resolves names.
    Socks5,
    /// SOCKS 5 with a `socks5` URL: the client resolves names.
    Socks5Local,
}

/// The fault of the next connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProxyFault {
    /// No fault.
    #[default]
    Good,
    /// Every connection is closed at once.
    Closes,
    /// Accepts a connection and never answers.
    Hangs,
    /// Answers 407, or refuses the credentials of SOCKS 5.
    Refuses,
    /// Answers CONNECT with 200, then sends a page. SOCKS 5: accepts the target, then sends a page.
    Page,
    /// Answers 502: the target is not reachable. SOCKS 5: host unreachable.
    Lost,
    /// Ends the connection after this many bytes from the target.
    Cuts(u64),
}

/// A connection that a proxy carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxiedConnection {
    /// The target that the client named: `host:port`.
    pub target: String,
    /// The address that the target saw.
    pub from: SocketAddr,
}

/// The options of a proxy.
#[derive(Clone, Debug, Default)]
pub struct ProxyOptions {
    /// The proxy's protocol.
    pub protocol: ProxyProtocol,
    /// Required user name and password.
    pub credentials: Option<(String, String)>,
    /// Overrides of name resolution, such as the real backend's name for a test server.
    pub hosts: Vec<(String, SocketAddr)>,
    /// Serves over TLS with this certificate; the URL of an HTTP proxy then has the scheme `https`.
    pub tls: Option<Arc<ServerConfig>>,
}

/// A running proxy. A drop stops the proxy.
pub struct Proxy {
    addr: SocketAddr,
    inner: Arc<Inner>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

struct Inner {
    options: ProxyOptions,
    fault: Mutex<ProxyFault>,
    state: watch::Sender<ProxyState>,
}

#[derive(Clone, Debug, Default)]
struct ProxyState {
    accepted: u64,
    carried: Vec<ProxiedConnection>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("addr", &self.addr).finish_non_exhaustive()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Proxy {
    /// Binds a free loopback port and serves.
    pub async fn start(options: ProxyOptions) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let inner = Arc::new(Inner { options, fault: Mutex::default(), state: watch::Sender::default() });
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(run(listener, Arc::clone(&inner), stop.clone(), tasks.clone()));
        tasks.close();
        Ok(Self { addr, inner, stop, tasks })
    }

    /// The proxy's URL with the required credentials.
    pub fn url(&self) -> String {
        let scheme = match self.inner.options.protocol {
            ProxyProtocol::Http if self.inner.options.tls.is_some() => "https",
            ProxyProtocol::Http => "http",
            ProxyProtocol::Socks5 => "socks5h",
            ProxyProtocol::Socks5Local => "socks5",
        };
        match &self.inner.options.credentials {
            Some((user, password)) => format!("{scheme}://{user}:{password}@{}", self.addr),
            None => format!("{scheme}://{}", self.addr),
        }
    }

    /// Sets the fault of later connections.
    pub fn set_fault(&self, mood: ProxyFault) {
        *self.inner.fault.lock() = mood;
    }

    /// The number of accepted connections.
    pub fn accepted(&self) -> u64 {
        self.inner.state.borrow().accepted
    }

    /// The connections to targets, in order.
    pub fn carried(&self) -> Vec<ProxiedConnection> {
        self.inner.state.borrow().carried.clone()
    }

    /// Whether a request of the backend's record came through the proxy.
    pub fn saw(&self, seen: &RecordedRequest) -> bool {
        self.inner.state.borrow().carried.iter().any(|carried| Some(carried.from) == seen.peer)
    }

    /// Ends every connection and waits until all have ended; the port then refuses connections.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

async fn run(listener: TcpListener, inner: Arc<Inner>, stop: CancellationToken, tasks: TaskTracker) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        let Ok((client, _)) = accepted else { continue };
        inner.state.send_modify(|state| state.accepted += 1);
        let (inner, stop) = (Arc::clone(&inner), stop.clone());
        tasks.spawn(async move {
            tokio::select! {
                ended = converse(client, &inner) => if let Err(error) = ended {
                    tracing::debug!(%error, "a connection of an offline proxy ended");
                },
                () = stop.cancelled() => {}
            }
        });
    }
}

async fn converse(client: TcpStream, inner: &Inner) -> io::Result<()> {
    let mood = *inner.fault.lock();
    match mood {
        ProxyFault::Closes => return Ok(()),
        ProxyFault::Hangs => return std::future::pending().await,
        _ => {}
    }
    match &inner.options.tls {
        None => speak(client, inner, mood).await,
        Some(tls) => speak(TlsAcceptor::from(Arc::clone(tls)).accept(client).await?, inner, mood).await,
    }
}

async fn speak(client: impl Client, inner: &Inner, mood: ProxyFault) -> io::Result<()> {
    match inner.options.protocol {
        ProxyProtocol::Http => http::serve(client, inner, mood).await,
        ProxyProtocol::Socks5 | ProxyProtocol::Socks5Local => socks::serve(client, inner, mood).await,
    }
}

/// A client's connection, plain or over TLS.
trait Client: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Client for T {}

impl Inner {
    /// Connects to the target and records the connection before any byte passes.
    async fn dial(&self, target: &str) -> io::Result<TcpStream> {
        let host = target.rsplit_once(':').map_or(target, |(host, _)| host);
        let meant = self.options.hosts.iter().find(|(name, _)| name == host).map(|(_, addr)| *addr);
        let server = match meant {
            Some(addr) => TcpStream::connect(addr).await?,
            None => TcpStream::connect(target).await?,
        };
        let carried = ProxiedConnection { target: target.to_owned(), from: server.local_addr()? };
        self.state.send_modify(|state| state.carried.push(carried));
        Ok(server)
    }
}

/// Copies bytes in both directions until one ends, or until the fault's limit of the target's bytes.
async fn carry(client: impl Client, server: TcpStream, mood: ProxyFault) -> io::Result<()> {
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_server, mut to_server) = server.into_split();
    let most = if let ProxyFault::Cuts(bytes) = mood { bytes } else { u64::MAX };
    let up = async {
        let done = tokio::io::copy(&mut from_client, &mut to_server).await;
        to_server.shutdown().await.and(done)
    };
    let down = async {
        let done = copy_some(&mut from_server, &mut to_client, most).await;
        to_client.shutdown().await.and(done)
    };
    if most < u64::MAX {
        tokio::select! {
            _ = up => {}
            _ = down => {}
        }
        return Ok(());
    }
    let (up, down) = tokio::join!(up, down);
    up.and(down).map(|_| ())
}

async fn copy_some(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    most: u64,
) -> io::Result<u64> {
    tokio::io::copy(&mut from.take(most), to).await
}

/// The page that a proxy sends instead of the target's answer.
const PAGE: &[u8] = b"<html><body>Sign in to this network</body></html>\r\n\r\n\r\n\r\n";
