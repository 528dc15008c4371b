//! The accounts in memory.

use pool::Millis;
use pool::quota::Quota;

/// An account for people: no secrets.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct AccountView {
    /// Our id.
    pub id: String,
    /// Name shown to people.
    pub label: String,
    /// E-mail claim, empty when unknown.
    pub email: String,
    /// Plan claim, empty when unknown.
    pub plan: String,
    /// `active`, `cooling`, `exhausted`, `needs_login`, `blocked` or `disabled`, as it is now.
    pub status: &'static str,
    /// Why it does not serve, for people.
    pub why: Option<String>,
    /// When that ends by itself.
    pub until: Option<Millis>,
    /// Last known quota.
    pub quota: Quota,
    /// When its access token ends.
    pub expires: Option<Millis>,
    /// Requests that it serves now.
    pub in_flight: u32,
    /// Requests that wait for it.
    pub waiting: u32,
    /// Models of its live list; 0 until that was fetched.
    pub models: usize,
    /// When it was added.
    pub created: Millis,
}

/// Whether requests can be served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// At least one account can serve now.
    pub ok: bool,
    /// One line per trouble, also when `ok`.
    pub reasons: Vec<String>,
}
