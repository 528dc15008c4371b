//! The limits of the pool, as `/status` of the client shows them, and reset credits.

use http::StatusCode;
use pool::Millis;
use pool::quota::credits::{Redeemed, ResetCredits};
use pool::quota::{Credits, Named, Quota, Window};
use serde::{Deserialize, Serialize};

use super::account;
use crate::admin::{input, quota};
use crate::auth::Caller;
use crate::reply::{Answer, json};
use crate::route::Ask;

/// The body of `GET /wham/usage`; the client wants whole numbers.
#[derive(Serialize)]
struct Usage<'a> {
    user_id: &'a str,
    account_id: &'a str,
    email: &'static str,
    plan_type: &'a str,
    rate_limit: Rate,
    code_review_rate_limit: Option<Rate>,
    additional_rate_limits: Vec<Additional<'a>>,
    credits: Purse<'a>,
    spend_control: Spend,
    rate_limit_reached_type: Option<Reached<'a>>,
    rate_limit_reset_credits: Available,
    promo: Option<&'a str>,
}

#[derive(Serialize)]
struct Rate {
    allowed: bool,
    limit_reached: bool,
    primary_window: Option<Slot>,
    secondary_window: Option<Slot>,
}

#[derive(Serialize)]
struct Slot {
    used_percent: u8,
    limit_window_seconds: u32,
    reset_after_seconds: u64,
    reset_at: i64,
}

#[derive(Serialize)]
struct Additional<'a> {
    limit_name: &'a str,
    metered_feature: &'a str,
    rate_limit: Rate,
}

#[derive(Serialize)]
struct Purse<'a> {
    has_credits: bool,
    unlimited: bool,
    balance: Option<&'a str>,
    approx_local_messages: [u64; 2],
    approx_cloud_messages: [u64; 2],
}

#[derive(Serialize)]
struct Spend {
    reached: bool,
    individual_limit: Option<u64>,
}

#[derive(Serialize)]
struct Reached<'a> {
    r#type: &'a str,
}

#[derive(Serialize)]
struct Available {
    available_count: u64,
}

/// What a credit was spent on.
#[derive(Serialize)]
struct Spent<'a> {
    code: &'a str,
    windows_reset: u64,
}

#[derive(Deserialize)]
struct Order {
    redeem_request_id: String,
}

/// `GET .../usage`
pub(crate) async fn usage(ask: Ask) -> Answer {
    let (quota, now) = ask.app.engine.limits();
    let own = own(&ask);
    let allowed = quota.allowed.unwrap_or(true);
    let window = |window: Option<Window>| window.map(|window| slot(window, now));
    let body = Usage {
        user_id: &account::user(&ask),
        account_id: account::id(&ask),
        email: "",
        plan_type: quota.plan.as_deref().unwrap_or("pro"),
        rate_limit: Rate {
            allowed,
            limit_reached: !allowed,
            primary_window: window(quota.primary),
            secondary_window: window(quota.secondary),
        },
        code_review_rate_limit: None,
        additional_rate_limits: quota.named.iter().map(|limit| additional(limit, now)).collect(),
        credits: purse(quota.credits.as_ref(), own.as_ref()),
        spend_control: Spend { reached: false, individual_limit: None },
        rate_limit_reached_type: quota.reached.as_deref().map(|kind| Reached { r#type: kind }),
        rate_limit_reset_credits: Available {
            available_count: own.as_ref().and_then(|own| own.reset_credits).unwrap_or_default(),
        },
        promo: None,
    };
    Ok(json(StatusCode::OK, &body))
}

/// `GET .../rate-limit-reset-credits`: those of the login that asks. A client key is nobody's login.
pub(crate) async fn credits(ask: Ask) -> Answer {
    let list = match &ask.caller {
        Caller::Login(_, id) => {
            ask.app.engine.quotas().reset_credits(id).await.map_err(|error| quota::denied(&error))?
        }
        _ => ResetCredits::default(),
    };
    Ok(json(StatusCode::OK, &list))
}

/// `POST .../rate-limit-reset-credits/consume`: irreversible, and so only for whoever holds the account's own login.
pub(crate) async fn consume(ask: Ask) -> Answer {
    let Caller::Login(_, id) = ask.caller.clone() else {
        return Ok(json(StatusCode::OK, &Spent { code: "no_credit", windows_reset: 0 }));
    };
    let order = input::read::<Order>(ask).await?;
    let consumed = order.engine.quotas().consume_credit_as(&id, &order.body.redeem_request_id).await;
    let consumed = consumed.map_err(|error| quota::denied(&error))?;
    let (code, windows_reset) = match &consumed.outcome {
        Redeemed::Reset { windows } => ("reset", *windows),
        Redeemed::NothingToReset => ("nothing_to_reset", 0),
        Redeemed::NoCredit => ("no_credit", 0),
        Redeemed::AlreadyRedeemed => ("already_redeemed", 0),
        Redeemed::Other { said } => (said.as_str(), 0),
    };
    Ok(json(StatusCode::OK, &Spent { code, windows_reset }))
}

/// The last figures of the account whose login asks. A client key is nobody's login.
fn own(ask: &Ask) -> Option<Quota> {
    let Caller::Login(_, id) = &ask.caller else { return None };
    ask.app.engine.accounts().get(id).map(|account| account.quota)
}

/// Whole percents: what is not quite used up is not shown as used up.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "shares are 0 to 100")]
fn slot(window: Window, now: Millis) -> Slot {
    let reset_at = window.resets_at.unwrap_or(now);
    Slot {
        used_percent: window.used(now).floor() as u8,
        limit_window_seconds: window.minutes.unwrap_or_default().saturating_mul(60),
        reset_after_seconds: now.until(reset_at).div_ceil(1000),
        reset_at: reset_at.seconds(),
    }
}

fn additional(limit: &Named, now: Millis) -> Additional<'_> {
    let window = |window: Option<Window>| window.map(|window| slot(window, now));
    let (primary_window, secondary_window) = (window(limit.primary), window(limit.secondary));
    let full = |slot: &Option<Slot>| slot.as_ref().is_some_and(|slot| slot.used_percent >= 100);
    let limit_reached = full(&primary_window) || full(&secondary_window);
    Additional {
        limit_name: limit.name.as_deref().unwrap_or(&limit.id),
        metered_feature: &limit.id,
        rate_limit: Rate { allowed: !limit_reached, limit_reached, primary_window, secondary_window },
    }
}

/// The pool's credits; how many is said of the caller's own account only.
fn purse<'a>(credits: Option<&Credits>, own: Option<&'a Quota>) -> Purse<'a> {
    Purse {
        has_credits: credits.is_some_and(|credits| credits.has),
        unlimited: credits.is_some_and(|credits| credits.unlimited),
        balance: own.and_then(|own| own.credits.as_ref()?.balance.as_deref()),
        approx_local_messages: [0, 0],
        approx_cloud_messages: [0, 0],
    }
}
