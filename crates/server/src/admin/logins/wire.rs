//! The bodies of the login endpoints, with the field names of the system that people migrate from.

use engine::{ImportOutcome, LoginStage};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::admin::accounts::AccountRow;
use crate::admin::input::SecretText;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = LoginRelayed)]
pub(super) struct CallbackRequest {
    pub(super) callback_url: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LoginToken)]
pub(super) struct Token {
    #[schema(value_type = String, format = Password)]
    pub(super) token: SecretText,
    /// The egress of the token's account: `direct`, `auto`, `global`, or a proxy's id or name.
    pub(super) egress: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LoginBy)]
pub(super) struct EgressChoice {
    /// The egress of the login and then of its account: `direct`, `auto`, `global`, or a proxy's id or name.
    pub(super) egress: Option<String>,
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[schema(as = LoginFromCodex)]
pub(super) struct CodexImportRequest {
    /// Link the file instead of importing its tokens.
    pub(super) link: bool,
    pub(super) may_refresh: bool,
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = Logout)]
pub(super) struct LogoutRequest {
    pub(super) all: bool,
    pub(super) ids: Vec<String>,
}

/// Whether an account is signed in, and the state of this admin token's last browser login.
#[derive(Serialize, ToSchema)]
#[schema(as = LoginStatus)]
pub(super) struct Status<'a> {
    /// Whether an account can serve.
    pub(super) authenticated: bool,
    /// The first account that can serve.
    pub(super) user: Option<User<'a>>,
    pub(super) pool: AccountCounts,
    /// The browser login that this admin token began last.
    pub(super) login: Option<LoginStage>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LoginUser)]
pub(super) struct User<'a> {
    pub(super) email: &'a str,
    pub(super) account_id: &'a str,
    pub(super) plan_type: &'a str,
}

/// The number of accounts in each state.
#[derive(Serialize, ToSchema)]
#[schema(as = LoginTally)]
pub(super) struct AccountCounts {
    pub(super) total: usize,
    pub(super) active: usize,
    /// Accounts that need a new sign-in.
    pub(super) expired: usize,
    pub(super) quota_exhausted: usize,
    pub(super) rate_limited: usize,
    /// Always 0: an account serves while it refreshes.
    pub(super) refreshing: usize,
    pub(super) disabled: usize,
    /// Accounts that the provider refuses.
    pub(super) banned: usize,
}

/// The state of a device code.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = DevicePolled)]
pub(super) enum PollReply {
    /// The code is not entered yet; `code` is `authorization_pending` or `slow_down`.
    Pending { pending: bool, code: &'static str },
    /// The login is done and gave this account.
    Done { success: bool, account: String },
}

/// An added account.
#[derive(Serialize, ToSchema)]
#[schema(as = AccountAdded)]
pub(crate) struct Added {
    pub(super) success: bool,
    /// What the import did with the login; absent for a linked account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) result: Option<ImportOutcome>,
    pub(super) account: AccountRow,
}
