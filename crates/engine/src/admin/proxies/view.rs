//! Proxies for people: without their passwords.

use pool::Millis;
use pool::egress::{Egress, EgressTable, Health, Proxy, Route};

/// A proxy for people.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct ProxyView {
    /// Our id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where it is; its password is hidden.
    pub url: String,
    /// `active`, `unreachable` or `disabled`.
    pub status: &'static str,
    /// What the last check found.
    pub health: Option<Health>,
    /// Whether it may be at a private address.
    pub allow_private: bool,
    /// How many accounts take it and no other.
    pub accounts: usize,
    /// When it was added.
    pub created: Millis,
}

/// The proxy of the configuration for people.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct GlobalView {
    /// Where it is; its credentials are hidden.
    pub url: String,
    /// Which layer of the configuration names it.
    pub origin: String,
    /// `active` or `unreachable`.
    pub status: &'static str,
    /// What the last check found.
    pub health: Option<Health>,
}

impl ProxyView {
    pub(super) fn of(table: &EgressTable, proxy: &Proxy) -> Self {
        let taken = Egress::Fixed(proxy.id.clone());
        Self {
            id: proxy.id.0.clone(),
            name: proxy.name.clone(),
            url: proxy.address.to_string(),
            status: proxy_state(proxy, table.down.contains_key(&Route::Proxy(proxy.id.clone()))),
            health: proxy.health.clone(),
            allow_private: proxy.allow_private,
            accounts: table.assigned.values().filter(|way| **way == taken).count(),
            created: proxy.created,
        }
    }
}

/// The state of a proxy in one word; `down` is what only a running gateway knows.
pub fn proxy_state(proxy: &Proxy, down: bool) -> &'static str {
    match &proxy.health {
        _ if !proxy.enabled => "disabled",
        _ if down => "unreachable",
        Some(health) if !health.ok => "unreachable",
        _ => "active",
    }
}
