//! Quota, reset credits, warnings and forecasts, at the paths of the system that people migrate from.

use engine::{Consumed, Measured, Outlook, QuotaError};
use http::StatusCode;
use pool::quota::Quota;
use pool::quota::credits::{Redeemed, ResetCredits};
use pool::warning::Warning;
use proto::{Failure, Kind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::input::{self, AdminRequest};
use super::output::Date;
use crate::operation::{Operation, Tag};
use crate::response::{HandlerResult, Rejection, json};
use crate::route::RequestContext;

#[derive(Serialize, ToSchema)]
#[schema(as = Warnings)]
struct WarningsReply {
    warnings: Vec<WarningView>,
    /// When the newest quota was learned; null if no quota is known.
    #[serde(rename = "updatedAt")]
    updated_at: Option<Date>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ShownWarning)]
struct WarningView {
    /// The warning as text for people.
    title: String,
    message: String,
    /// Whether the account cannot serve.
    urgent: bool,
    #[serde(flatten)]
    warning: Warning,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Outlooks)]
struct Forecasts {
    accounts: Vec<Outlook>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CreditToConsume)]
struct ConsumeRequest {
    /// The UUID of an earlier attempt with an unknown outcome; a new one if left out.
    redeem_request_id: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CreditConsumed)]
struct ConsumeReply {
    /// Whether windows were reset to zero.
    success: bool,
    message: String,
    #[serde(flatten)]
    outcome: Redeemed,
    /// The UUID of the attempt; an attempt with the same UUID consumes no second credit.
    redeem_request_id: String,
    /// The quota after the attempt.
    quota: Quota,
}

pub(crate) const FRESH: Operation = Operation::new(Tag::Accounts, "Request an account's quota from the backend")
    .gives::<Measured>(200)
    .fails(&[409, 502]);

/// `GET /auth/accounts/{id}/quota`: fetched from the backend now.
pub(crate) async fn fresh(ctx: RequestContext) -> HandlerResult {
    let measured = ctx.app.engine.quotas().measure(&ctx.param).await.map_err(|error| rejection(&error))?;
    Ok(json(StatusCode::OK, &measured))
}

pub(crate) const CREDITS: Operation =
    Operation::new(Tag::Accounts, "List an account's reset credits").gives::<ResetCredits>(200).fails(&[409, 502]);

/// `GET /auth/accounts/{id}/reset-credits`
pub(crate) async fn credits(ctx: RequestContext) -> HandlerResult {
    let credits = ctx.app.engine.quotas().reset_credits(&ctx.param).await.map_err(|error| rejection(&error))?;
    Ok(json(StatusCode::OK, &credits))
}

pub(crate) const CONSUME: Operation = Operation::new(Tag::Accounts, "Consume a reset credit")
    .more("It cannot be taken back. At most one try every 30 seconds for each account.")
    .may_take::<ConsumeRequest>()
    .gives::<ConsumeReply>(200)
    .fails(&[409, 429, 502]);

/// `POST /auth/accounts/{id}/reset-credits/consume` with an optional `{"redeem_request_id": "<uuid>"}`: irreversible.
pub(crate) async fn consume(ctx: RequestContext) -> HandlerResult {
    let AdminRequest { engine, param: id, body: request } = input::read_json::<ConsumeRequest>(ctx).await?;
    let consumed = engine
        .quotas()
        .consume_credit(&id, request.redeem_request_id.as_deref())
        .await
        .map_err(|error| rejection(&error))?;
    Ok(json(StatusCode::OK, &ConsumeReply::from(consumed)))
}

pub(crate) const WARNINGS: Operation =
    Operation::new(Tag::Accounts, "List the current warnings").gives::<WarningsReply>(200);

/// `GET /auth/quota/warnings`: the current warnings.
pub(crate) async fn warnings(ctx: RequestContext) -> HandlerResult {
    let (warnings, updated) = ctx.app.engine.quotas().warnings();
    let warnings = warnings.into_iter().map(WarningView::from).collect();
    let updated_at = Some(updated).filter(|updated| updated.0 > 0).map(Date::from);
    Ok(json(StatusCode::OK, &WarningsReply { warnings, updated_at }))
}

pub(crate) const FORECAST: Operation =
    Operation::new(Tag::Accounts, "Forecast when each account's windows run out").gives::<Forecasts>(200);

/// `GET /admin/forecast`
pub(crate) async fn forecast(ctx: RequestContext) -> HandlerResult {
    Ok(json(StatusCode::OK, &Forecasts { accounts: ctx.app.engine.quotas().outlooks() }))
}

impl From<Warning> for WarningView {
    fn from(warning: Warning) -> Self {
        Self { title: warning.title(), message: warning.describe(), urgent: warning.urgent(), warning }
    }
}

impl From<Consumed> for ConsumeReply {
    fn from(consumed: Consumed) -> Self {
        let Consumed { outcome, redeem_request_id, quota } = consumed;
        let (success, message) = (outcome.done(), outcome.describe());
        Self { success, message, outcome, redeem_request_id, quota }
    }
}

pub(crate) fn rejection(error: &QuotaError) -> Rejection {
    let failure = |kind| Failure::new(kind, error.to_string());
    match error {
        QuotaError::Unknown => failure(Kind::NotFound).code("not_found").into(),
        QuotaError::NotUsable(_) => {
            Rejection::with(StatusCode::CONFLICT, failure(Kind::Invalid).code("account_not_usable"))
        }
        QuotaError::RequestId => failure(Kind::Invalid).at("redeem_request_id").into(),
        QuotaError::TooSoon(seconds) => failure(Kind::RateLimited).code("cooldown").retry_after(*seconds).into(),
        QuotaError::Store(_) => Failure::new(Kind::Internal, "The store failed; see the log").into(),
        QuotaError::Upstream(_) | QuotaError::Refused(_) => failure(Kind::Upstream).code("upstream_quota").into(),
    }
}
