//! The limits of the pool, as the client's `/status` shows them, and reset credits.

use http::StatusCode;
use pool::Millis;
use pool::quota::credits::{Redeemed, ResetCredits};
use pool::quota::{Credits, Named, Quota, Window};
use serde::{Deserialize, Serialize};

use super::account;
use crate::admin::{input, quota};
use crate::auth::Caller;
use crate::response::{HandlerResult, json};
use crate::route::RequestContext;

/// The body of `GET /wham/usage`; the client requires whole numbers.
#[derive(Serialize)]
struct Usage<'a> {
    user_id: &'a str,
    account_id: &'a str,
    email: &'static str,
    plan_type: &'a str,
    rate_limit: RateLimit,
    code_review_rate_limit: Option<RateLimit>,
    additional_rate_limits: Vec<Additional<'a>>,
    credits: CreditsBody<'a>,
    spend_control: SpendControl,
    rate_limit_reached_type: Option<Reached<'a>>,
    rate_limit_reset_credits: ResetCount,
    promo: Option<&'a str>,
}

#[derive(Serialize)]
struct RateLimit {
    allowed: bool,
    limit_reached: bool,
    primary_window: Option<WindowBody>,
    secondary_window: Option<WindowBody>,
}

#[derive(Serialize)]
struct WindowBody {
    used_percent: u8,
    limit_window_seconds: u32,
    reset_after_seconds: u64,
    reset_at: i64,
}

#[derive(Serialize)]
struct Additional<'a> {
    limit_name: &'a str,
    metered_feature: &'a str,
    rate_limit: RateLimit,
}

#[derive(Serialize)]
struct CreditsBody<'a> {
    has_credits: bool,
    unlimited: bool,
    balance: Option<&'a str>,
    approx_local_messages: [u64; 2],
    approx_cloud_messages: [u64; 2],
}

#[derive(Serialize)]
struct SpendControl {
    reached: bool,
    individual_limit: Option<u64>,
}

#[derive(Serialize)]
struct Reached<'a> {
    r#type: &'a str,
}

#[derive(Serialize)]
struct ResetCount {
    available_count: u64,
}

/// The result of consuming a credit.
#[derive(Serialize)]
struct ConsumeReply<'a> {
    code: &'a str,
    windows_reset: u64,
}

#[derive(Deserialize)]
struct ConsumeRequest {
    redeem_request_id: String,
}

/// `GET .../usage`
pub(crate) async fn usage(ctx: RequestContext) -> HandlerResult {
    let (quota, now) = ctx.app.engine.limits();
    let own = own_quota(&ctx);
    let allowed = quota.allowed.unwrap_or(true);
    let window = |window: Option<Window>| window.map(|window| window_body(window, now));
    let body = Usage {
        user_id: &account::user(&ctx),
        account_id: account::id(&ctx),
        email: "",
        plan_type: quota.plan.as_deref().unwrap_or("pro"),
        rate_limit: RateLimit {
            allowed,
            limit_reached: !allowed,
            primary_window: window(quota.primary),
            secondary_window: window(quota.secondary),
        },
        code_review_rate_limit: None,
        additional_rate_limits: quota.named.iter().map(|limit| additional(limit, now)).collect(),
        credits: credits_body(quota.credits.as_ref(), own.as_ref()),
        spend_control: SpendControl { reached: false, individual_limit: None },
        rate_limit_reached_type: quota.reached.as_deref().map(|kind| Reached { r#type: kind }),
        rate_limit_reset_credits: ResetCount {
            available_count: own.as_ref().and_then(|own| own.reset_credits).unwrap_or_default(),
        },
        promo: None,
    };
    Ok(json(StatusCode::OK, &body))
}

/// `GET .../rate-limit-reset-credits`: the reset credits of the calling login. A client key has no login.
pub(crate) async fn credits(ctx: RequestContext) -> HandlerResult {
    let list = match &ctx.caller {
        Caller::Login(_, id) => {
            ctx.app.engine.quotas().reset_credits(id).await.map_err(|error| quota::rejection(&error))?
        }
        _ => ResetCredits::default(),
    };
    Ok(json(StatusCode::OK, &list))
}

/// `POST .../rate-limit-reset-credits/consume`: irreversible, so only the account's own login may do it.
pub(crate) async fn consume(ctx: RequestContext) -> HandlerResult {
    let Caller::Login(_, id) = ctx.caller.clone() else {
        return Ok(json(StatusCode::OK, &ConsumeReply { code: "no_credit", windows_reset: 0 }));
    };
    let order = input::read_json::<ConsumeRequest>(ctx).await?;
    let consumed = order.engine.quotas().consume_credit_as(&id, &order.body.redeem_request_id).await;
    let consumed = consumed.map_err(|error| quota::rejection(&error))?;
    let (code, windows_reset) = match &consumed.outcome {
        Redeemed::Reset { windows } => ("reset", *windows),
        Redeemed::NothingToReset => ("nothing_to_reset", 0),
        Redeemed::NoCredit => ("no_credit", 0),
        Redeemed::AlreadyRedeemed => ("already_redeemed", 0),
        Redeemed::Other { outcome, .. } => (outcome.as_str(), 0),
    };
    Ok(json(StatusCode::OK, &ConsumeReply { code, windows_reset }))
}

/// The last known quota of the calling login's account. A client key has no login.
fn own_quota(ctx: &RequestContext) -> Option<Quota> {
    let Caller::Login(_, id) = &ctx.caller else { return None };
    ctx.app.engine.accounts().get(id).map(|account| account.quota)
}

/// Percentages are rounded down, so that a limit that is not quite used up does not show as used up.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "shares are 0 to 100")]
fn window_body(window: Window, now: Millis) -> WindowBody {
    let reset_at = window.resets_at.unwrap_or(now);
    WindowBody {
        used_percent: window.used(now).floor() as u8,
        limit_window_seconds: window.minutes.unwrap_or_default().saturating_mul(60),
        reset_after_seconds: now.until(reset_at).div_ceil(1000),
        reset_at: reset_at.seconds(),
    }
}

fn additional(limit: &Named, now: Millis) -> Additional<'_> {
    let window = |window: Option<Window>| window.map(|window| window_body(window, now));
    let (primary_window, secondary_window) = (window(limit.primary), window(limit.secondary));
    let full = |slot: &Option<WindowBody>| slot.as_ref().is_some_and(|slot| slot.used_percent >= 100);
    let limit_reached = full(&primary_window) || full(&secondary_window);
    Additional {
        limit_name: limit.name.as_deref().unwrap_or(&limit.id),
        metered_feature: &limit.id,
        rate_limit: RateLimit { allowed: !limit_reached, limit_reached, primary_window, secondary_window },
    }
}

/// The pool's credits; the balance is shown for the caller's own account only.
fn credits_body<'a>(credits: Option<&Credits>, own: Option<&'a Quota>) -> CreditsBody<'a> {
    CreditsBody {
        has_credits: credits.is_some_and(|credits| credits.has),
        unlimited: credits.is_some_and(|credits| credits.unlimited),
        balance: own.and_then(|own| own.credits.as_ref()?.balance.as_deref()),
        approx_local_messages: [0, 0],
        approx_cloud_messages: [0, 0],
    }
}
