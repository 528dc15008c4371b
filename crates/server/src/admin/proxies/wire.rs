//! The bodies of the proxy endpoints: camelCase as in the system that people migrate from.

use engine::{EgressAssignment, GlobalView, ProxySpec, ProxyView};
use pool::egress::{Address, Invalid};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::admin::input::SecretText;

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Proxies)]
pub(super) struct ProxyList {
    pub(super) proxies: Vec<ProxyView>,
    pub(super) assignments: Vec<Assignment>,
    pub(super) health_check_interval_minutes: u64,
    pub(super) global: Option<GlobalView>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ProxyAdded)]
pub(super) struct Outcome {
    pub(super) success: bool,
    /// Whether the proxy is new.
    pub(super) added: bool,
    #[serde(flatten)]
    pub(super) proxy: ProxyView,
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
    /// A URL with `***` as its password keeps the stored password.
    #[schema(value_type = Option<String>)]
    pub(super) url: Option<SecretText>,
    #[serde(alias = "allow_private")]
    pub(super) allow_private: Option<bool>,
}

#[derive(Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = ProxyCheckInterval)]
pub(super) struct Interval {
    /// At most a week; 0 disables the checks.
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
    pub(super) assignments: Vec<EgressAssignment>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = AssignmentRule)]
pub(super) struct SpreadRule {
    pub(super) account_ids: Vec<String>,
    #[serde(rename = "rule")]
    _rule: AssignmentMode,
    pub(super) target_proxy_ids: Vec<String>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = AssignmentTurns)]
enum AssignmentMode {
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
    pub(super) fn proxy(self) -> Result<ProxySpec, Invalid> {
        let address = match (&self.url, &self.protocol, &self.host, self.port) {
            (Some(SecretText(url)), ..) => Address::read(url.expose())?,
            (None, Some(protocol), Some(host), Some(port)) => {
                let password = self.password.as_ref().map(|SecretText(password)| password);
                Address::of((protocol, host, port), self.username.as_deref().unwrap_or_default(), password)?
            }
            _ => return Err(Invalid::Unreadable),
        };
        Ok(ProxySpec { name: self.name, address, allow_private: self.allow_private, enabled: true })
    }
}

impl Assignment {
    /// The account and its egress.
    pub(super) fn pair(&self) -> (&str, &str) {
        (&self.account_id, &self.proxy_id)
    }
}

impl From<(String, String)> for Assignment {
    fn from((account_id, proxy_id): (String, String)) -> Self {
        Self { account_id, proxy_id }
    }
}
