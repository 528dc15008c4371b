//! Several HTTP clients side by side, so that no request waits for another's end.
//!
//! A client keeps one HTTP/2 connection per host. A request beyond the server's limit of streams waits inside it, unsent and
//! without a word, until another one has ended. A lane is a client that is given no more than a server has to allow.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::redirect::Policy;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

use super::conn::{Conn, Opening};
use super::dial::Dial;
use super::resolver::Resolver;
use super::roots::Roots;
use crate::config::{BuildError, Timeouts};
use crate::fault::{Fault, root};

/// Exchanges of one lane at the same time. Servers should allow no fewer (RFC 9113, section 6.5.2); Cloudflare allows these.
const STREAMS: usize = 100;

/// What no proxy is asked for.
const LOOPBACK: &str = "localhost,127.0.0.0/8,::1";
/// As [`LOOPBACK`], for relays that may be on private addresses.
const NEAR: &str = "localhost,127.0.0.0/8,::1,10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16,fc00::/7,fe80::/10";

/// Every lane, the first one always there. There are never more than the most exchanges at once need.
pub(crate) struct Lanes {
    recipe: Recipe,
    lanes: Mutex<Vec<Lane>>,
}

/// What every lane's client is built from.
struct Recipe {
    roots: Arc<Roots>,
    tls: rustls::ClientConfig,
    /// The same without ALPN, for bare connections.
    bare: Arc<rustls::ClientConfig>,
    timeouts: Timeouts,
    exit: Exit,
}

/// How connections leave this machine.
#[derive(Clone)]
pub(crate) struct Exit {
    pub(crate) proxy: Option<Url>,
    /// What the proxy is not asked for.
    pub(crate) near: Near,
    /// Who looks names up; `None` for the system.
    pub(crate) resolver: Option<Resolver>,
}

/// What no proxy is asked for: one elsewhere cannot reach this machine's loopback, nor the networks that it is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Near {
    /// Nothing.
    None,
    /// This machine.
    Loopback,
    /// This machine and private networks, for relays that may be there.
    Private,
}

struct Lane {
    http: reqwest::Client,
    places: Arc<Semaphore>,
}

/// The right to one exchange on a lane, until it is dropped.
pub(crate) type Place = OwnedSemaphorePermit;

impl Lanes {
    /// Lanes by this exit.
    pub(crate) fn new(timeouts: Timeouts, roots: &Arc<Roots>, exit: Exit) -> Result<Self, BuildError> {
        let mut bare = roots.config()?;
        bare.alpn_protocols.clear();
        let recipe = Recipe { roots: Arc::clone(roots), tls: roots.config()?, bare: Arc::new(bare), timeouts, exit };
        let first = recipe.lane()?;
        Ok(Self { recipe, lanes: Mutex::new(vec![first]) })
    }

    /// The certificate store of every lane.
    pub(crate) fn roots(&self) -> &Arc<Roots> {
        &self.recipe.roots
    }

    /// A bare connection to the URL's host by this exit, nothing sent on it yet.
    pub(crate) async fn open(&self, url: &Url) -> Result<Conn, Fault> {
        let Recipe { roots, bare, timeouts, exit, .. } = &self.recipe;
        if url.scheme() == "https" {
            roots.warm().await;
        }
        Opening { exit, tls: bare, limits: timeouts }.open(url).await
    }

    /// Begins anew: connections without an exchange are closed, the others when theirs has ended.
    pub(crate) fn redial(&self) {
        if let Ok(lane) = self.recipe.lane() {
            *self.lanes.lock() = vec![lane];
        }
    }

    /// A client with a free place: the first, so that few connections are kept in use.
    pub(crate) fn take(&self) -> (reqwest::Client, Place) {
        let mut lanes = self.lanes.lock();
        if let Some(taken) = lanes.iter().find_map(Lane::take) {
            return taken;
        }
        let lane = self.recipe.lane().expect("invariant: the first lane was built from the same settings");
        let taken = lane.take().expect("invariant: a new lane has places");
        lanes.push(lane);
        taken
    }
}

impl Lane {
    fn take(&self) -> Option<(reqwest::Client, Place)> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some((self.http.clone(), place))
    }
}

impl Recipe {
    fn lane(&self) -> Result<Lane, BuildError> {
        Ok(Lane { http: self.client()?, places: Arc::new(Semaphore::new(STREAMS)) })
    }

    /// The client's own retry stays on: it repeats only what the server says it has not processed (REFUSED_STREAM, GOAWAY),
    /// on the same account and at most twice.
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
            // The layer keeps the stages' own limits; this one only stands behind it.
            .connect_timeout(timeouts.connect + timeouts.handshake)
            .connector_layer(Dial::new(timeouts, self.exit.proxy.as_ref()));
        // Keep-alive asks only an idle peer; this also finds one that is gone while bytes are on their way to it.
        #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
        {
            builder = builder.tcp_user_timeout(timeouts.unacknowledged);
        }
        if let Some(url) = &self.exit.proxy {
            builder = builder.proxy(proxy(url, self.exit.near)?);
        }
        if let Some(resolver) = &self.exit.resolver {
            builder = builder.dns_resolver(Arc::new(resolver.clone()));
        }
        builder.build().map_err(|error| BuildError::Client(root(&error.without_url())))
    }
}

/// Every target that is not near goes through it.
fn proxy(url: &Url, near: Near) -> Result<reqwest::Proxy, BuildError> {
    let near = match near {
        Near::None => None,
        Near::Loopback => reqwest::NoProxy::from_string(LOOPBACK),
        Near::Private => reqwest::NoProxy::from_string(NEAR),
    };
    let proxy =
        reqwest::Proxy::all(url.clone()).map_err(|error| BuildError::Client(error.without_url().to_string()))?;
    Ok(proxy.no_proxy(near))
}
