//! The accounts, without their secrets except in an export. `/admin/accounts` uses this gateway's field names, `/auth/accounts` those of
//! the system that people migrate from.

pub(crate) mod batch;
mod transfer;
mod wire;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use engine::{AccountError, AccountHealth, AccountView, CheckPace, Engine, TagChange};
use http::StatusCode;
use pool::Secret;
use proto::{Failure, Kind};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

pub(crate) use self::transfer::{EXPORT, IMPORT, export, import};
pub(crate) use self::wire::AccountRow;
use self::wire::{
    All, Changed, CheckCounts, CheckReply, CheckRequest, CookieHeaderReply, Cookies, Label, Persistence, Refreshed,
    Stored, Tags, TokenRequest,
};
use super::input::{AdminRequest, admin_id, check_list_length, read_json};
use super::logins::{Added, import_reply, parse_egress, strip_scheme};
use super::output::{DONE, Done};
use crate::failure::log_store_rejection;
use crate::operation::{Operation, Param, Tag};
use crate::query;
use crate::response::{HandlerResult, Rejection, json as answer};
use crate::route::RequestContext;

/// The accounts, with this gateway's field names.
#[derive(Serialize, ToSchema)]
#[schema(as = AccountViews)]
struct AccountList {
    accounts: Vec<AccountView>,
}

pub(crate) const LIST: Operation =
    Operation::new(Tag::Accounts, "List the accounts, with their load and egress").gives::<AccountList>(200);

/// `GET /admin/accounts`
pub(crate) async fn list(ctx: RequestContext) -> HandlerResult {
    Ok(answer(StatusCode::OK, &AccountList { accounts: ctx.app.engine.accounts().list() }))
}

pub(crate) const ALL: Operation = Operation::new(Tag::Accounts, "List the accounts")
    .options(&[Param::query(
        "quota",
        "`fresh` asks the backend for each account's figures first; otherwise they are the last known ones.",
        &["true", "false", "fresh"],
    )])
    .gives::<All>(200);

/// `GET /auth/accounts?quota=true|fresh`: with the last known quota, or with quota that the backend reports now.
pub(crate) async fn all(ctx: RequestContext) -> HandlerResult {
    let engine = &ctx.app.engine;
    let mut errors = match query::single(&ctx.parts, "quota").as_deref() {
        None | Some("true" | "false") => HashMap::new(),
        Some("fresh") => engine.quotas().measure_all().await,
        Some(_) => return Err(Failure::new(Kind::Invalid, "quota is true or fresh").at("quota").into()),
    };
    let entry = |view: AccountView| {
        let error = errors.remove(&view.id).map(|error| error.to_string());
        let mut entry = AccountRow::from(view);
        entry.quota_error = error;
        entry
    };
    let accounts: Vec<AccountRow> = engine.accounts().list().into_iter().map(entry).collect();
    Ok(answer(StatusCode::OK, &All { accounts, persistence_health: Persistence { ok: true } }))
}

pub(crate) const ADD: Operation = Operation::new(Tag::Accounts, "Add an account by its token")
    .more("A refresh token is used at once, and the new one is stored.")
    .takes::<TokenRequest>()
    .gives::<Added>(200)
    .fails(&[502]);

/// `POST /auth/accounts` with `{"token": "..."}` or `{"refreshToken": "..."}`
pub(crate) async fn add(ctx: RequestContext) -> HandlerResult {
    let AdminRequest { engine, body, .. } = read_json::<TokenRequest>(ctx).await?;
    if body.token.is_none() && body.refresh_token.is_none() {
        return Err(Failure::new(Kind::Invalid, "Give a token or a refreshToken").into());
    }
    let egress = parse_egress(&engine, body.egress.as_deref())?;
    let done =
        engine.logins().add_token(body.token.map(strip_scheme), body.refresh_token.map(strip_scheme), egress).await;
    import_reply(&engine, &done)
}

pub(crate) const REMOVE: Operation =
    Operation::new(Tag::Accounts, "Forget an account with its tokens").gives::<Done>(200);

/// `DELETE /auth/accounts/{id}`
pub(crate) async fn remove(ctx: RequestContext) -> HandlerResult {
    let batch = ctx.app.engine.accounts().remove(&[ctx.param]).await.map_err(|error| rejection(&error))?;
    if batch.done() == 0 {
        return Err(rejection(&AccountError::Unknown));
    }
    Ok(answer(StatusCode::OK, &DONE))
}

pub(crate) const CHECK: Operation = Operation::new(Tag::Accounts, "Check the logins at the backend")
    .more("No refresh token is spent.")
    .may_take::<CheckRequest>()
    .gives::<CheckReply>(200);

/// `POST /auth/accounts/health-check` with `{"ids": [...], "stagger_ms": 500, "concurrency": 2}`, all optional
pub(crate) async fn check(ctx: RequestContext) -> HandlerResult {
    let AdminRequest { engine, body, .. } = read_json::<CheckRequest>(ctx).await?;
    let (stagger, parallel) = (body.stagger_ms.unwrap_or(500), body.concurrency.unwrap_or(2));
    if !(0..=30_000).contains(&stagger) || !(1..=10).contains(&parallel) {
        let words = "stagger_ms is 0 to 30000 and concurrency 1 to 10";
        return Err(Failure::new(Kind::Invalid, words).into());
    }
    let ids = body.ids.as_deref();
    check_list_length(ids.unwrap_or_default().len(), batch::MOST, "ids")?;
    let pace = CheckPace { stagger: Duration::from_millis(stagger), parallel };
    let results = engine.accounts().check(ids, pace).await;
    let count = |health| results.iter().filter(|checked| checked.result == health).count();
    let summary = CheckCounts {
        total: results.len(),
        alive: count(AccountHealth::Alive),
        dead: count(AccountHealth::Dead),
        skipped: count(AccountHealth::Skipped),
    };
    let known: HashSet<&str> = results.iter().map(|checked| checked.id.as_str()).collect();
    let missing = ids.unwrap_or_default().iter().filter(|id| !known.contains(id.as_str()));
    let not_found = missing.cloned().collect();
    let results = results.into_iter().map(Into::into).collect();
    Ok(answer(StatusCode::OK, &CheckReply { summary, results, not_found }))
}

pub(crate) const REFRESH: Operation =
    Operation::new(Tag::Accounts, "Refresh an account's tokens now").gives::<Refreshed>(200).fails(&[502]);

/// `POST /auth/accounts/{id}/refresh`
pub(crate) async fn refresh(ctx: RequestContext) -> HandlerResult {
    let view = ctx.app.engine.accounts().refresh(&ctx.param).await.map_err(|error| rejection(&error))?;
    Ok(answer(StatusCode::OK, &Refreshed { success: true, result: AccountHealth::Alive, account: view.into() }))
}

pub(crate) const RENAME: Operation =
    Operation::new(Tag::Accounts, "Name an account").takes::<Label>().gives::<Changed>(200);

/// `PATCH /auth/accounts/{id}/label` with `{"label": "..." | null}`
pub(crate) async fn rename(ctx: RequestContext) -> HandlerResult {
    let AdminRequest { engine, param, body } = read_json::<Label>(ctx).await?;
    let ids = [param];
    engine.accounts().label(&ids, body.label.as_deref()).await.map_err(|error| rejection(&error))?;
    changed_account(&engine, &ids)
}

pub(crate) const TAG: Operation = Operation::new(Tag::Accounts, "Tag an account").takes::<Tags>().gives::<Changed>(200);

/// `PATCH /auth/accounts/{id}/tags` with `{"tags": [...]}`
pub(crate) async fn tag(ctx: RequestContext) -> HandlerResult {
    let AdminRequest { engine, param, body } = read_json::<Tags>(ctx).await?;
    let ids = [param];
    engine.accounts().tag(&ids, TagChange::Set(body.tags)).await.map_err(|error| rejection(&error))?;
    changed_account(&engine, &ids)
}

pub(crate) const COOKIES: Operation =
    Operation::new(Tag::Accounts, "Show an account's cookies, which are secrets").gives::<CookieHeaderReply>(200);

/// `GET /auth/accounts/{id}/cookies`: cookies are secrets, so the route requires the scope of an export.
pub(crate) async fn cookies(ctx: RequestContext) -> HandlerResult {
    let cookies = ctx.app.engine.accounts().cookies(&ctx.param).map_err(|error| rejection(&error))?;
    tracing::warn!(target: "audit", admin = admin_id(&ctx.caller), account = %ctx.param, "cookies shown");
    Ok(answer(StatusCode::OK, &CookieHeaderReply { cookies: cookies.as_ref().map(Secret::expose) }))
}

pub(crate) const PUT_COOKIES: Operation =
    Operation::new(Tag::Accounts, "Give an account cookies").takes::<Cookies>().gives::<Stored>(200);

/// `POST /auth/accounts/{id}/cookies` with `{"cookies": "a=b; c=d"}` or `{"cookies": {"a": "b", "c": "d"}}`
pub(crate) async fn put_cookies(ctx: RequestContext) -> HandlerResult {
    let AdminRequest { engine, param, body } = read_json::<Cookies>(ctx).await?;
    let pairs = pairs(&body.cookies)
        .ok_or_else(|| Failure::new(Kind::Invalid, "Cookies are \"a=b; c=d\" or {\"a\": \"b\"}"))?;
    let kept = engine.accounts().put_cookies(&param, &pairs).await.map_err(|error| rejection(&error))?;
    let hint =
        (kept < pairs.len()).then_some("Only cookies of the backend's load balancers and of Cloudflare are kept");
    Ok(answer(StatusCode::OK, &Stored { success: true, kept, hint }))
}

pub(crate) const DROP_COOKIES: Operation =
    Operation::new(Tag::Accounts, "Forget an account's cookies").gives::<Done>(200);

/// `DELETE /auth/accounts/{id}/cookies`
pub(crate) async fn drop_cookies(ctx: RequestContext) -> HandlerResult {
    ctx.app.engine.accounts().put_cookies(&ctx.param, &[]).await.map_err(|error| rejection(&error))?;
    Ok(answer(StatusCode::OK, &DONE))
}

fn pairs(given: &Value) -> Option<Vec<(String, Secret)>> {
    let object = |object: &Map<String, Value>| {
        object.iter().map(|(name, value)| Some((name.clone(), Secret::from(value.as_str()?)))).collect()
    };
    let text = |text: &str| {
        let pieces = text.split(';').map(str::trim).filter(|piece| !piece.is_empty());
        pieces
            .map(|piece| piece.split_once('=').map(|(name, value)| (name.trim().to_owned(), Secret::from(value))))
            .collect()
    };
    let pairs: Vec<(String, Secret)> = given.as_object().map_or_else(|| given.as_str().and_then(text), object)?;
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';');
    pairs.iter().all(|(name, value)| !name.is_empty() && plain(name) && plain(value.expose())).then_some(pairs)
}

/// The reply with one account after a change.
fn changed_account(engine: &Engine, [id]: &[String; 1]) -> HandlerResult {
    let view = engine.accounts().get(id).ok_or_else(|| rejection(&AccountError::Unknown))?;
    Ok(answer(StatusCode::OK, &Changed { success: true, account: view.into() }))
}

pub(crate) fn rejection(error: &AccountError) -> Rejection {
    match error {
        AccountError::Unknown => Failure::new(Kind::NotFound, error.to_string()).code("not_found").into(),
        AccountError::Invalid(_) | AccountError::Limits(_) => Failure::new(Kind::Invalid, error.to_string()).into(),
        AccountError::NotRefreshed { lasting, .. } => {
            let code = if *lasting { "needs_login" } else { "refresh_failed" };
            Rejection::with(StatusCode::BAD_GATEWAY, Failure::new(Kind::Upstream, error.to_string()).code(code))
        }
        AccountError::Store(_) => log_store_rejection("admin accounts", error),
    }
}
