//! An account's quota figures and reset credits, fetched on demand. `background` fetches figures at an interval.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::StreamExt;
use pool::attempt::{self, History, Outcome, Retry};
use pool::quota::Quota;
use pool::quota::credits::{Redeemed, ResetCredits};
use pool::quota::forecast::Forecasts;
use pool::status::Signal;
use pool::warning::{self, Warning};
use pool::{AccountId, Millis, Status, Tokens};
use serde_json::value::RawValue;
use store::CreditClaim;
use upstream::{BufferedAnswer, Fault};

use crate::registry::accounts::AccountEntry;
use crate::request::services::Services;
use crate::tokens::RefreshFailed;

/// Accounts that are asked at the same time on demand.
const PARALLEL: usize = 4;

/// Figures that were just fetched.
#[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
#[schema(as = QuotaMeasured)]
pub struct Measured {
    /// The figures in our form.
    pub quota: Quota,
    /// The figures in the backend's form.
    #[schema(value_type = serde_json::Value)]
    pub raw: Box<RawValue>,
}

/// The result of consuming a reset credit.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Consumed {
    /// The backend's outcome.
    pub outcome: Redeemed,
    /// The request's id: given again, it consumes no second credit.
    pub redeem_request_id: String,
    /// The figures after it; the last known ones when they could not be asked for.
    pub quota: Quota,
}

/// The forecast of an account's windows.
#[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
pub struct Outlook {
    /// Our id.
    pub id: String,
    /// Its name for people.
    pub label: String,
    /// When its figures were learned; 0 for never.
    pub updated: Millis,
    /// The forecasts.
    #[serde(flatten)]
    pub forecast: Forecasts,
    /// The same in words, for each window that is there.
    pub words: Vec<String>,
}

/// Why there are no figures or credits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuotaError {
    /// No account has this id.
    #[error("no account has this id")]
    Unknown,
    /// The account is in a state that only a person ends.
    #[error("the account cannot be asked: {0}")]
    NotUsable(String),
    /// The id of a request to consume a credit is no UUID.
    #[error("redeem_request_id is not a UUID")]
    RequestId,
    /// A credit was consumed, or tried to be, a moment ago.
    #[error("a reset credit of this account was asked for a moment ago; try again in {0} s")]
    TooSoon(u64),
    /// The store failed, and nothing was sent.
    #[error("the store failed: {0}")]
    Store(String),
    /// The backend could not be reached, or gave no usable answer.
    #[error("the backend gave no figures: {0}")]
    Upstream(String),
    /// The backend refused.
    #[error("the backend refused with status {0}")]
    Refused(u16),
}

/// A call of the backend.
#[derive(Clone, Copy)]
enum QuotaCall<'a> {
    Usage,
    Credits,
    Consume(&'a str),
}

impl From<RefreshFailed> for QuotaError {
    fn from(error: RefreshFailed) -> Self {
        if error.lasting { Self::NotUsable(error.why) } else { Self::Upstream(error.why) }
    }
}

impl From<Fault> for QuotaError {
    fn from(fault: Fault) -> Self {
        Self::Upstream(fault.message)
    }
}

/// The handle that `Engine::quotas` returns.
#[derive(Clone, Copy)]
pub struct Quotas<'e>(pub(crate) &'e Arc<Services>);

impl Quotas<'_> {
    /// Fetches an account's figures now.
    pub async fn measure(self, id: &str) -> Result<Measured, QuotaError> {
        let entry = known(self.0, id)?;
        measure(self.0, &entry).await
    }

    /// As [`Self::measure`], for every account that can be asked, a few at a time. Returns the errors by id.
    pub async fn measure_all(self) -> HashMap<String, QuotaError> {
        let list = self.0.registry.accounts.list();
        let own: Vec<_> = list.accounts().filter(|entry| !entry.account.status.needs_person()).cloned().collect();
        let ask = |entry: Arc<AccountEntry>| {
            let services = Arc::clone(self.0);
            async move { Some((entry.account.id.0.clone(), measure(&services, &entry).await.err()?)) }
        };
        let results = futures_util::stream::iter(own).map(ask).buffer_unordered(PARALLEL);
        results.filter_map(std::future::ready).collect().await
    }

    /// An account's reset credits, as the backend lists them now.
    pub async fn reset_credits(self, id: &str) -> Result<ResetCredits, QuotaError> {
        let entry = known(self.0, id)?;
        let body = ask(self.0, &entry, QuotaCall::Credits).await?;
        ResetCredits::read(&body).ok_or_else(|| QuotaError::Upstream("what it sent is no list of reset credits".into()))
    }

    /// Consumes a reset credit: irreversible. `request` is the id of a try to repeat; without it a try is a new one, unless the
    /// outcome of the last is not known. At most one try every 30 s for each account, over all processes and nodes.
    pub async fn consume_credit(self, id: &str, request: Option<&str>) -> Result<Consumed, QuotaError> {
        let (request, now) = (request.map(uuid).transpose()?, self.0.runtime.now());
        let entry = known(self.0, id)?;
        let begun = self.0.runtime.store.begin_credit(&entry.account.id, request.as_deref(), now).await;
        consume(self.0, &entry, claimed(begun, now)?).await
    }

    /// As [`Self::consume_credit`] with an id that a client made up for this click; that of a try whose outcome is not known goes before
    /// it.
    pub async fn consume_credit_as(self, id: &str, request: &str) -> Result<Consumed, QuotaError> {
        let (request, now) = (uuid(request)?, self.0.runtime.now());
        let entry = known(self.0, id)?;
        let begun = self.0.runtime.store.begin_credit_with_id(&entry.account.id, &request, now).await;
        consume(self.0, &entry, claimed(begun, now)?).await
    }

    /// Every warning that stands, whether it was sent or not, and when the newest figures were learned (0 for never).
    pub fn warnings(self) -> (Vec<Warning>, Millis) {
        let (now, list) = (self.0.runtime.now(), self.0.registry.accounts.list());
        let own = || list.accounts().map(|entry| &entry.account);
        let thresholds = &self.0.runtime.settings.alerts.thresholds;
        let warnings = own().flat_map(|account| warning::standing(account, thresholds, now)).collect();
        (warnings, own().map(|account| account.quota.updated).max().unwrap_or_default())
    }

    /// How long the windows of every account last at the pace of late, oldest account first.
    pub fn outlooks(self) -> Vec<Outlook> {
        let (now, list) = (self.0.runtime.now(), self.0.registry.accounts.list());
        list.accounts().map(|entry| Outlook::of(&entry.account, now)).collect()
    }
}

impl Outlook {
    /// The outlook of an account at `now`.
    pub fn of(account: &pool::Account, now: Millis) -> Self {
        let forecast = account.quota.forecast(now);
        let named = [("primary", forecast.primary), ("secondary", forecast.secondary)];
        let words = |(name, forecast): (&str, Option<pool::quota::forecast::Forecast>)| {
            forecast.map(|forecast| format!("{name}: {}", forecast.describe(now)))
        };
        Self {
            id: account.id.0.clone(),
            label: account.label.clone(),
            updated: account.quota.updated,
            words: named.into_iter().filter_map(words).collect(),
            forecast,
        }
    }
}

fn uuid(text: &str) -> Result<String, QuotaError> {
    uuid::Uuid::parse_str(text).map(|id| id.to_string()).map_err(|_| QuotaError::RequestId)
}

/// The id of a claimed try. It is claimed before anything is sent.
fn claimed(begun: Result<CreditClaim, store::Error>, now: Millis) -> Result<String, QuotaError> {
    match begun.map_err(|error| QuotaError::Store(error.to_string()))? {
        CreditClaim::Begun { request } => Ok(request),
        CreditClaim::TooSoon { until } => Err(QuotaError::TooSoon(now.until(until).div_ceil(1000))),
        CreditClaim::Gone => Err(QuotaError::Unknown),
    }
}

fn known(services: &Services, id: &str) -> Result<Arc<AccountEntry>, QuotaError> {
    services.registry.account(id).ok_or(QuotaError::Unknown)
}

/// Sends a try that is claimed, and notes that its outcome is known.
async fn consume(
    services: &Arc<Services>,
    entry: &AccountEntry,
    redeem_request_id: String,
) -> Result<Consumed, QuotaError> {
    let result = redeem(services, entry, &redeem_request_id).await;
    if !matches!(result, Err(QuotaError::Upstream(_))) {
        end_credit(services, &entry.account.id, &redeem_request_id).await;
    }
    let outcome = result?;
    tracing::info!(account = %entry.account.id, outcome = %outcome.describe(), "reset credit");
    let quota = match measure(services, entry).await {
        Ok(measured) => measured.quota,
        Err(error) => {
            tracing::warn!(account = %entry.account.id, %error, "figures after a reset not fetched");
            known(services, &entry.account.id.0)?.account.quota.now_only()
        }
    };
    Ok(Consumed { outcome, redeem_request_id, quota })
}

/// The try itself. [`QuotaError::Upstream`] says that its outcome is not known.
async fn redeem(services: &Arc<Services>, entry: &AccountEntry, request: &str) -> Result<Redeemed, QuotaError> {
    let unsure = |why: String| {
        let hint = "whether a credit was consumed is not known: try again with redeem_request_id";
        QuotaError::Upstream(format!("{why}; {hint} {request}"))
    };
    let answer = ask(services, entry, QuotaCall::Consume(request)).await;
    let body = answer.map_err(|error| match error {
        QuotaError::Upstream(why) => unsure(why),
        // Such an answer does not show how far the call came.
        QuotaError::Refused(code @ (408 | 500..)) => unsure(format!("it answered with status {code}")),
        error => error,
    })?;
    Redeemed::read(&body).ok_or_else(|| unsure("what it sent is no outcome".into()))
}

/// Records that the outcome is known. If that fails, the next try has the same id and consumes no second credit.
async fn end_credit(services: &Services, id: &AccountId, request: &str) {
    if let Err(error) = services.runtime.store.end_credit(id, request).await {
        tracing::warn!(account = %id, %error, "the outcome of a reset credit is not noted");
    }
}

/// Fetches an account's figures and applies them.
pub(crate) async fn measure(services: &Arc<Services>, entry: &AccountEntry) -> Result<Measured, QuotaError> {
    // Figures are as old as their request: what was learned since is newer.
    let sent_at = services.runtime.now();
    let body = ask(services, entry, QuotaCall::Usage).await?;
    let unreadable = || QuotaError::Upstream("what it sent are no figures".into());
    let quota = Quota::from_usage(&body, sent_at).ok_or_else(unreadable)?;
    let raw = serde_json::from_slice(&body).map_err(|_| unreadable())?;
    services.dispatch.learn_quota(&entry.account.id, quota);
    Ok(Measured { quota: known(services, &entry.account.id.0)?.account.quota.now_only(), raw })
}

/// One small call with the account's tokens; a 401 refreshes them.
async fn ask(
    services: &Arc<Services>,
    entry: &AccountEntry,
    quota_call: QuotaCall<'_>,
) -> Result<bytes::Bytes, QuotaError> {
    let id = &entry.account.id;
    if let (true, Err(reason)) =
        (entry.account.status.needs_person(), entry.account.status.usable(services.runtime.now()))
    {
        return Err(QuotaError::NotUsable(reason.describe(services.runtime.now())));
    }
    let call = |tokens: Arc<Tokens>| async move { send(services, entry, &tokens.access, quota_call).await };
    let (answer, _) = services.tokens.call_with_tokens(entry, |answer| answer.status == 401, call).await?;
    match answer.status {
        200 => Ok(answer.body),
        status => Err(refused(services, id, status, answer.body)),
    }
}

/// Sends the call by the account's own egress.
async fn send(
    services: &Arc<Services>,
    entry: &AccountEntry,
    access: &pool::Secret,
    quota_call: QuotaCall<'_>,
) -> Result<BufferedAnswer, QuotaError> {
    let account = &entry.account;
    let upstream = services.dispatch.egress(&account.id).map_err(|error| QuotaError::Upstream(error.to_string()))?;
    Ok(match quota_call {
        QuotaCall::Usage => upstream.usage(account, access).await,
        QuotaCall::Credits => upstream.reset_credits(account, access).await,
        QuotaCall::Consume(id) => upstream.consume_credit(account, access, id).await,
    }?)
}

/// Judges a refusal. Only the loss of the account is applied, because a limit on these calls is no limit on model calls.
fn refused(services: &Services, id: &AccountId, code: u16, body: bytes::Bytes) -> QuotaError {
    let history = History { refreshed: true, ..History::default() };
    let outcome = Outcome::Status { code, body, retry: Retry::default() };
    let (signal, _) = attempt::next(&outcome, &history, services.runtime.now());
    if !matches!(signal, Signal::NeedsLogin { .. } | Signal::Block { .. }) {
        return QuotaError::Refused(code);
    }
    services.dispatch.signal(id, &signal);
    match services.registry.accounts.get(id).map(|entry| entry.account.status.clone()) {
        Some(Status::NeedsLogin { why } | Status::Blocked { why }) => QuotaError::NotUsable(why),
        _ => QuotaError::Refused(code),
    }
}
