//! The egress of calls to the backend: direct, through the configured proxy, or through a proxy of the pool. Each egress has its
//! own connections; the TLS hello is the same on all of them.
//!
//! This module does not choose an account's egress. A failed egress is a [`Fault`], never a fallback to another egress.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use pool::egress::{Address, Proxy, ProxyId};
use pool::guard::is_loopback;
use url::Url;

use crate::config::{BuildError, Config, Timeouts};
use crate::fault::{Fault, FaultKind, Sent};
use crate::transport::pool::{ClientPool, ConnectOptions, ProxyBypass};
use crate::transport::resolver::{Lookup, ProxyResolver, Resolver};
use crate::transport::roots::CertificateVerifier;

/// Most proxies whose connections stay open; the least recently used are closed first.
const MOST_PROXIES: usize = 64;

/// Receives the outcome of a call: whether its answer's headers arrived, or the fault.
pub(crate) type OutcomeListener = Arc<dyn Fn(Result<(), &Fault>) + Send + Sync>;

/// The egress that calls take: direct, the configured proxy, or a proxy of the pool.
#[derive(Clone, Default)]
#[must_use]
pub struct ResolvedEgress {
    kind: EgressKind,
    pub(crate) listener: Option<OutcomeListener>,
}

#[derive(Clone, Default)]
enum EgressKind {
    #[default]
    Global,
    Direct,
    Proxy(Arc<Proxy>),
}

impl ResolvedEgress {
    /// The default egress: the configured proxy, or direct without one.
    pub fn global() -> Self {
        Self::default()
    }

    /// No proxy, even where one is configured.
    pub fn direct() -> Self {
        Self { kind: EgressKind::Direct, listener: None }
    }

    /// Through this proxy.
    pub fn through(proxy: Proxy) -> Self {
        Self { kind: EgressKind::Proxy(Arc::new(proxy)), listener: None }
    }

    /// The same egress; `tell` receives the outcome of each call.
    pub fn with_listener(self, tell: impl Fn(Result<(), &Fault>) + Send + Sync + 'static) -> Self {
        Self { listener: Some(Arc::new(tell)), ..self }
    }

    pub(crate) fn key(&self) -> EgressKey {
        match &self.kind {
            EgressKind::Global => EgressKey::Global,
            EgressKind::Direct => EgressKey::Direct,
            EgressKind::Proxy(proxy) => EgressKey::Proxy(proxy.id.clone(), proxy.address.clone()),
        }
    }

    /// Prefixes a fault that concerns the proxy with the proxy's name, without its credentials.
    pub(crate) fn name_proxy(&self, fault: Fault, global: Option<&Url>) -> Fault {
        let about = matches!(fault.kind, FaultKind::Proxy | FaultKind::Tls | FaultKind::Connect);
        if !about || fault.sent != Sent::No {
            return fault;
        }
        let proxy = match (&self.kind, global) {
            (EgressKind::Proxy(proxy), _) => format!("proxy {} ({})", proxy.name, proxy.address.host_port()),
            (EgressKind::Global, Some(url)) => format!("the proxy of the configuration ({})", host_and_port(url)),
            (EgressKind::Global, None) | (EgressKind::Direct, _) => return fault,
        };
        Fault { message: format!("{proxy}: {}", fault.message), ..fault }
    }
}

/// Identifies an egress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EgressKey {
    Global,
    Direct,
    Proxy(ProxyId, Address),
}

impl fmt::Debug for ResolvedEgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            EgressKind::Global => f.write_str("Egress(global)"),
            EgressKind::Direct => f.write_str("Egress(direct)"),
            EgressKind::Proxy(proxy) => write!(f, "Egress({})", proxy.name),
        }
    }
}

fn host_and_port(url: &Url) -> String {
    Address::read(url.as_str()).map_or_else(|_| url.scheme().to_owned(), |address| address.host_port())
}

/// The client pools of every egress.
pub(crate) struct EgressClients {
    timeouts: Timeouts,
    roots: Arc<CertificateVerifier>,
    lookup: Lookup,
    global: Arc<ClientPool>,
    /// `None` if the global egress is direct, or before the first use.
    direct: Mutex<Option<Arc<ClientPool>>>,
    /// One per proxy, the most recently used first.
    by_proxy: Mutex<Vec<ProxyClients>>,
    has_global_proxy: bool,
}

struct ProxyClients {
    id: ProxyId,
    address: Address,
    private: bool,
    clients: Arc<ClientPool>,
}

impl ProxyClients {
    fn fits(&self, proxy: &Proxy) -> bool {
        (&self.id, &self.address, self.private) == (&proxy.id, &proxy.address, proxy.allow_private)
    }
}

impl EgressClients {
    pub(crate) fn new(config: &Config, roots: Arc<CertificateVerifier>) -> Result<Self, BuildError> {
        let exit = ConnectOptions { proxy: config.proxy.clone(), bypass: ProxyBypass::Loopback, resolver: None };
        let global = Arc::new(ClientPool::new(config.timeouts, &roots, exit)?);
        Ok(Self {
            timeouts: config.timeouts,
            roots,
            lookup: Lookup::System,
            global,
            direct: Mutex::default(),
            by_proxy: Mutex::default(),
            has_global_proxy: config.proxy.is_some(),
        })
    }

    pub(crate) fn clients(&self, egress: &ResolvedEgress) -> Result<Arc<ClientPool>, Fault> {
        match &egress.kind {
            EgressKind::Global => Ok(Arc::clone(&self.global)),
            EgressKind::Direct if !self.has_global_proxy => Ok(Arc::clone(&self.global)),
            EgressKind::Direct => self.direct(),
            EgressKind::Proxy(proxy) => self.proxy(proxy),
        }
    }

    /// Closes the connections of all other proxies.
    pub(crate) fn retain(&self, proxies: &[Proxy]) {
        self.by_proxy.lock().retain(|entry| proxies.iter().any(|proxy| entry.fits(proxy)));
    }

    pub(crate) fn close_idle(&self) {
        self.global.close_idle();
        if let Some(direct) = &*self.direct.lock() {
            direct.close_idle();
        }
        self.by_proxy.lock().iter().for_each(|entry| entry.clients.close_idle());
    }

    fn direct(&self) -> Result<Arc<ClientPool>, Fault> {
        let mut direct = self.direct.lock();
        if let Some(clients) = &*direct {
            return Ok(Arc::clone(clients));
        }
        let exit = ConnectOptions { proxy: None, bypass: ProxyBypass::Loopback, resolver: None };
        let clients =
            Arc::new(ClientPool::new(self.timeouts, &self.roots, exit).map_err(|error| build_failure(&error))?);
        *direct = Some(Arc::clone(&clients));
        Ok(clients)
    }

    fn proxy(&self, proxy: &Proxy) -> Result<Arc<ClientPool>, Fault> {
        let mut entries = self.by_proxy.lock();
        if let Some(at) = entries.iter().position(|entry| entry.fits(proxy)) {
            entries[..=at].rotate_right(1);
            return Ok(Arc::clone(&entries[0].clients));
        }
        let clients = Arc::new(self.build(proxy)?);
        let (id, address) = (proxy.id.clone(), proxy.address.clone());
        entries.insert(0, ProxyClients { id, address, private: proxy.allow_private, clients: Arc::clone(&clients) });
        entries.truncate(MOST_PROXIES);
        Ok(clients)
    }

    fn build(&self, proxy: &Proxy) -> Result<ClientPool, Fault> {
        let refused = |message: String| Fault::new(Sent::No, FaultKind::Proxy, message);
        proxy.address.check(proxy.allow_private).map_err(|invalid| refused(invalid.to_string()))?;
        let url = Url::parse(proxy.address.full().expose());
        let url = url.map_err(|_| refused("its address cannot be read".to_owned()))?;
        // A proxy on this machine can reach this machine's loopback; a proxy elsewhere cannot.
        let near = if is_loopback(&proxy.address.host_text()) { ProxyBypass::None } else { ProxyBypass::Loopback };
        let resolver = ProxyResolver::new(proxy.address.host_text(), proxy.allow_private, self.lookup.clone());
        let exit = ConnectOptions { proxy: Some(url), bypass: near, resolver: Some(Resolver::Proxy(resolver)) };
        ClientPool::new(self.timeouts, &self.roots, exit).map_err(|error| build_failure(&error))
    }
}

fn build_failure(error: &BuildError) -> Fault {
    Fault::new(Sent::No, FaultKind::Connect, error.to_string())
}
