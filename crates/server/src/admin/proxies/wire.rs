//! The bodies of the proxy endpoints: camelCase as in the system that people migrate from.

use engine::{GlobalView, ProxyView, ProxyWish, Ticket};
use pool::egress::{Address, Health, Invalid};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::admin::input::SecretText;
use crate::admin::output::Date;

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Proxies)]
pub(super) struct List {
    pub(super) proxies: Vec<Entry>,
    pub(super) assignments: Vec<Assignment>,
    pub(super) health_check_interval_minutes: u64,
    pub(super) global: Option<Global>,
}

/// A proxy as lists show it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Proxy)]
pub(super) struct Entry {
    id: String,
    name: String,
    /// Its password is hidden.
    url: String,
    /// `active`, `unreachable` or `disabled`.
    status: &'static str,
    health: Option<Finding>,
    allow_private: bool,
    /// How many accounts take it and no other.
    accounts: usize,
    added_at: Date,
}

/// The proxy of the configuration.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = GlobalProxy)]
pub(super) struct Global {
    url: String,
    origin: String,
    status: &'static str,
    health: Option<Finding>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ProxyHealth)]
struct Finding {
    /// The address that the proxy calls from.
    #[schema(value_type = Option<String>)]
    exit_ip: Option<std::net::IpAddr>,
    latency_ms: Option<u64>,
    last_checked: Date,
    error: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ProxyAdded)]
pub(super) struct Outcome {
    pub(super) success: bool,
    /// Whether it is new.
    pub(super) added: bool,
    #[serde(flatten)]
    pub(super) proxy: Entry,
}

/// A proxy to add: its URL, or the parts of one.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = NewProxy)]
pub(super) struct ProxyRequest {
    name: Option<String>,
    /// `http`, `https`, `socks5` or `socks5h`; may hold user and password.
    #[schema(value_type = Option<String>)]
    url: Option<SecretText>,
    protocol: Option<String>,
    host: Option<String>,
    port: Option<u16>,
    username: Option<String>,
    #[schema(value_type = Option<String>, format = Password)]
    password: Option<SecretText>,
    #[serde(default, alias = "allow_private")]
    allow_private: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = ProxyChange)]
pub(super) struct Change {
    pub(super) name: Option<String>,
    /// With `***` for its password, the stored one is kept.
    #[schema(value_type = Option<String>)]
    pub(super) url: Option<SecretText>,
    #[serde(alias = "allow_private")]
    pub(super) allow_private: Option<bool>,
}

#[derive(Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = ProxyCheckInterval)]
pub(super) struct Interval {
    /// At most a week; 0 is never.
    #[schema(maximum = 10_080)]
    pub(super) health_check_interval_minutes: u32,
}

/// The egress of an account.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Assignment {
    account_id: String,
    /// `global`, `direct`, `auto` or a proxy's id.
    proxy_id: String,
}

#[derive(Deserialize, Serialize, ToSchema)]
pub(super) struct Assignments {
    pub(super) assignments: Vec<Assignment>,
}

/// Assignments as a file for another install.
#[derive(Deserialize, Serialize, ToSchema)]
#[schema(as = AssignmentFile)]
pub(super) struct AssignmentFile {
    pub(super) assignments: Vec<Ticket>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = AssignmentRule)]
pub(super) struct SpreadRule {
    pub(super) account_ids: Vec<String>,
    #[serde(rename = "rule")]
    _rule: Turns,
    pub(super) target_proxy_ids: Vec<String>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = AssignmentTurns)]
enum Turns {
    #[serde(rename = "round-robin")]
    RoundRobin,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AssignmentsApplied)]
pub(super) struct Apply {
    pub(super) success: bool,
    pub(super) applied: usize,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ProxiesImported)]
pub(super) struct Imported {
    pub(super) success: bool,
    pub(super) added: usize,
    /// Always empty: a file with a fault is refused as a whole.
    pub(super) errors: [String; 0],
}

impl ProxyRequest {
    /// The proxy to add.
    pub(super) fn proxy(self) -> Result<ProxyWish, Invalid> {
        let address = match (&self.url, &self.protocol, &self.host, self.port) {
            (Some(SecretText(url)), ..) => Address::read(url.expose())?,
            (None, Some(protocol), Some(host), Some(port)) => {
                let password = self.password.as_ref().map(|SecretText(password)| password);
                Address::of((protocol, host, port), self.username.as_deref().unwrap_or_default(), password)?
            }
            _ => return Err(Invalid::Unreadable),
        };
        Ok(ProxyWish { name: self.name, address, allow_private: self.allow_private, enabled: true })
    }
}

impl Assignment {
    /// Account and egress.
    pub(super) fn pair(&self) -> (&str, &str) {
        (&self.account_id, &self.proxy_id)
    }
}

impl From<(String, String)> for Assignment {
    fn from((account_id, proxy_id): (String, String)) -> Self {
        Self { account_id, proxy_id }
    }
}

impl From<Health> for Finding {
    fn from(health: Health) -> Self {
        let Health { exit_ip, latency_ms, checked, error, .. } = health;
        Self { exit_ip, latency_ms, last_checked: checked.into(), error }
    }
}

impl From<ProxyView> for Entry {
    fn from(view: ProxyView) -> Self {
        Self {
            id: view.id,
            name: view.name,
            url: view.url,
            status: view.status,
            health: view.health.map(Finding::from),
            allow_private: view.allow_private,
            accounts: view.accounts,
            added_at: view.created.into(),
        }
    }
}

impl From<GlobalView> for Global {
    fn from(view: GlobalView) -> Self {
        Self { url: view.url, origin: view.origin, status: view.status, health: view.health.map(Finding::from) }
    }
}
