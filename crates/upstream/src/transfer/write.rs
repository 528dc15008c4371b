//! Writes account files: in the gateway's own format, and in the formats that other programs read.

use pool::{Account, Millis, Secret, Status, Tokens};
use serde_json::{Value, json};

/// A format of an export. All formats hold secrets in clear text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Everything, in the format that the system S0 reads too.
    Full,
    /// Refresh tokens and labels only: the least that is needed to move a login.
    Minimal,
    /// Cockpit Tools.
    CockpitTools,
    /// Sub2API.
    Sub2Api,
    /// CLIProxyAPI: one object for one account, else a list.
    Cpa,
}

/// An account to export.
#[derive(Clone, Debug)]
pub struct ExportedAccount {
    /// The account.
    pub account: Account,
    /// Its tokens.
    pub tokens: Tokens,
    /// Its tags.
    pub tags: Vec<String>,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 5] = [Self::Full, Self::Minimal, Self::CockpitTools, Self::Sub2Api, Self::Cpa];

    /// Its name in commands and requests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Minimal => "minimal",
            Self::CockpitTools => "cockpit_tools",
            Self::Sub2Api => "sub2api",
            Self::Cpa => "cpa",
        }
    }

    /// The format with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }
}

/// The accounts as pretty JSON text in this format.
pub fn write(format: Format, accounts: &[ExportedAccount], now: Millis) -> Secret {
    let each = |shape: fn(&ExportedAccount) -> Value| accounts.iter().map(shape).collect::<Vec<_>>();
    let value = match format {
        Format::Full => json!({
            "type": "polygate-accounts",
            "version": 1,
            "exported_at": date(now),
            "accounts": each(full),
        }),
        Format::Minimal => json!({ "accounts": each(minimal) }),
        Format::Sub2Api => json!({
            "exported_at": date(now),
            "proxies": [],
            "accounts": each(sub2api),
            "type": "sub2api-data",
            "version": 1,
        }),
        Format::Cpa if accounts.len() == 1 => portable_entry(&accounts[0]),
        Format::CockpitTools | Format::Cpa => Value::Array(each(portable_entry)),
    };
    Secret::new(format!("{value:#}\n"))
}

fn full(out: &ExportedAccount) -> Value {
    let ExportedAccount { account, tokens, tags } = out;
    json!({
        "id": account.id,
        "label": account.label,
        "email": account.email,
        "accountId": account.upstream_id,
        "userId": account.user,
        "planType": account.plan,
        "status": if account.status == Status::Disabled { "disabled" } else { "active" },
        "tags": tags,
        "token": tokens.access.expose(),
        "refreshToken": tokens.refresh.as_ref().map(Secret::expose),
        "idToken": tokens.id.as_ref().map(Secret::expose),
        "refreshedAt": tokens.refreshed.0,
        "addedAt": date(account.created),
    })
}

/// An account without a refresh token is exported with its access token.
fn minimal(out: &ExportedAccount) -> Value {
    match &out.tokens.refresh {
        Some(refresh) => json!({ "refreshToken": refresh.expose(), "label": out.account.label }),
        None => json!({ "token": out.tokens.access.expose(), "label": out.account.label }),
    }
}

fn portable_entry(out: &ExportedAccount) -> Value {
    let ExportedAccount { account, tokens, .. } = out;
    json!({
        "id_token": shown(tokens.id.as_ref()),
        "access_token": tokens.access.expose(),
        "refresh_token": shown(tokens.refresh.as_ref()),
        "account_id": account.upstream_id,
        "last_refresh": date(tokens.refreshed),
        "email": account.email,
        "type": "codex",
        "expired": tokens.expires.map_or_else(String::new, date),
    })
}

fn sub2api(out: &ExportedAccount) -> Value {
    let ExportedAccount { account, tokens, .. } = out;
    json!({
        "name": account.label,
        "platform": "openai",
        "type": "oauth",
        "credentials": {
            "access_token": tokens.access.expose(),
            "refresh_token": shown(tokens.refresh.as_ref()),
            "id_token": shown(tokens.id.as_ref()),
            "email": account.email,
            "chatgpt_account_id": account.upstream_id,
            "chatgpt_user_id": account.user,
            "plan_type": account.plan,
            "expires_at": tokens.expires.map_or_else(String::new, date),
        },
        "concurrency": 0,
        "priority": 0,
    })
}

fn shown(token: Option<&Secret>) -> &str {
    token.map_or("", Secret::expose)
}

/// RFC 3339; empty for an invalid date.
fn date(at: Millis) -> String {
    jiff::Timestamp::from_millisecond(at.0).map(|stamp| stamp.to_string()).unwrap_or_default()
}
