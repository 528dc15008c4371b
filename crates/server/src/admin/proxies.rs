//! Proxies and their assignments to accounts, at the paths and with the field names of the system that people migrate from.

mod wire;

use bytes::Bytes;
use engine::{AssignmentPreview, ProxyChange, ProxyError, ProxyView};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use pool::egress::Address;
use proto::{Failure, Kind};

use self::wire::{
    Apply, Assignment, AssignmentFile, Assignments, Change, Imported, Interval, Outcome, ProxyList, ProxyRequest,
    SpreadRule,
};
use super::input::{AdminRequest, SecretText, admin_id, bytes, check_list_length, read_json};
use super::output::{DONE, Done};
use crate::failure::log_store_rejection;
use crate::operation::{Operation, Tag};
use crate::response::{HandlerResult, Rejection, json, json_bytes};
use crate::route::RequestContext;

/// The most assignments in one call.
const MOST: usize = 100_000;
/// Most minutes between two checks: a week.
const MINUTES: u32 = 7 * 24 * 60;

pub(crate) const LIST: Operation =
    Operation::new(Tag::Proxies, "List the proxies and their accounts").gives::<ProxyList>(200);

/// `GET /api/proxies`
pub(crate) async fn list(ctx: RequestContext) -> HandlerResult {
    let engine = &ctx.app.engine;
    let list = ProxyList {
        proxies: engine.proxies().list(),
        assignments: engine.proxies().egresses().into_iter().map(Assignment::from).collect(),
        health_check_interval_minutes: engine.proxies().check_minutes(),
        global: engine.proxies().global(),
    };
    Ok(json(StatusCode::OK, &list))
}

pub(crate) const ADD: Operation = Operation::new(Tag::Proxies, "Add a proxy, or return the existing one")
    .takes::<ProxyRequest>()
    .gives::<Outcome>(201)
    .gives::<Outcome>(200)
    .fails(&[409]);

/// `POST /api/proxies`. The address of an existing proxy returns that proxy.
pub(crate) async fn add(ctx: RequestContext) -> HandlerResult {
    let AdminRequest { engine, body: request, .. } = read_json::<ProxyRequest>(ctx).await?;
    let request = request.proxy().map_err(|invalid| rejection(&invalid.into()))?;
    let (view, added) = engine.proxies().add(request).await.map_err(|error| rejection(&error))?;
    let status = if added { StatusCode::CREATED } else { StatusCode::OK };
    Ok(json(status, &Outcome { success: true, added, proxy: view }))
}

pub(crate) const CHANGE: Operation =
    Operation::new(Tag::Proxies, "Change a proxy").takes::<Change>().gives::<ProxyView>(200).fails(&[409]);

/// `PUT /api/proxies/{id}`
pub(crate) async fn change(ctx: RequestContext) -> HandlerResult {
    let AdminRequest { engine, param: id, body: change } = read_json::<Change>(ctx).await?;
    let address = change.url.map(|SecretText(url)| Address::read(url.expose())).transpose();
    let address = address.map_err(|invalid| rejection(&invalid.into()))?;
    let change = ProxyChange { name: change.name, address, allow_private: change.allow_private, enabled: None };
    let view = engine.proxies().change(&id, change).await.map_err(|error| rejection(&error))?;
    Ok(json(StatusCode::OK, &view))
}

pub(crate) const REMOVE: Operation =
    Operation::new(Tag::Proxies, "Remove a proxy that no account uses").gives::<Done>(200).fails(&[409]);

/// `DELETE /api/proxies/{id}`
pub(crate) async fn remove(ctx: RequestContext) -> HandlerResult {
    ctx.app.engine.proxies().remove(&ctx.param).await.map_err(|error| rejection(&error))?;
    Ok(json(StatusCode::OK, &DONE))
}

pub(crate) const CHECK: Operation = Operation::new(Tag::Proxies, "Check a proxy now").gives::<ProxyView>(200);

/// `POST /api/proxies/{id}/check`
pub(crate) async fn check(ctx: RequestContext) -> HandlerResult {
    let view = ctx.app.engine.proxies().check(&ctx.param).await.map_err(|error| rejection(&error))?;
    Ok(json(StatusCode::OK, &view))
}

pub(crate) const CHECK_ALL: Operation = Operation::new(Tag::Proxies, "Check every proxy now").gives::<ProxyList>(200);

/// `POST /api/proxies/check-all`
pub(crate) async fn check_all(ctx: RequestContext) -> HandlerResult {
    ctx.app.engine.proxies().check_all().await.map_err(|error| rejection(&error))?;
    list(ctx).await
}

pub(crate) const ENABLE: Operation = Operation::new(Tag::Proxies, "Switch a proxy on").gives::<ProxyView>(200);

/// `POST /api/proxies/{id}/enable`
pub(crate) async fn enable(ctx: RequestContext) -> HandlerResult {
    switch(ctx, true).await
}

pub(crate) const DISABLE: Operation =
    Operation::new(Tag::Proxies, "Switch a proxy off; accounts that use only this proxy stop").gives::<ProxyView>(200);

/// `POST /api/proxies/{id}/disable`
pub(crate) async fn disable(ctx: RequestContext) -> HandlerResult {
    switch(ctx, false).await
}

async fn switch(ctx: RequestContext, enabled: bool) -> HandlerResult {
    let change = ProxyChange { enabled: Some(enabled), ..ProxyChange::default() };
    let view = ctx.app.engine.proxies().change(&ctx.param, change).await.map_err(|error| rejection(&error))?;
    Ok(json(StatusCode::OK, &view))
}

pub(crate) const SETTINGS: Operation =
    Operation::new(Tag::Proxies, "Set how often proxies are checked").takes::<Interval>().gives::<Interval>(200);

/// `PUT /api/proxies/settings`
pub(crate) async fn settings(ctx: RequestContext) -> HandlerResult {
    let AdminRequest { engine, body: interval, .. } = read_json::<Interval>(ctx).await?;
    let minutes = interval.health_check_interval_minutes;
    if minutes > MINUTES {
        let hint = format!("At most {MINUTES} minutes, a week; 0 is never");
        return Err(Failure::new(Kind::Invalid, hint).at("healthCheckIntervalMinutes").into());
    }
    engine.proxies().set_check_minutes(minutes).await.map_err(|error| rejection(&error))?;
    Ok(json(StatusCode::OK, &interval))
}

pub(crate) const ASSIGN: Operation =
    Operation::new(Tag::Proxies, "Set an account's egress").takes::<Assignment>().gives::<Done>(200);

/// `POST /api/proxies/assign`
pub(crate) async fn assign(ctx: RequestContext) -> HandlerResult {
    let AdminRequest { engine, body: one, .. } = read_json::<Assignment>(ctx).await?;
    engine.proxies().assign(&[one.pair()]).await.map_err(|error| rejection(&error))?;
    Ok(json(StatusCode::OK, &DONE))
}

pub(crate) const UNASSIGN: Operation = Operation::new(Tag::Proxies, "Reset an account to the global egress")
    .param("The id of the account.")
    .gives::<Done>(200);

/// `DELETE /api/proxies/assign/{id}`: the account uses the global egress again.
pub(crate) async fn unassign(ctx: RequestContext) -> HandlerResult {
    ctx.app.engine.proxies().assign(&[(&ctx.param, "global")]).await.map_err(|error| rejection(&error))?;
    Ok(json(StatusCode::OK, &DONE))
}

pub(crate) const ASSIGNMENTS: Operation =
    Operation::new(Tag::Proxies, "List the accounts with an egress of their own").gives::<Assignments>(200);

/// `GET /api/proxies/assignments`
pub(crate) async fn assignments(ctx: RequestContext) -> HandlerResult {
    let all = ctx.app.engine.proxies().egresses().into_iter().map(Assignment::from).collect();
    Ok(json(StatusCode::OK, &Assignments { assignments: all }))
}

pub(crate) const ASSIGN_BULK: Operation =
    Operation::new(Tag::Proxies, "Set the egress of several accounts, all or none")
        .takes::<Assignments>()
        .gives::<Apply>(200);

/// `POST /api/proxies/assign-bulk`, `POST /api/proxies/assignments/apply`
pub(crate) async fn assign_bulk(ctx: RequestContext) -> HandlerResult {
    let AdminRequest { engine, body: all, .. } = read_json::<Assignments>(ctx).await?;
    check_list_length(all.assignments.len(), MOST, "assignments")?;
    let pairs: Vec<_> = all.assignments.iter().map(Assignment::pair).collect();
    engine.proxies().assign(&pairs).await.map_err(|error| rejection(&error))?;
    Ok(json(StatusCode::OK, &Apply { success: true, applied: pairs.len() }))
}

pub(crate) const ASSIGN_RULE: Operation =
    Operation::new(Tag::Proxies, "Distribute egresses over accounts in turn").takes::<SpreadRule>().gives::<Apply>(200);

/// `POST /api/proxies/assign-rule`: the accounts take the targets in turn.
pub(crate) async fn assign_rule(ctx: RequestContext) -> HandlerResult {
    let AdminRequest { engine, body: rule, .. } = read_json::<SpreadRule>(ctx).await?;
    check_list_length(rule.account_ids.len(), MOST, "accountIds")?;
    if rule.target_proxy_ids.is_empty() {
        return Err(Failure::new(Kind::Invalid, "Name at least one target").at("targetProxyIds").into());
    }
    let targets = rule.target_proxy_ids.iter().cycle();
    let pairs: Vec<_> =
        rule.account_ids.iter().zip(targets).map(|(account, target)| (account.as_str(), target.as_str())).collect();
    engine.proxies().assign(&pairs).await.map_err(|error| rejection(&error))?;
    Ok(json(StatusCode::OK, &Apply { success: true, applied: pairs.len() }))
}

pub(crate) const EXPORT_ASSIGNMENTS: Operation =
    Operation::new(Tag::Proxies, "Export the assignments").gives::<AssignmentFile>(200);

/// `GET /api/proxies/assignments/export`
pub(crate) async fn export_assignments(ctx: RequestContext) -> HandlerResult {
    Ok(json(StatusCode::OK, &AssignmentFile { assignments: ctx.app.engine.proxies().export_egresses() }))
}

pub(crate) const IMPORT_ASSIGNMENTS: Operation =
    Operation::new(Tag::Proxies, "Preview assignments; nothing is changed")
        .takes::<AssignmentFile>()
        .gives::<AssignmentPreview>(200);

/// `POST /api/proxies/assignments/import`: previews the result, and changes nothing.
pub(crate) async fn import_assignments(ctx: RequestContext) -> HandlerResult {
    let AdminRequest { engine, body: all, .. } = read_json::<AssignmentFile>(ctx).await?;
    check_list_length(all.assignments.len(), MOST, "assignments")?;
    let moves = engine.proxies().preview_egresses(&all.assignments).map_err(|error| rejection(&error))?;
    Ok(json(StatusCode::OK, &moves))
}

pub(crate) const EXPORT: Operation =
    Operation::new(Tag::Proxies, "Export the proxies, with their passwords in clear text")
        .sends("application/yaml", "A list of proxies.");

/// `GET /api/proxies/export`: a file with the passwords in clear.
pub(crate) async fn export(ctx: RequestContext) -> HandlerResult {
    let file = ctx.app.engine.proxies().export();
    tracing::warn!(target: "audit", admin = admin_id(&ctx.caller), "proxies exported");
    let mut response = json_bytes(StatusCode::OK, Bytes::copy_from_slice(file.expose().as_bytes()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/yaml"));
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"proxies.yaml\""));
    Ok(response)
}

pub(crate) const IMPORT: Operation = Operation::new(Tag::Proxies, "Add proxies, all or none")
    .reads(&["application/json"], "YAML, JSON, or one URL a line.")
    .gives::<Imported>(200)
    .fails(&[409]);

/// `POST /api/proxies/import`: YAML, JSON or one URL a line; all or none.
pub(crate) async fn import(ctx: RequestContext) -> HandlerResult {
    let body = bytes(&ctx.parts.headers, ctx.body, &ctx.app).await?;
    let text = std::str::from_utf8(&body).map_err(|_| Failure::new(Kind::Invalid, "The file is not UTF-8 text"))?;
    let added = ctx.app.engine.proxies().import(text).await.map_err(|error| rejection(&error))?;
    Ok(json(StatusCode::OK, &Imported { success: true, added, errors: [] }))
}

pub(super) fn rejection(error: &ProxyError) -> Rejection {
    let (kind, status, code) = match error {
        ProxyError::Invalid(_) => (Kind::Invalid, None, "invalid_proxy"),
        ProxyError::File(_) => (Kind::Invalid, None, "invalid_file"),
        ProxyError::Unknown | ProxyError::Account(_) => (Kind::NotFound, None, "not_found"),
        ProxyError::Ambiguous(_) => (Kind::Invalid, None, "ambiguous_account"),
        ProxyError::NameTaken => (Kind::Invalid, Some(StatusCode::CONFLICT), "name_taken"),
        ProxyError::InUse(_) => (Kind::Invalid, Some(StatusCode::CONFLICT), "proxy_in_use"),
        ProxyError::NoEgress(_) => (Kind::Upstream, None, "no_way_out"),
        ProxyError::Full => (Kind::Invalid, Some(StatusCode::CONFLICT), "too_many_proxies"),
        ProxyError::Store(_) => return log_store_rejection("admin proxies", error),
    };
    let failure = Failure::new(kind, error.to_string()).code(code);
    status.map_or_else(|| failure.clone().into(), |status| Rejection::with(status, failure.clone()))
}
