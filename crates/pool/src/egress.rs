//! Egress: the proxies, which of them an account's calls take, and which of them answer.
//!
//! An account uses only the route that its owner chose. When that route does not answer, the account cannot serve and reports it.
//! A direct connection instead would reveal an address that must stay hidden.

mod address;
pub mod file;
mod route_health;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

pub use self::address::{Address, Invalid, MASKED_PASSWORD, Scheme};
pub use self::route_health::{FAILURES, REST, RouteHealth, WINDOW};
use crate::Millis;
use crate::account::AccountId;
use crate::status::Reason;

/// Most proxies of one store.
pub const MOST: usize = 1000;
/// Longest name of a proxy, bytes.
pub const NAME: usize = 64;

/// Our own id of a proxy: UUID v7 text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct ProxyId(pub String);

impl fmt::Display for ProxyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Our id.
    pub id: ProxyId,
    /// Unique; see [`check_name`].
    pub name: String,
    /// Where it is.
    pub address: Address,
    /// Whether it is switched on.
    pub enabled: bool,
    /// Whether it may be at a private address.
    pub allow_private: bool,
    /// What the last check found; `None` before the first.
    pub health: Option<Health>,
    /// When it was added.
    pub created: Millis,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Health {
    /// Whether an answer came through it.
    pub ok: bool,
    /// The address that others see; `None` when the echo service did not report it.
    pub exit_ip: Option<IpAddr>,
    /// How long the echo service's answer took, milliseconds.
    pub latency_ms: Option<u64>,
    /// When it was checked.
    pub checked: Millis,
    /// What went wrong, for people; never the proxy's password.
    pub error: Option<String>,
}

/// Which route an account's calls take, as its owner chose.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Egress {
    /// The proxy of the configuration, if there is one; else direct.
    #[default]
    Global,
    /// No proxy, also where the configuration has one.
    Direct,
    /// The answering proxies, in turn.
    Auto,
    /// This proxy and no other.
    Fixed(ProxyId),
}

impl Egress {
    /// The words that are no proxy's id or name.
    pub const WORDS: [&'static str; 3] = ["global", "direct", "auto"];
}

impl FromStr for Egress {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "global" => Self::Global,
            "direct" => Self::Direct,
            "auto" => Self::Auto,
            id => Self::Fixed(ProxyId(id.to_owned())),
        })
    }
}

impl fmt::Display for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Global => "global",
            Self::Direct => "direct",
            Self::Auto => "auto",
            Self::Fixed(id) => &id.0,
        })
    }
}

/// The route of one call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Route {
    /// No proxy.
    Direct,
    /// The proxy of the configuration.
    Global,
    /// This proxy.
    Proxy(ProxyId),
}

/// Everything that the choice of a route depends on.
#[derive(Clone, Debug, Default)]
pub struct EgressTable {
    /// Every proxy, oldest first.
    pub proxies: Vec<Proxy>,
    /// The accounts that do not take [`Egress::Global`].
    pub assigned: HashMap<AccountId, Egress>,
    /// The routes that do not answer, and when each may be tried again.
    pub down: HashMap<Route, Millis>,
    /// Whether the configuration has a proxy.
    pub global: bool,
}

/// Why an account's calls cannot go out. Borrows the proxy's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EgressUnavailable<'a> {
    /// The proxy does not answer.
    Down {
        /// Its name; `None` for the proxy of the configuration.
        name: Option<&'a str>,
        /// When it may be tried again.
        until: Millis,
    },
    /// The proxy is switched off.
    Off(&'a str),
    /// The proxy was removed.
    Removed,
    /// No proxy of the pool answers.
    AllDown {
        /// When one may be tried again.
        until: Millis,
    },
    /// The pool has no proxy that is switched on.
    Empty,
}

impl From<EgressUnavailable<'_>> for Reason {
    fn from(unavailable: EgressUnavailable<'_>) -> Self {
        Self::NoEgress { until: unavailable.until(), why: unavailable.to_string() }
    }
}

impl EgressUnavailable<'_> {
    /// When this may end by itself; `None` when only the owner can end it.
    pub fn until(self) -> Option<Millis> {
        match self {
            Self::Down { until, .. } | Self::AllDown { until } => Some(until),
            Self::Off(_) | Self::Removed | Self::Empty => None,
        }
    }
}

impl fmt::Display for EgressUnavailable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down { name: Some(name), .. } => write!(f, "its proxy {name} does not answer"),
            Self::Down { name: None, .. } => f.write_str("the proxy of the configuration does not answer"),
            Self::Off(name) => write!(f, "its proxy {name} is switched off"),
            Self::Removed => f.write_str("its proxy was removed: assign another one"),
            Self::AllDown { .. } => f.write_str("no proxy of the pool answers"),
            Self::Empty => f.write_str("it takes any proxy of the pool, and none is switched on"),
        }
    }
}

/// The state of the rotation among several proxies.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rotation<'a> {
    /// Grows by one with every choice.
    pub number: u64,
    /// The proxies that this call has tried.
    pub tried: &'a [ProxyId],
}

impl EgressTable {
    /// What an account's owner chose.
    pub fn egress(&self, account: &AccountId) -> &Egress {
        self.assigned.get(account).unwrap_or(&Egress::Global)
    }

    /// The proxy of this id.
    pub fn proxy(&self, id: &ProxyId) -> Option<&Proxy> {
        self.proxies.iter().find(|proxy| proxy.id == *id)
    }

    /// The proxy that a person means by its id or name.
    pub fn named(&self, wanted: &str) -> Option<&Proxy> {
        self.proxies.iter().find(|proxy| proxy.id.0 == wanted || proxy.name == wanted)
    }

    /// The route of the next call. [`Egress::Auto`] rotates among the answering proxies; a failed proxy is tried again when its rest
    /// is over and no other is left. Errors: [`EgressUnavailable`]; a route that the owner did not choose is never taken.
    pub fn route(&self, egress: &Egress, rotation: Rotation<'_>, now: Millis) -> Result<Route, EgressUnavailable<'_>> {
        match egress {
            Egress::Direct => Ok(Route::Direct),
            Egress::Global if !self.global => Ok(Route::Direct),
            Egress::Global => match self.rest(&Route::Global, now) {
                Some(until) => Err(EgressUnavailable::Down { name: None, until }),
                None => Ok(Route::Global),
            },
            Egress::Fixed(id) => self.fixed(id, now),
            Egress::Auto => self.auto(rotation, now),
        }
    }

    /// Why an account's calls cannot go out now; `None` when they can.
    pub fn unavailable(&self, account: &AccountId, now: Millis) -> Option<EgressUnavailable<'_>> {
        if self.assigned.is_empty() && self.down.is_empty() {
            return None;
        }
        self.route(self.egress(account), Rotation::default(), now).err()
    }

    fn fixed(&self, id: &ProxyId, now: Millis) -> Result<Route, EgressUnavailable<'_>> {
        let proxy = self.proxy(id).ok_or(EgressUnavailable::Removed)?;
        if !proxy.enabled {
            return Err(EgressUnavailable::Off(&proxy.name));
        }
        let route = Route::Proxy(id.clone());
        match self.rest(&route, now) {
            Some(until) => Err(EgressUnavailable::Down { name: Some(&proxy.name), until }),
            None => Ok(route),
        }
    }

    fn auto(&self, rotation: Rotation<'_>, now: Millis) -> Result<Route, EgressUnavailable<'_>> {
        let enabled = || self.proxies.iter().filter(|proxy| proxy.enabled).map(|proxy| &proxy.id);
        let fresh = || enabled().filter(|id| !rotation.tried.contains(id)).map(|id| Route::Proxy(id.clone()));
        let up = || fresh().filter(|route| !self.down.contains_key(route));
        let rested = || fresh().filter(|route| self.rest(route, now).is_none());
        let nth = |count: usize| usize::try_from(rotation.number % count.max(1) as u64).unwrap_or(0);
        let chosen = up().nth(nth(up().count())).or_else(|| rested().nth(nth(rested().count())));
        if let Some(route) = chosen {
            return Ok(route);
        }
        let rests = enabled().map(|id| self.rest(&Route::Proxy(id.clone()), now).unwrap_or(now));
        Err(rests.min().map_or(EgressUnavailable::Empty, |until| EgressUnavailable::AllDown { until }))
    }

    /// When a failed route may be tried again; `None` when it may be now. An instant further away than [`REST`] can only come from a
    /// clock that was set back.
    fn rest(&self, route: &Route, now: Millis) -> Option<Millis> {
        let until = *self.down.get(route)?;
        (until > now && until <= now.plus(REST)).then_some(until)
    }
}

/// Whether a proxy may have this name. Errors: [`Invalid::Name`] for an empty one, one of more than [`NAME`] bytes, one with control
/// characters or white space around it, and the words of [`Egress::WORDS`].
pub fn check_name(name: &str) -> Result<(), Invalid> {
    let good = !name.is_empty()
        && name.len() <= NAME
        && name.trim() == name
        && !name.chars().any(char::is_control)
        && !Egress::WORDS.contains(&name);
    if good { Ok(()) } else { Err(Invalid::Name) }
}
