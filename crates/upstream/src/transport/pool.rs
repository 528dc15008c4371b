//! A pool of HTTP clients, so that no request waits for another request to end.
//!
//! A client keeps one HTTP/2 connection per host. A request beyond the server's stream limit would wait inside the client, unsent, until
//! another request ends. So each pooled client gets at most as many requests as servers should allow.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::redirect::Policy;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

use super::conn::{Conn, Connector};
use super::dial::DialLayer;
use super::resolver::Resolver;
use super::roots::CertificateVerifier;
use crate::config::{BuildError, Timeouts};
use crate::fault::{Fault, root_cause};

/// Most concurrent exchanges of one client. Servers should allow at least 100 streams (RFC 9113, section 6.5.2); Cloudflare allows
/// exactly 100.
const STREAMS: usize = 100;

/// Targets that bypass the proxy.
const NO_PROXY_LOOPBACK: &str = "localhost,127.0.0.0/8,::1";
/// As [`NO_PROXY_LOOPBACK`], for relays that may be on private addresses.
const NO_PROXY_PRIVATE: &str =
    "localhost,127.0.0.0/8,::1,10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16,fc00::/7,fe80::/10";

/// The clients of one egress. The first always exists; more are added when all are busy.
pub(crate) struct ClientPool {
    factory: ClientFactory,
    clients: Mutex<Vec<PooledClient>>,
}

/// The settings of every pooled client.
struct ClientFactory {
    roots: Arc<CertificateVerifier>,
    tls: rustls::ClientConfig,
    /// The same settings without ALPN, for bare connections.
    tls_without_alpn: Arc<rustls::ClientConfig>,
    timeouts: Timeouts,
    options: ConnectOptions,
}

/// How connections are opened.
#[derive(Clone)]
pub(crate) struct ConnectOptions {
    pub(crate) proxy: Option<Url>,
    /// The targets that bypass the proxy.
    pub(crate) bypass: ProxyBypass,
    /// The resolver; `None` is the system's.
    pub(crate) resolver: Option<Resolver>,
}

/// The targets that bypass the proxy: a proxy elsewhere can reach neither this machine's loopback nor its local networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProxyBypass {
    /// Nothing.
    None,
    /// This machine.
    Loopback,
    /// This machine and private networks, for relays that may be there.
    Private,
}

struct PooledClient {
    http: reqwest::Client,
    streams: Arc<Semaphore>,
}

/// The permit for one exchange of a client, released on drop.
pub(crate) type StreamPermit = OwnedSemaphorePermit;

impl ClientPool {
    /// A pool with one client.
    pub(crate) fn new(
        timeouts: Timeouts,
        roots: &Arc<CertificateVerifier>,
        exit: ConnectOptions,
    ) -> Result<Self, BuildError> {
        let mut bare = roots.config()?;
        bare.alpn_protocols.clear();
        let recipe = ClientFactory {
            roots: Arc::clone(roots),
            tls: roots.config()?,
            tls_without_alpn: Arc::new(bare),
            timeouts,
            options: exit,
        };
        let first = recipe.pooled_client()?;
        Ok(Self { factory: recipe, clients: Mutex::new(vec![first]) })
    }

    /// The certificate verifier of every client.
    pub(crate) fn roots(&self) -> &Arc<CertificateVerifier> {
        &self.factory.roots
    }

    /// A bare connection to the URL's host, without a request.
    pub(crate) async fn connect(&self, url: &Url) -> Result<Conn, Fault> {
        let ClientFactory { roots, tls_without_alpn: bare, timeouts, options: exit, .. } = &self.factory;
        if url.scheme() == "https" {
            roots.warm().await;
        }
        Connector { options: exit, tls: bare, timeouts }.connect(url).await
    }

    /// Replaces the clients: idle connections close at once, the others when their exchange has ended.
    pub(crate) fn close_idle(&self) {
        if let Ok(client) = self.factory.pooled_client() {
            *self.clients.lock() = vec![client];
        }
    }

    /// A client with a free stream: the first one, so that few connections stay in use.
    pub(crate) fn take(&self) -> (reqwest::Client, StreamPermit) {
        let mut clients = self.clients.lock();
        if let Some(lease) = clients.iter().find_map(PooledClient::take) {
            return lease;
        }
        let client =
            self.factory.pooled_client().expect("invariant: the first client was built from the same settings");
        let lease = client.take().expect("invariant: a new client has free streams");
        clients.push(client);
        lease
    }
}

impl PooledClient {
    fn take(&self) -> Option<(reqwest::Client, StreamPermit)> {
        let permit = Arc::clone(&self.streams).try_acquire_owned().ok()?;
        Some((self.http.clone(), permit))
    }
}

impl ClientFactory {
    fn pooled_client(&self) -> Result<PooledClient, BuildError> {
        Ok(PooledClient { http: self.client()?, streams: Arc::new(Semaphore::new(STREAMS)) })
    }

    /// The client's own retry stays on. It repeats only requests that the server reports as not processed (REFUSED_STREAM, GOAWAY), on
    /// the same account and at most twice.
    fn client(&self) -> Result<reqwest::Client, BuildError> {
        let timeouts = &self.timeouts;
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .no_proxy()
            .redirect(Policy::none())
            .referer(false)
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .tcp_nodelay(true)
            .tcp_keepalive(Duration::from_secs(30))
            .tcp_keepalive_interval(Duration::from_secs(10))
            .tcp_keepalive_retries(3)
            .pool_idle_timeout(Duration::from_secs(90))
            // The layer enforces the limits of the stages; this timeout is only a backstop.
            .connect_timeout(timeouts.connect + timeouts.handshake)
            .connector_layer(DialLayer::new(timeouts, self.options.proxy.as_ref()));
        // Keep-alive only probes an idle peer; this option also detects a peer that is gone while bytes are in flight.
        #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
        {
            builder = builder.tcp_user_timeout(timeouts.unacknowledged);
        }
        if let Some(url) = &self.options.proxy {
            builder = builder.proxy(proxy(url, self.options.bypass)?);
        }
        if let Some(resolver) = &self.options.resolver {
            builder = builder.dns_resolver(Arc::new(resolver.clone()));
        }
        builder.build().map_err(|error| BuildError::Client(root_cause(&error.without_url())))
    }
}

/// A proxy for every target that does not bypass it.
fn proxy(url: &Url, near: ProxyBypass) -> Result<reqwest::Proxy, BuildError> {
    let near = match near {
        ProxyBypass::None => None,
        ProxyBypass::Loopback => reqwest::NoProxy::from_string(NO_PROXY_LOOPBACK),
        ProxyBypass::Private => reqwest::NoProxy::from_string(NO_PROXY_PRIVATE),
    };
    let proxy =
        reqwest::Proxy::all(url.clone()).map_err(|error| BuildError::Client(error.without_url().to_string()))?;
    Ok(proxy.no_proxy(near))
}
