//! Health, without side effects. Everyone sees whether the gateway works; details need a key.

use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use http::StatusCode;
use serde::Serialize;

use crate::auth::{Authenticator, Caller};
use crate::query;
use crate::response::{HandlerResult, json};
use crate::route::RequestContext;

const VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(Serialize)]
struct Process {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uptime_seconds: Option<u64>,
}

#[derive(Serialize)]
struct Readiness {
    status: &'static str,
    reasons: Vec<String>,
}

/// The `/health` of the system S0. The figures about accounts need a key.
#[derive(Serialize)]
struct PoolHealth {
    status: &'static str,
    /// Whether an account can serve.
    #[serde(skip_serializing_if = "Option::is_none")]
    authenticated: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pool: Option<PoolSlots>,
    timestamp: u64,
}

/// Without a limit of requests per account, the total and available figures are null.
#[derive(Serialize)]
struct PoolSlots {
    total: usize,
    active: usize,
    max_concurrent_per_account: Option<u32>,
    #[serde(rename = "total_slots")]
    places: Option<u64>,
    #[serde(rename = "used_slots")]
    used: u64,
    #[serde(rename = "available_slots")]
    free: Option<u64>,
}

#[derive(Serialize)]
struct Root {
    name: &'static str,
    hint: &'static str,
}

/// `GET /`
pub(crate) async fn root(_ask: RequestContext) -> HandlerResult {
    let hint = "An AI gateway. Point an OpenAI client's base URL at /v1 and send your key as a bearer token.";
    Ok(json(StatusCode::OK, &Root { name: "polygate", hint }))
}

/// `GET /healthz`: the process answers.
pub(crate) async fn process(ctx: RequestContext) -> HandlerResult {
    let known = is_authenticated(&ctx).await;
    let (version, uptime_seconds) = (Some(VERSION).filter(|_| known), Some(ctx.app.started.elapsed().as_secs()));
    Ok(json(StatusCode::OK, &Process { status: "ok", version, uptime_seconds: uptime_seconds.filter(|_| known) }))
}

/// `GET /readyz`: whether this node should get requests. Problems of the pool are only in the body, because all nodes share the pool, and
/// removing this node would not help. With `?pool`, problems of the pool decide the status too.
pub(crate) async fn ready(ctx: RequestContext) -> HandlerResult {
    let away = ctx.app.engine.store_away().is_some_and(|away| away >= ctx.app.settings.limits.store_grace);
    let stopping = ctx.app.draining.load(Ordering::Acquire).then_some("shutting down");
    if let Some(why) = stopping.or(away.then_some("the store cannot be read")) {
        let reasons = vec![why.to_owned()];
        return Ok(json(StatusCode::SERVICE_UNAVAILABLE, &Readiness { status: "unavailable", reasons }));
    }
    let state = ctx.app.engine.ready();
    let (status, word) = match (state.ok, query::single(&ctx.parts, "pool").is_some()) {
        (false, true) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        _ => (StatusCode::OK, "ready"),
    };
    let reasons = match (state.ok, is_authenticated(&ctx).await) {
        (_, true) => state.reasons,
        (true, false) => Vec::new(),
        (false, false) => vec!["no usable account".to_owned()],
    };
    Ok(json(status, &Readiness { status: word, reasons }))
}

/// `GET /health`
pub(crate) async fn pool(ctx: RequestContext) -> HandlerResult {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let timestamp = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    let known = is_authenticated(&ctx).await;
    let (authenticated, pool) = (known.then(|| ctx.app.engine.ready().ok), known.then(|| slots(&ctx)));
    Ok(json(StatusCode::OK, &PoolHealth { status: "ok", authenticated, pool, timestamp }))
}

fn slots(ctx: &RequestContext) -> PoolSlots {
    let accounts = ctx.app.engine.accounts().list();
    PoolSlots {
        total: accounts.len(),
        active: accounts.iter().filter(|account| account.status == "active").count(),
        max_concurrent_per_account: None,
        places: None,
        used: accounts.iter().map(|account| u64::from(account.in_flight)).sum(),
        free: None,
    }
}

async fn is_authenticated(ctx: &RequestContext) -> bool {
    let auth = Authenticator { engine: &ctx.app.engine, counters: &ctx.app.counters, keyless: None };
    auth.identify(&ctx.parts.headers).await != Caller::Anyone
}
