//! The account that a Codex client sees: one with every permission, whatever account the client names.

use http::StatusCode;
use serde::Serialize;

use crate::auth::Caller;
use crate::client_info;
use crate::response::{HandlerResult, json};
use crate::route::RequestContext;

/// The account id for a client that names no account.
const DEFAULT_ACCOUNT_ID: &str = "00000000-0000-4000-8000-000000000000";
/// The plan if no plan is known: the client hides features of smaller plans.
const PLAN: &str = "pro";
/// No constraint on the origin or the region for this account. The pool's accounts have their own constraints, which are respected.
const NO_CONSTRAINT: &str = "NO_CONSTRAINT";

#[derive(Serialize)]
struct Check<'a> {
    accounts: [ListedAccount<'a>; 1],
    account_ordering: [&'a str; 1],
    default_account_id: &'a str,
}

/// The client refuses an entry that lacks one of these fields (seen with 0.169.0, 2026-11-21).
#[derive(Serialize)]
struct ListedAccount<'a> {
    id: &'a str,
    name: Option<&'a str>,
    structure: &'static str,
    plan_type: &'a str,
    profile_picture_url: Option<&'a str>,
    is_deactivated: bool,
    can_access_with_session: bool,
    sso_connection_name: Option<&'a str>,
    is_fedramp_compliant_workspace: bool,
    workspace_backend_origin: &'static str,
    account_routing_override: &'static str,
}

#[derive(Serialize)]
struct Profile {
    stats: Stats,
}

#[derive(Default, Serialize)]
struct Stats {
    lifetime_tokens: u64,
    peak_daily_tokens: u64,
    longest_running_turn_sec: u64,
    current_streak_days: u64,
    longest_streak_days: u64,
    daily_usage_buckets: [u64; 0],
}

#[derive(Serialize)]
struct Messages {
    messages: [u64; 0],
}

/// The account id that the client sends; the client's token and the response must name the same account.
pub(super) fn id(ctx: &RequestContext) -> &str {
    client_info::single_header(&ctx.parts.headers, "chatgpt-account-id", 128).unwrap_or(DEFAULT_ACCOUNT_ID)
}

/// The user in the presented login: the client trusts `allowed` for that user only (seen with 0.169.0, 2026-11-22). For a client key, the
/// user is derived from the account id, see `upstream::authfile`.
pub(super) fn user(ctx: &RequestContext) -> String {
    match &ctx.caller {
        Caller::Login(_, id) => ctx.app.engine.accounts().get(id).map(|account| account.user).unwrap_or_default(),
        _ => format!("user-{}", id(ctx)),
    }
}

/// `GET .../accounts/check`: the client makes no model call before this has succeeded.
pub(crate) async fn check(ctx: RequestContext) -> HandlerResult {
    let (id, plan) = (id(&ctx), ctx.app.engine.limits().0.plan);
    let entry = ListedAccount {
        id,
        name: None,
        structure: "personal",
        plan_type: plan.as_deref().unwrap_or(PLAN),
        profile_picture_url: None,
        is_deactivated: false,
        can_access_with_session: true,
        sso_connection_name: None,
        is_fedramp_compliant_workspace: false,
        workspace_backend_origin: NO_CONSTRAINT,
        account_routing_override: NO_CONSTRAINT,
    };
    Ok(json(StatusCode::OK, &Check { accounts: [entry], account_ordering: [id], default_account_id: id }))
}

/// `GET .../profiles/me`: zeros, because usage is recorded elsewhere and per key.
pub(crate) async fn profile(_ask: RequestContext) -> HandlerResult {
    Ok(json(StatusCode::OK, &Profile { stats: Stats::default() }))
}

/// `GET .../workspace-messages`: none.
pub(crate) async fn messages(_ask: RequestContext) -> HandlerResult {
    Ok(json(StatusCode::OK, &Messages { messages: [] }))
}
