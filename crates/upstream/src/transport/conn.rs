//! Bare connections to the backend, for protocols that the HTTP client does not have: over the same proxy, with the same checks and
//! timers, and with a TLS hello without ALPN, as in the official client's WebSockets (capture 49).

use std::future::{Future, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::{HeaderValue, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use reqwest::dns::Resolve as _;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tower::{Service, service_fn};
use url::{Host, Url};

use super::dial::{DialError, DialLayer};
use super::pool::{ConnectOptions, ProxyBypass};
use super::resolver::Resolver;
use crate::config::{Timeouts, is_loopback_url};
use crate::fault::{Fault, FaultKind, Sent, find_source, root_cause};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A connection's two directions.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// An open connection.
pub(crate) type Conn = Box<dyn Io>;

/// How bare connections are opened.
#[derive(Clone, Copy)]
pub(super) struct Connector<'a> {
    pub(super) options: &'a ConnectOptions,
    pub(super) tls: &'a Arc<ClientConfig>,
    pub(super) timeouts: &'a Timeouts,
}

impl Connector<'_> {
    /// Opens a connection to the URL's host: plain for `http`, TLS for `https`. A proxy is asked for a tunnel in both cases. Errors:
    /// `Connect`, `Proxy` or `Tls`, nothing sent.
    pub(super) async fn connect(self, url: &Url) -> Result<Conn, Fault> {
        let proxy = self.options.proxy.as_ref().filter(|_| !self.bypasses_proxy(url));
        let work = async {
            let conn = match proxy {
                None => self.tcp(url).await?,
                Some(proxy) => self.connect_through(proxy, url).await?,
            };
            if url.scheme() == "https" { self.start_tls(conn, url).await } else { Ok(conn) }
        };
        let opened = DialLayer::new(self.timeouts, proxy).run(work).await;
        opened.map_err(|error| match find_source::<DialError>(error.as_ref()) {
            Some(dial) => {
                dial.log(url);
                Fault::new(Sent::No, dial.kind, dial.to_string())
            }
            None => Fault::new(Sent::No, FaultKind::Connect, root_cause(error.as_ref())),
        })
    }

    /// Whether this host bypasses the proxy; see [`ProxyBypass`].
    fn bypasses_proxy(self, url: &Url) -> bool {
        self.options.bypass != ProxyBypass::None && is_loopback_url(url)
    }

    async fn connect_through(self, proxy: &Url, url: &Url) -> Result<Conn, BoxError> {
        let first = self.tcp(proxy).await?;
        let first = if proxy.scheme() == "https" { self.start_tls(first, proxy).await? } else { first };
        let (at, mut first) = (uri(proxy)?, Some(TokioIo::new(first)));
        // The service gives out its only connection once.
        let opened = service_fn(move |_: Uri| ready(first.take().ok_or("the proxy's connection is used up")));
        let auth = proxy_login(proxy);
        if !proxy.scheme().starts_with("socks") {
            let mut tunnel = Tunnel::new(at, opened);
            if let Some((user, password)) = auth {
                let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")));
                tunnel = tunnel.with_auth(HeaderValue::try_from(basic)?);
            }
            return Ok(Box::new(TokioIo::new(tunnel.call(uri(url)?).await?)));
        }
        let mut socks = SocksV5::new(at, opened);
        if let Some((user, password)) = auth {
            socks = socks.with_auth(user, password);
        }
        // With `socks5` the name is looked up here, with `socks5h` at the proxy.
        let target = if proxy.scheme() == "socks5" { self.resolved(url).await? } else { uri(url)? };
        Ok(Box::new(TokioIo::new(socks.call(target).await?)))
    }

    async fn tcp(self, url: &Url) -> Result<Conn, BoxError> {
        let mut http = HttpConnector::new_with_resolver(DnsService(self.options.resolver.clone()));
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_keepalive(Some(Duration::from_secs(30)));
        http.set_keepalive_interval(Some(Duration::from_secs(10)));
        http.set_keepalive_retries(Some(3));
        #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
        http.set_tcp_user_timeout(Some(self.timeouts.unacknowledged));
        Ok(Box::new(http.call(uri(url)?).await?.into_inner()))
    }

    async fn start_tls(self, conn: Conn, url: &Url) -> Result<Conn, BoxError> {
        let host = url.host_str().ok_or("the address names no host")?;
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())?;
        Ok(Box::new(TlsConnector::from(Arc::clone(self.tls)).connect(name, conn).await?))
    }

    /// The URL's host as an address.
    async fn resolved(self, url: &Url) -> Result<Uri, BoxError> {
        let Some(Host::Domain(name)) = url.host() else { return uri(url) };
        let resolved = DnsService(self.options.resolver.clone()).call(Name::from_str(name)?).await?.next();
        let mut target = url.clone();
        let address = resolved.ok_or("the name has no address")?.ip();
        target.set_ip_host(address).map_err(|()| "the address cannot be used")?;
        uri(&target)
    }
}

/// Host and port of a URL; without a port, the default port of the scheme.
fn uri(url: &Url) -> Result<Uri, BoxError> {
    let host = url.host_str().ok_or("the address names no host")?;
    let port = url.port_or_known_default().unwrap_or(1080);
    // A proxy does not see the scheme; a connector only derives the port from it.
    Ok(Uri::from_str(&format!("https://{host}:{port}"))?)
}

/// A proxy's user name and password.
fn proxy_login(proxy: &Url) -> Option<(String, String)> {
    let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let has_login = !proxy.username().is_empty() || proxy.password().is_some();
    has_login.then(|| (plain(proxy.username()), plain(proxy.password().unwrap_or_default())))
}

/// The configured resolver, or the system's.
#[derive(Clone)]
struct DnsService(Option<Resolver>);

impl Service<Name> for DnsService {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolver = self.0.clone();
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = match resolver {
                Some(resolver) => resolver.resolve(reqwest::dns::Name::from_str(name.as_str())?).await?.collect(),
                None => tokio::net::lookup_host((name.as_str(), 0)).await?.collect(),
            };
            Ok(addresses.into_iter())
        })
    }
}
