//! Proxies as the admin API shows them: camelCase as in the system that people migrate from, and without their passwords.

use pool::egress::{Egress, EgressTable, Health, Proxy, Route};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::date::Date;

/// A proxy as lists show it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Proxy)]
pub struct ProxyView {
    /// Our id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its password is hidden.
    pub url: String,
    /// `active`, `unreachable` or `disabled`.
    pub status: &'static str,
    /// The result of the last check.
    #[serde(serialize_with = "write_health")]
    #[schema(value_type = Option<ProxyHealth>)]
    pub health: Option<Health>,
    /// Whether it may be at a private address.
    pub allow_private: bool,
    /// How many accounts take it and no other.
    pub accounts: usize,
    /// When it was added.
    pub added_at: Date,
}

/// The proxy of the configuration.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = GlobalProxy)]
pub struct GlobalView {
    /// Its credentials are hidden.
    pub url: String,
    /// Which layer of the configuration names it.
    pub origin: String,
    /// `active` or `unreachable`.
    pub status: &'static str,
    /// The result of the last check.
    #[serde(serialize_with = "write_health")]
    #[schema(value_type = Option<ProxyHealth>)]
    pub health: Option<Health>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ProxyHealth {
    /// The address that the proxy calls from.
    #[schema(value_type = Option<String>)]
    exit_ip: Option<std::net::IpAddr>,
    latency_ms: Option<u64>,
    last_checked: Date,
    error: Option<String>,
}

#[expect(clippy::ref_option, reason = "serde passes the field like this")]
fn write_health<S: Serializer>(health: &Option<Health>, serializer: S) -> Result<S::Ok, S::Error> {
    let shown = health.clone().map(|Health { exit_ip, latency_ms, checked, error, .. }| ProxyHealth {
        exit_ip,
        latency_ms,
        last_checked: checked.into(),
        error,
    });
    shown.serialize(serializer)
}

impl ProxyView {
    pub(super) fn of(table: &EgressTable, proxy: &Proxy) -> Self {
        let egress = Egress::Fixed(proxy.id.clone());
        Self {
            id: proxy.id.0.clone(),
            name: proxy.name.clone(),
            url: proxy.address.to_string(),
            status: proxy_state(proxy, table.down.contains_key(&Route::Proxy(proxy.id.clone()))),
            health: proxy.health.clone(),
            allow_private: proxy.allow_private,
            accounts: table.assigned.values().filter(|assigned| **assigned == egress).count(),
            added_at: proxy.created.into(),
        }
    }
}

/// The state of a proxy in one word; `down` is what only a running gateway knows.
fn proxy_state(proxy: &Proxy, down: bool) -> &'static str {
    match &proxy.health {
        _ if !proxy.enabled => "disabled",
        _ if down => "unreachable",
        Some(health) if !health.ok => "unreachable",
        _ => "active",
    }
}
