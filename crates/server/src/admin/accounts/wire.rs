//! Bodies of the account endpoints, with the field names of the system that people migrate from.

use engine::{AccountHealth, AccountView, Batch, BatchOutcome, CheckedAccount};
use pool::quota::Quota;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::admin::input::SecretText;
use crate::admin::output::Date;

/// An account.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Account)]
pub(crate) struct AccountRow {
    id: String,
    email: String,
    account_id: String,
    user_id: String,
    label: String,
    plan_type: String,
    /// This gateway's status: `active`, `cooling`, `exhausted`, `needs_login`, `blocked`, `disabled`.
    status: &'static str,
    /// Why the account does not serve, as text for people.
    status_reason: Option<String>,
    /// When the status ends by itself.
    status_until: Option<Date>,
    tags: Vec<String>,
    /// The account's egress: `global`, `direct`, `auto` or a proxy's id.
    proxy_id: String,
    /// The account's egress, with a proxy's name instead of its id.
    proxy_name: String,
    /// The Codex file that the account follows.
    linked: Option<String>,
    added_at: Date,
    expires_at: Option<Date>,
    /// The last known quota.
    quota: Quota,
    quota_fetched_at: Option<Date>,
    /// Why no fresh quota could be fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) quota_error: Option<String>,
    in_flight: u32,
}

impl From<AccountView> for AccountRow {
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
            status_until: view.until.map(Date::from),
            tags: view.tags,
            proxy_id: view.egress_id,
            proxy_name: view.egress,
            linked: view.linked,
            added_at: view.created.into(),
            expires_at: view.expires.map(Date::from),
            quota_fetched_at: fetched.map(Date::from),
            quota: view.quota,
            quota_error: None,
            in_flight: view.in_flight,
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = NewAccount)]
pub(super) struct TokenRequest {
    #[schema(value_type = Option<String>, format = Password)]
    pub(super) token: Option<SecretText>,
    #[schema(value_type = Option<String>, format = Password)]
    pub(super) refresh_token: Option<SecretText>,
    /// The account's egress: `direct`, `auto`, `global`, or a proxy's id or name.
    pub(super) egress: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AccountIds)]
pub(super) struct Ids {
    pub(super) ids: Vec<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AccountSwitch)]
pub(super) struct States {
    pub(super) ids: Vec<String>,
    pub(super) status: State,
}

#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AccountState)]
pub(super) enum State {
    Active,
    Disabled,
}

impl State {
    pub(super) fn on(self) -> bool {
        matches!(self, Self::Active)
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AccountChecks)]
pub(super) struct CheckRequest {
    /// All accounts if left out.
    pub(super) ids: Option<Vec<String>>,
    /// Milliseconds between the starts of two checks; 500 if left out.
    #[schema(maximum = 30_000)]
    pub(super) stagger_ms: Option<u64>,
    /// The number of concurrent checks; 2 if left out.
    #[schema(minimum = 1, maximum = 10)]
    pub(super) concurrency: Option<usize>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AccountLabel)]
pub(super) struct Label {
    /// With null, the account's e-mail is its label again.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required)]
    pub(super) label: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AccountTags)]
pub(super) struct Tags {
    pub(super) tags: Vec<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AccountsLabel)]
pub(super) struct Labels {
    pub(super) ids: Vec<String>,
    /// With null, each account's e-mail is its label again.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required)]
    pub(super) label: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AccountsTags)]
pub(super) struct TagChanges {
    pub(super) ids: Vec<String>,
    /// Replaces all tags; excludes `add` and `remove`.
    pub(super) tags: Option<Vec<String>>,
    /// Tags to add to the existing ones.
    pub(super) add: Option<Vec<String>>,
    /// Tags to remove.
    pub(super) remove: Option<Vec<String>>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AccountCookies)]
pub(super) struct Cookies {
    /// `a=b; c=d`, or an object of names and values.
    pub(super) cookies: Value,
}

/// The accounts.
#[derive(Serialize, ToSchema)]
#[schema(as = Accounts)]
pub(super) struct All {
    pub(super) accounts: Vec<AccountRow>,
    pub(super) persistence_health: Persistence,
}

/// Whether the store holds the shown accounts: always true.
#[derive(Serialize, ToSchema)]
pub(super) struct Persistence {
    pub(super) ok: bool,
}

/// An account as it is after a change.
#[derive(Serialize, ToSchema)]
#[schema(as = AccountChanged)]
pub(super) struct Changed {
    pub(super) success: bool,
    pub(super) account: AccountRow,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AccountRefreshed)]
pub(super) struct Refreshed {
    pub(super) success: bool,
    pub(super) result: AccountHealth,
    pub(super) account: AccountRow,
}

/// The outcome of changing accounts.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AccountsUpdated)]
pub(super) struct BatchUpdateReply {
    /// Whether every known account has the requested state.
    success: bool,
    /// The number of accounts that have the requested state.
    updated: usize,
    /// Unknown ids.
    not_found: Vec<String>,
    /// The outcome of each id.
    results: Vec<BatchOutcome>,
}

/// The outcome of refreshing accounts' tokens.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AccountsRefreshed)]
pub(super) struct RefreshReply {
    /// Whether every known account has new tokens.
    success: bool,
    /// The number of accounts that have new tokens.
    refreshed: usize,
    /// Unknown ids.
    not_found: Vec<String>,
    /// The outcome of each id.
    results: Vec<BatchOutcome>,
}

/// The result of a check of accounts.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AccountsChecked)]
pub(super) struct CheckReply {
    pub(super) summary: CheckCounts,
    pub(super) results: Vec<CheckResult>,
    /// Unknown ids.
    pub(super) not_found: Vec<String>,
}

/// A checked account.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AccountChecked)]
pub(super) struct CheckResult {
    /// The account's id.
    id: String,
    /// The account's e-mail.
    email: String,
    /// The account's label.
    label: String,
    /// The account's status before the check.
    previous_status: &'static str,
    /// The result of the check.
    result: AccountHealth,
    /// Why the account is not alive.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// How long the backend took to answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
}

impl From<CheckedAccount> for CheckResult {
    fn from(checked: CheckedAccount) -> Self {
        let CheckedAccount { id, email, label, previous_status, result, error, duration_ms } = checked;
        Self { id, email, label, previous_status, result, error, duration_ms }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = AccountTally)]
pub(super) struct CheckCounts {
    pub(super) total: usize,
    pub(super) alive: usize,
    pub(super) dead: usize,
    pub(super) skipped: usize,
}

/// An account's cookies in clear.
#[derive(Serialize, ToSchema)]
#[schema(as = CookieJar)]
pub(super) struct CookieHeaderReply<'a> {
    /// `a=b; c=d`; null for none.
    pub(super) cookies: Option<&'a str>,
}

/// The cookies that were stored.
#[derive(Serialize, ToSchema)]
#[schema(as = CookiesKept)]
pub(super) struct Stored {
    pub(super) success: bool,
    /// The number of stored cookies.
    pub(super) kept: usize,
    /// Why some cookies were not stored.
    pub(super) hint: Option<&'static str>,
}

impl From<Batch> for BatchUpdateReply {
    fn from(batch: Batch) -> Self {
        let (success, updated, not_found) = (batch.no_failures(), batch.done(), batch.missing());
        Self { success, updated, not_found, results: batch.outcomes }
    }
}

impl From<Batch> for RefreshReply {
    fn from(batch: Batch) -> Self {
        let (success, refreshed, not_found) = (batch.no_failures(), batch.done(), batch.missing());
        Self { success, refreshed, not_found, results: batch.outcomes }
    }
}
