//! The ways that calls of the backend take: direct, through the proxy of the configuration, or through one of the pool. Every way has
//! connections of its own; the hello is the same on all of them.
//!
//! Which way an account takes is not decided here. A way that does not answer is a [`Fault`], never another way.

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
use crate::transport::pool::{Exit, Lanes, Near};
use crate::transport::resolver::{Door, Lookup, Resolver};
use crate::transport::roots::Roots;

/// Ways whose connections are kept; the ones that were not used for the longest time are given up first.
const KEPT: usize = 64;

/// Hears what became of a call: its answer's headers came, or why not.
pub(crate) type Tell = Arc<dyn Fn(Result<(), &Fault>) + Send + Sync>;

/// The way that calls take. Clones are the same way.
#[derive(Clone, Default)]
pub struct Way {
    to: To,
    pub(crate) tell: Option<Tell>,
}

#[derive(Clone, Default)]
enum To {
    #[default]
    Global,
    Direct,
    Proxy(Arc<Proxy>),
}

impl Way {
    /// As the configuration says: through its proxy where it has one. The way of everybody who chose no other.
    #[must_use]
    pub fn global() -> Self {
        Self::default()
    }

    /// No proxy, also where the configuration has one.
    #[must_use]
    pub fn direct() -> Self {
        Self { to: To::Direct, tell: None }
    }

    /// Through this proxy.
    #[must_use]
    pub fn through(proxy: Proxy) -> Self {
        Self { to: To::Proxy(Arc::new(proxy)), tell: None }
    }

    /// This way, and `tell` hears what became of each call.
    #[must_use]
    pub fn heard(self, tell: impl Fn(Result<(), &Fault>) + Send + Sync + 'static) -> Self {
        Self { tell: Some(Arc::new(tell)), ..self }
    }

    /// What tells this way from others.
    pub(crate) fn key(&self) -> WayKey {
        match &self.to {
            To::Global => WayKey::Global,
            To::Direct => WayKey::Direct,
            To::Proxy(proxy) => WayKey::Proxy(proxy.id.clone(), proxy.address.clone()),
        }
    }

    /// What a fault on the way says where it is about the proxy: which one, without its credentials.
    pub(crate) fn name(&self, fault: Fault, global: Option<&Url>) -> Fault {
        let about = matches!(fault.kind, FaultKind::Proxy | FaultKind::Tls | FaultKind::Connect);
        if !about || fault.sent != Sent::No {
            return fault;
        }
        let proxy = match (&self.to, global) {
            (To::Proxy(proxy), _) => format!("proxy {} ({})", proxy.name, proxy.address.place()),
            (To::Global, Some(url)) => format!("the proxy of the configuration ({})", place(url)),
            (To::Global, None) | (To::Direct, _) => return fault,
        };
        Fault { message: format!("{proxy}: {}", fault.message), ..fault }
    }
}

/// Tells ways apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WayKey {
    Global,
    Direct,
    Proxy(ProxyId, Address),
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.to {
            To::Global => f.write_str("Way(global)"),
            To::Direct => f.write_str("Way(direct)"),
            To::Proxy(proxy) => write!(f, "Way({})", proxy.name),
        }
    }
}

/// Host and port of a URL.
fn place(url: &Url) -> String {
    Address::read(url.as_str()).map_or_else(|_| url.scheme().to_owned(), |address| address.place())
}

/// The connections of every way.
pub(crate) struct Ways {
    timeouts: Timeouts,
    roots: Arc<Roots>,
    lookup: Lookup,
    global: Arc<Lanes>,
    /// `None` where the global way is direct, or until it is taken.
    direct: Mutex<Option<Arc<Lanes>>>,
    /// Of the proxies, the last used first.
    kept: Mutex<Vec<Kept>>,
    proxied: bool,
}

struct Kept {
    id: ProxyId,
    address: Address,
    private: bool,
    lanes: Arc<Lanes>,
}

impl Kept {
    fn fits(&self, proxy: &Proxy) -> bool {
        (&self.id, &self.address, self.private) == (&proxy.id, &proxy.address, proxy.allow_private)
    }
}

impl Ways {
    pub(crate) fn new(config: &Config, roots: Arc<Roots>) -> Result<Self, BuildError> {
        let exit = Exit { proxy: config.proxy.clone(), near: Near::Loopback, resolver: None };
        let global = Arc::new(Lanes::new(config.timeouts, &roots, exit)?);
        Ok(Self {
            timeouts: config.timeouts,
            roots,
            lookup: Lookup::System,
            global,
            direct: Mutex::default(),
            kept: Mutex::default(),
            proxied: config.proxy.is_some(),
        })
    }

    pub(crate) fn lanes(&self, way: &Way) -> Result<Arc<Lanes>, Fault> {
        match &way.to {
            To::Global => Ok(Arc::clone(&self.global)),
            To::Direct if !self.proxied => Ok(Arc::clone(&self.global)),
            To::Direct => self.direct(),
            To::Proxy(proxy) => self.proxy(proxy),
        }
    }

    /// Gives up the connections of proxies that are not among these.
    pub(crate) fn retain(&self, proxies: &[Proxy]) {
        self.kept.lock().retain(|kept| proxies.iter().any(|proxy| kept.fits(proxy)));
    }

    pub(crate) fn redial(&self) {
        self.global.redial();
        if let Some(direct) = &*self.direct.lock() {
            direct.redial();
        }
        self.kept.lock().iter().for_each(|kept| kept.lanes.redial());
    }

    fn direct(&self) -> Result<Arc<Lanes>, Fault> {
        let mut direct = self.direct.lock();
        if let Some(lanes) = &*direct {
            return Ok(Arc::clone(lanes));
        }
        let exit = Exit { proxy: None, near: Near::Loopback, resolver: None };
        let lanes = Arc::new(Lanes::new(self.timeouts, &self.roots, exit).map_err(|error| unbuilt(&error))?);
        *direct = Some(Arc::clone(&lanes));
        Ok(lanes)
    }

    fn proxy(&self, proxy: &Proxy) -> Result<Arc<Lanes>, Fault> {
        let mut kept = self.kept.lock();
        if let Some(at) = kept.iter().position(|kept| kept.fits(proxy)) {
            kept[..=at].rotate_right(1);
            return Ok(Arc::clone(&kept[0].lanes));
        }
        let lanes = Arc::new(self.build(proxy)?);
        let (id, address) = (proxy.id.clone(), proxy.address.clone());
        kept.insert(0, Kept { id, address, private: proxy.allow_private, lanes: Arc::clone(&lanes) });
        kept.truncate(KEPT);
        Ok(lanes)
    }

    fn build(&self, proxy: &Proxy) -> Result<Lanes, Fault> {
        let refused = |message: String| Fault::new(Sent::No, FaultKind::Proxy, message);
        proxy.address.check(proxy.allow_private).map_err(|invalid| refused(invalid.to_string()))?;
        let url = Url::parse(proxy.address.full().expose());
        let url = url.map_err(|_| refused("its address cannot be read".to_owned()))?;
        // A proxy on this machine reaches this machine's loopback as well as we do; one elsewhere cannot.
        let near = if is_loopback(&proxy.address.host_text()) { Near::None } else { Near::Loopback };
        let door = Door::new(proxy.address.host_text(), proxy.allow_private, self.lookup.clone());
        let exit = Exit { proxy: Some(url), near, resolver: Some(Resolver::Door(door)) };
        Lanes::new(self.timeouts, &self.roots, exit).map_err(|error| unbuilt(&error))
    }
}

fn unbuilt(error: &BuildError) -> Fault {
    Fault::new(Sent::No, FaultKind::Connect, error.to_string())
}
