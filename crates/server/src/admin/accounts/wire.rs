//! What is asked and answered about accounts, in the words of the system that people come from.

use engine::AccountView;
use pool::Millis;
use pool::quota::Quota;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::admin::logins::Given;

/// An account.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    id: String,
    email: String,
    account_id: String,
    user_id: String,
    label: String,
    plan_type: String,
    /// Ours: `active`, `cooling`, `exhausted`, `needs_login`, `blocked`, `disabled`.
    status: &'static str,
    /// Why it does not serve, for people.
    status_reason: Option<String>,
    /// When that ends by itself.
    status_until: Option<String>,
    tags: Vec<String>,
    /// The Codex file that it follows.
    linked: Option<String>,
    added_at: String,
    expires_at: Option<String>,
    /// The last known figures.
    quota: Quota,
    quota_fetched_at: Option<String>,
    /// Why fresh figures did not come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) quota_error: Option<String>,
    in_flight: u32,
}

impl From<AccountView> for Entry {
    fn from(view: AccountView) -> Self {
        let fetched = Some(view.quota.updated).filter(|at| at.0 > 0);
        Self {
            id: view.id,
            email: view.email,
            account_id: view.account_id,
            user_id: view.user,
            label: view.label,
            plan_type: view.plan,
            status: view.status,
            status_reason: view.why,
            status_until: view.until.map(date),
            tags: view.tags,
            linked: view.linked,
            added_at: date(view.created),
            expires_at: view.expires.map(date),
            quota_fetched_at: fetched.map(date),
            quota: view.quota,
            quota_error: None,
            in_flight: view.in_flight,
        }
    }
}

/// RFC 3339; empty for what is no date.
fn date(at: Millis) -> String {
    jiff::Timestamp::from_millisecond(at.0).map(|stamp| stamp.to_string()).unwrap_or_default()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Wish {
    #[serde(default)]
    pub(super) token: Option<Given>,
    #[serde(default)]
    pub(super) refresh_token: Option<Given>,
    #[serde(default)]
    pub(super) egress: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ids {
    pub(super) ids: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct States {
    pub(super) ids: Vec<String>,
    pub(super) status: State,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    Active,
    Disabled,
}

impl State {
    pub(super) fn on(self) -> bool {
        matches!(self, Self::Active)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Checks {
    #[serde(default)]
    pub(super) ids: Option<Vec<String>>,
    #[serde(default)]
    pub(super) stagger_ms: Option<u64>,
    #[serde(default)]
    pub(super) concurrency: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Label {
    pub(super) label: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tags {
    pub(super) tags: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cookies {
    pub(super) cookies: Value,
}
