//! The accounts for people.

use pool::Millis;
use pool::egress::EgressTable;
use pool::pick::CandidateKind;
use pool::quota::Quota;
use pool::quota::forecast::Forecasts;
use pool::status::Reason;

use super::{AccountEntry, Accounts};

/// An account for people: no secrets.
#[derive(Clone, Debug, PartialEq, serde::Serialize, utoipa::ToSchema)]
pub struct AccountView {
    /// Our id.
    pub id: String,
    /// Name shown to people.
    pub label: String,
    /// E-mail claim, empty when unknown.
    pub email: String,
    /// Plan claim, empty when unknown.
    pub plan: String,
    /// The workspace's id at the provider.
    pub account_id: String,
    /// The user's id at the provider, empty when unknown.
    pub user: String,
    /// Its owner's tags.
    pub tags: Vec<String>,
    /// The Codex file that it follows.
    pub linked: Option<String>,
    /// `active`, `cooling`, `exhausted`, `expiring`, `needs_login`, `blocked` or `disabled`, as it is now.
    pub status: &'static str,
    /// Why it does not serve, for people.
    pub why: Option<String>,
    /// When that ends by itself.
    pub until: Option<Millis>,
    /// Requests at a time that its owner allows; 0 is no limit, `None` leaves it to the settings.
    pub max_concurrent: Option<u32>,
    /// Its owner's number; lower serves first.
    pub priority: i32,
    /// Last known quota.
    pub quota: Quota,
    /// What becomes of its windows at the pace of late.
    pub forecast: Forecasts,
    /// When its access token ends.
    pub expires: Option<Millis>,
    /// Requests that it serves now.
    pub in_flight: u32,
    /// Requests that wait for it.
    pub waiting: u32,
    /// Models of its live list; 0 until that was fetched.
    pub models: usize,
    /// The egress of its calls: `global`, `direct`, `auto` or a proxy's name.
    pub egress: String,
    /// The same, with a proxy's id.
    pub egress_id: String,
    /// When it was added.
    pub created: Millis,
}

/// Whether requests can be served.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Ready {
    /// At least one account can serve now.
    pub ok: bool,
    /// One line per trouble, also when `ok`.
    pub reasons: Vec<String>,
}

impl AccountEntry {
    /// The account for people; `load` is how many it serves and how many wait.
    pub(crate) fn view(&self, load: (u32, u32), now: Millis) -> AccountView {
        let account = &self.account;
        let reason = account.status.usable(now).err();
        let notice = account.status.notice(now);
        AccountView {
            id: account.id.0.clone(),
            label: account.label.clone(),
            email: account.email.clone(),
            plan: account.plan.clone(),
            account_id: account.upstream_id.clone(),
            user: account.user.clone(),
            tags: Vec::new(),
            linked: None,
            status: if reason.is_some() || notice.is_some() { account.status.as_str() } else { "active" },
            until: reason.as_ref().and_then(pool::status::Reason::until),
            why: reason.map(|reason| reason.describe(now)).or(notice),
            max_concurrent: account.limits.max_concurrent,
            priority: account.limits.priority,
            quota: account.quota.now_only(),
            forecast: account.quota.forecast(now),
            expires: self.tokens.as_ref().and_then(|tokens| tokens.expires),
            in_flight: load.0,
            waiting: load.1,
            models: self.models.as_ref().map_or(0, |listing| listing.models.len()),
            egress: String::new(),
            egress_id: String::new(),
            created: account.created,
        }
    }
}

impl Accounts {
    /// Whether any account can serve now, and what is wrong with those that cannot.
    pub(crate) fn ready(&self, egress: &EgressTable, now: Millis) -> Ready {
        let list = self.list();
        if list.is_empty() {
            return Ready { ok: false, reasons: vec!["no account is configured: run `polygate login`".into()] };
        }
        let why = |entry: &AccountEntry| match entry.account.status.usable(now) {
            Ok(()) if entry.relay.is_none() => egress.unavailable(&entry.account.id, now).map(Reason::from),
            usable => usable.err(),
        };
        let trouble = |entry: &AccountEntry| {
            let Some(reason) = why(entry) else {
                let notice = entry.account.status.notice(now)?;
                return Some(format!("{}: {notice}", entry.account.id));
            };
            Some(match &entry.relay {
                Some(relay) => format!("relay {}: {}", relay.relay.name, CandidateKind::Relays.why(&reason, now)),
                None => format!("{}: {}", entry.account.id, reason.describe(now)),
            })
        };
        let ok = list.iter().any(|entry| why(entry).is_none());
        Ready { ok, reasons: list.iter().filter_map(|entry| trouble(entry)).collect() }
    }
}
