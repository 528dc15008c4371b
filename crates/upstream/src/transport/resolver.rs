//! Resolvers that return only permitted addresses. The connector gets no other addresses, so DNS rebinding gains nothing. Literal
//! addresses are checked before the call.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;

use parking_lot::RwLock;
use pool::egress::Invalid;
use pool::guard::{self, Denied};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// The gateway's own listeners.
pub(crate) type Listeners = Arc<RwLock<Vec<SocketAddr>>>;

/// The addresses that a pool's connections may reach. Relays with different rules share no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TargetRule {
    /// Whether private addresses are allowed.
    pub(crate) allow_private: bool,
    /// The target's port, if one of the gateway's own listeners has the same port.
    pub(crate) own_port: Option<u16>,
}

/// The resolver of a client pool.
#[derive(Clone)]
pub(crate) enum Resolver {
    /// For relays.
    Guarded(Arc<GuardedResolver>),
    /// For a proxy of the pool.
    Proxy(ProxyResolver),
}

/// The resolver for a proxy of the pool: the proxy's own name may only resolve to addresses that its owner allowed.
#[derive(Clone)]
pub(crate) struct ProxyResolver {
    host: String,
    private: bool,
    lookup: Lookup,
}

/// The resolver for relays.
pub(crate) struct GuardedResolver {
    rule: TargetRule,
    listeners: Listeners,
    /// The configured proxy's own name, which is not checked.
    proxy: Option<String>,
    lookup: Lookup,
}

/// How names are resolved.
#[derive(Clone)]
pub(crate) enum Lookup {
    /// The system's resolver.
    System,
    /// One answer after the other; the last one repeats.
    #[cfg(test)]
    Script(Arc<parking_lot::Mutex<std::collections::VecDeque<Vec<IpAddr>>>>),
    /// This address, after a delay.
    #[cfg(test)]
    Late(std::time::Duration, IpAddr),
    /// An error of the name server.
    #[cfg(test)]
    Fails,
}

impl GuardedResolver {
    pub(crate) fn new(rule: TargetRule, listeners: Listeners, proxy: Option<&url::Url>, lookup: Lookup) -> Self {
        let proxy = proxy.and_then(|url| url.host_str()).map(str::to_owned);
        Self { rule, listeners, proxy, lookup }
    }
}

impl ProxyResolver {
    pub(crate) fn new(host: String, private: bool, lookup: Lookup) -> Self {
        Self { host, private, lookup }
    }

    fn check(&self, name: &str, addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Invalid> {
        if !name.eq_ignore_ascii_case(&self.host) {
            return Ok(addresses);
        }
        let rule = TargetRule { allow_private: self.private, own_port: None };
        filter_allowed(addresses, rule, &Listeners::default()).map_err(Invalid::from)
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        match self {
            Self::Guarded(resolver) => resolver.resolve(name),
            Self::Proxy(resolver) => resolver.resolve(name),
        }
    }
}

impl Resolve for ProxyResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let addresses = resolver.lookup.addresses(name.as_str()).await?;
            Ok(Box::new(resolver.check(name.as_str(), addresses)?.into_iter()) as Addrs)
        })
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (rule, listeners) = (self.rule, Arc::clone(&self.listeners));
        // With a proxy, only loopback names and the proxy's own name are resolved here.
        let proxy = self.proxy.as_deref() == Some(name.as_str()) && rule.own_port.is_none();
        let lookup = self.lookup.clone();
        Box::pin(async move {
            let addresses = lookup.addresses(name.as_str()).await?;
            if proxy {
                return Ok(Box::new(addresses.into_iter()) as Addrs);
            }
            Ok(Box::new(filter_allowed(addresses, rule, &listeners)?.into_iter()) as Addrs)
        })
    }
}

impl Lookup {
    /// The addresses of a name, unchecked.
    pub(crate) async fn addresses(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        match self {
            Self::System => Ok(tokio::net::lookup_host((name, 0)).await?.collect()),
            #[cfg(test)]
            Self::Script(answers) => {
                let mut answers = answers.lock();
                let next = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
                Ok(next.unwrap_or_default().into_iter().map(|address| SocketAddr::new(address, 0)).collect())
            }
            #[cfg(test)]
            Self::Late(delay, address) => {
                tokio::time::sleep(*delay).await;
                Ok(vec![SocketAddr::new(*address, 0)])
            }
            #[cfg(test)]
            Self::Fails => Err(io::Error::other("the name server failed")),
        }
    }
}

/// The permitted addresses; the first denial when no address is permitted.
pub(crate) fn filter_allowed(
    addresses: Vec<SocketAddr>,
    rule: TargetRule,
    listeners: &Listeners,
) -> Result<Vec<SocketAddr>, Denied> {
    let mut first = None;
    let mut good = Vec::with_capacity(addresses.len());
    for address in addresses {
        match check(address.ip(), rule, listeners) {
            Ok(()) => good.push(address),
            Err(denied) => first = first.or(Some(denied)),
        }
    }
    match first {
        Some(denied) if good.is_empty() => Err(denied),
        _ => Ok(good),
    }
}

/// Whether an address may be dialled.
pub(crate) fn check(address: IpAddr, rule: TargetRule, listeners: &Listeners) -> Result<(), Denied> {
    guard::check_ip(address, rule.allow_private)?;
    let ours = |port| guard::is_own_listener(SocketAddr::new(address, port), &listeners.read(), is_local);
    if rule.own_port.is_some_and(ours) { Err(Denied::Own) } else { Ok(()) }
}

/// Whether an address belongs to this machine: no other address can be bound.
fn is_local(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}
