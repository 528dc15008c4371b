//! `/backend-api/wham/*`: account check, usage, reset credits, profile.

use serde_json::{Value, json};

use crate::account::{Person, Window};
use crate::answer::Answer;
use crate::errors::Reject;
use crate::route::Call;
use crate::state::Shared;
use crate::token;

/// Workspace routing discovery: no constraint anywhere.
pub(crate) fn accounts(person: &Person) -> Answer {
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

/// Windows and credits.
pub(crate) fn usage(person: &Person) -> Answer {
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
        "additional_rate_limits": [],
        "credits": { "has_credits": false, "unlimited": false, "balance": "0", "approx_local_messages": [0, 0], "approx_cloud_messages": [0, 0] },
        "spend_control": { "reached": false, "individual_limit": null },
        "rate_limit_reached_type": full.then(|| json!({ "type": kind })),
        "rate_limit_reset_credits": { "available_count": quota.reset_credits },
        "promo": null,
    });
    Answer::json(200, &body)
}

fn window(window: &Window) -> Value {
    json!({
        "used_percent": window.used_percent,
        "limit_window_seconds": window.window_minutes * 60,
        "reset_after_seconds": (window.reset_at - token::now()).max(0),
        "reset_at": window.reset_at,
    })
}

/// The list of reset credits, or spending one.
pub(crate) fn credits(shared: &Shared, call: &Call, person: &Person) -> Result<Answer, Reject> {
    if call.method == http::Method::GET {
        return Ok(list(person));
    }
    let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
    if body["redeem_request_id"].as_str().is_none_or(|id| uuid::Uuid::parse_str(id).is_err()) {
        return Err(Reject::detail(422, "redeem_request_id must be a UUID"));
    }
    let (code, reset) = spend(shared, &person.account_id);
    Ok(Answer::json(200, &json!({ "code": code, "windows_reset": reset })))
}

fn list(person: &Person) -> Answer {
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

/// Sets the full windows of an account back to zero.
fn spend(shared: &Shared, account_id: &str) -> (&'static str, u32) {
    let mut book = shared.book.lock();
    let mut outcome = ("no_credit", 0);
    for person in book.people.iter_mut().filter(|person| person.account_id == account_id) {
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
                ("reset", u32::try_from(windows).unwrap_or(2))
            }
        };
    }
    outcome
}

/// Token statistics of somebody who has just begun.
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
