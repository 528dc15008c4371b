//! `/backend-api/wham/*`: account check, usage, reset credits, profile.

use serde_json::{Value, json};

use crate::account::{Login, Metered, Window};
use crate::answer::Answer;
use crate::call::{Call, header};
use crate::errors::Reject;
use crate::plan::Endpoint;
use crate::record::Violation;
use crate::state::Shared;
use crate::token;

/// The account check, which names a workspace's region: no constraint.
pub(crate) fn accounts(person: &Login) -> Answer {
    let personal = !matches!(person.plan.as_str(), "team" | "business" | "enterprise" | "edu");
    let entry = json!({
        "id": person.account_id,
        "name": null,
        "structure": if personal { "personal" } else { "workspace" },
        "plan_type": person.plan,
        "profile_picture_url": null,
        "is_deactivated": false,
        "can_access_with_session": true,
        "sso_connection_name": null,
        "is_fedramp_compliant_workspace": person.fedramp,
        "workspace_backend_origin": "NO_CONSTRAINT",
        "account_routing_override": "NO_CONSTRAINT",
    });
    let id = &person.account_id;
    Answer::json(200, &json!({ "accounts": [entry], "account_ordering": [id], "default_account_id": id }))
}

/// The usage: windows and credits.
pub(crate) fn usage(person: &Login) -> Answer {
    let quota = &person.quota;
    let full = quota.resets_at().is_some();
    let limit = json!({
        "allowed": !full,
        "limit_reached": full,
        "primary_window": quota.primary.as_ref().map(window),
        "secondary_window": quota.secondary.as_ref().map(window),
    });
    let kind = quota.reached.as_deref().unwrap_or("rate_limit_reached");
    let body = json!({
        "user_id": person.user,
        "account_id": person.account_id,
        "email": person.email,
        "plan_type": person.plan,
        "rate_limit": limit,
        "code_review_rate_limit": null,
        "additional_rate_limits": quota.metered.iter().map(metered).collect::<Vec<_>>(),
        "credits": { "has_credits": false, "unlimited": false, "balance": "0", "approx_local_messages": [0, 0], "approx_cloud_messages": [0, 0] },
        "spend_control": { "reached": false, "individual_limit": null },
        "rate_limit_reached_type": full.then(|| json!({ "type": kind })),
        "rate_limit_reset_credits": { "available_count": quota.reset_credits },
        "promo": null,
    });
    Answer::json(200, &body)
}

fn metered(metered: &Metered) -> Value {
    let full = metered.primary.used_percent >= 100.0;
    let limit = json!({
        "allowed": !full,
        "limit_reached": full,
        "primary_window": window(&metered.primary),
        "secondary_window": null,
    });
    json!({ "limit_name": metered.name, "metered_feature": metered.feature, "rate_limit": limit })
}

/// Records a violation if usage is requested too soon after the last request, or for too many accounts at once.
pub(crate) fn check_rate(shared: &Shared, request: u64, account: &str) {
    let options = &shared.options;
    let (together, last) = shared.recorder.with_record(|record| {
        let open = record.requests_to(Endpoint::Usage).filter(|seen| seen.ending.is_none()).count();
        let mut own = record.requests_to(Endpoint::Usage).filter(|seen| seen.account.as_deref() == Some(account));
        let at = own.clone().find(|seen| seen.id == request).map(|seen| seen.at);
        let before = own.rfind(|seen| seen.id < request).map(|seen| seen.at);
        (open, at.zip(before).map(|(at, before)| at.saturating_sub(before)))
    });
    if options.max_usage_requests.is_some_and(|most| together > most) {
        shared.recorder.record_offence(Violation::UsageCrowd { request, together });
    }
    if let (Some(gap), Some(last)) = (options.usage_gap, last)
        && last < gap
    {
        shared.recorder.record_offence(Violation::UsageRush { request, account: account.to_owned() });
    }
}

/// A window of the body, in integers: the client 0.169.0 accepts no fractions.
#[expect(clippy::cast_possible_truncation, reason = "a share is 0 to 100")]
fn window(window: &Window) -> Value {
    json!({
        "used_percent": window.used_percent as i64,
        "limit_window_seconds": window.window_minutes * 60,
        "reset_after_seconds": (window.reset_at - token::now()).max(0),
        "reset_at": window.reset_at,
    })
}

/// Lists the reset credits, or spends one.
pub(crate) fn credits(shared: &Shared, call: &Call, person: &Login) -> Result<Answer, Reject> {
    if call.method == http::Method::GET {
        return Ok(list(person));
    }
    if header(&call.headers, "content-type") != Some("application/json") {
        return Err(Reject::detail(415, "Unsupported content type"));
    }
    let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
    let id = body["redeem_request_id"].as_str().filter(|id| uuid::Uuid::parse_str(id).is_ok());
    let id = id.ok_or_else(|| Reject::detail(422, "redeem_request_id must be a UUID"))?;
    if body.as_object().is_none_or(|fields| fields.len() > 1) {
        return Err(Reject::detail(422, "Extra inputs are not permitted"));
    }
    let (code, reset) = spend(shared, &person.account_id, id);
    Ok(Answer::json(200, &json!({ "code": code, "windows_reset": reset })))
}

fn list(person: &Login) -> Answer {
    let credit = |at: u32| {
        json!({
            "id": format!("credit-{at}"),
            "status": "available",
            "reset_type": "rate_limit",
            "granted_at": token::iso(token::now() - 86_400),
            "expires_at": token::iso(token::now() + 2_592_000),
            "title": "Usage reset",
            "description": "Sets used-up windows back to zero.",
        })
    };
    let count = person.quota.reset_credits;
    Answer::json(200, &json!({ "credits": (0..count).map(credit).collect::<Vec<_>>(), "available_count": count }))
}

/// Sets the full windows of an account back to zero, once per request id.
fn spend(shared: &Shared, account_id: &str, request: &str) -> (&'static str, u32) {
    let mut accounts = shared.accounts.lock();
    let mut outcome = ("no_credit", 0);
    for person in accounts.logins.iter_mut().filter(|person| person.account_id == account_id) {
        if person.redeemed.iter().any(|redeemed| redeemed == request) {
            return ("already_redeemed", 0);
        }
        let quota = &mut person.quota;
        let full: Vec<&mut Window> = [&mut quota.primary, &mut quota.secondary]
            .into_iter()
            .flatten()
            .filter(|window| window.used_percent >= 100.0)
            .collect();
        outcome = match (quota.reset_credits, full.len()) {
            (0, _) => ("no_credit", 0),
            (_, 0) => ("nothing_to_reset", 0),
            (_, windows) => {
                for window in full {
                    window.used_percent = 0.0;
                }
                quota.reset_credits -= 1;
                person.redeemed.push(request.to_owned());
                ("reset", u32::try_from(windows).unwrap_or(2))
            }
        };
    }
    outcome
}

/// Token statistics of a new user.
pub(crate) fn profile() -> Answer {
    let stats = json!({
        "lifetime_tokens": 0,
        "peak_daily_tokens": 0,
        "longest_running_turn_sec": 0,
        "current_streak_days": 0,
        "longest_streak_days": 0,
        "daily_usage_buckets": [],
    });
    Answer::json(200, &json!({ "stats": stats }))
}
