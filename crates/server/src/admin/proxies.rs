//! Proxies and which account takes which, at the paths and in the words of the system that people come from.

mod wire;

use bytes::Bytes;
use engine::{Moves, ProxyChange, ProxyError};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use pool::egress::Address;
use proto::{Failure, Kind};

use self::wire::{
    Apply, Assignment, Assignments, Change, Entry, Global, Imported, Interval, List, Outcome, Spread, Tickets, Wish,
};
use super::input::{Input, SecretText, admin, bounded, bytes, read};
use super::output::{DONE, Done};
use crate::operation::{Operation, Topic};
use crate::reply::{Answer, Denied, json, whole};
use crate::route::Ask;

/// Most assignments of one call.
const MOST: usize = 100_000;
/// Most minutes between two checks: a week.
const MINUTES: u32 = 7 * 24 * 60;

/// Of [`list`].
pub(crate) const LIST: Operation =
    Operation::new(Topic::Proxies, "List the proxies and who takes which").gives::<List>(200);

/// `GET /api/proxies`
pub(crate) async fn list(ask: Ask) -> Answer {
    let engine = &ask.app.engine;
    let list = List {
        proxies: engine.proxies().list().into_iter().map(Entry::from).collect(),
        assignments: engine.proxies().egresses().into_iter().map(Assignment::from).collect(),
        health_check_interval_minutes: engine.proxies().check_minutes(),
        global: engine.proxies().global().map(Global::from),
    };
    Ok(json(StatusCode::OK, &list))
}

/// Of [`add`].
pub(crate) const ADD: Operation =
    Operation::new(Topic::Proxies, "Add a proxy; one that is there already is given instead")
        .takes::<Wish>()
        .gives::<Outcome>(201)
        .gives::<Outcome>(200)
        .fails(&[409]);

/// `POST /api/proxies`. The address of one that is there already gives that one.
pub(crate) async fn add(ask: Ask) -> Answer {
    let Input { engine, body: wish, .. } = read::<Wish>(ask).await?;
    let wish = wish.proxy().map_err(|invalid| denied(&invalid.into()))?;
    let (view, added) = engine.proxies().add(wish).await.map_err(|error| denied(&error))?;
    let status = if added { StatusCode::CREATED } else { StatusCode::OK };
    Ok(json(status, &Outcome { success: true, added, proxy: view.into() }))
}

/// Of [`change`].
pub(crate) const CHANGE: Operation =
    Operation::new(Topic::Proxies, "Change a proxy").takes::<Change>().gives::<Entry>(200).fails(&[409]);

/// `PUT /api/proxies/{id}`
pub(crate) async fn change(ask: Ask) -> Answer {
    let Input { engine, param: id, body: change } = read::<Change>(ask).await?;
    let address = change.url.map(|SecretText(url)| Address::read(url.expose())).transpose();
    let address = address.map_err(|invalid| denied(&invalid.into()))?;
    let change = ProxyChange { name: change.name, address, allow_private: change.allow_private, enabled: None };
    let view = engine.proxies().change(&id, change).await.map_err(|error| denied(&error))?;
    Ok(json(StatusCode::OK, &Entry::from(view)))
}

/// Of [`remove`].
pub(crate) const REMOVE: Operation =
    Operation::new(Topic::Proxies, "Remove a proxy that no account takes").gives::<Done>(200).fails(&[409]);

/// `DELETE /api/proxies/{id}`
pub(crate) async fn remove(ask: Ask) -> Answer {
    ask.app.engine.proxies().remove(&ask.param).await.map_err(|error| denied(&error))?;
    Ok(json(StatusCode::OK, &DONE))
}

/// Of [`check`].
pub(crate) const CHECK: Operation = Operation::new(Topic::Proxies, "Check a proxy now").gives::<Entry>(200);

/// `POST /api/proxies/{id}/check`
pub(crate) async fn check(ask: Ask) -> Answer {
    let view = ask.app.engine.proxies().check(&ask.param).await.map_err(|error| denied(&error))?;
    Ok(json(StatusCode::OK, &Entry::from(view)))
}

/// Of [`check_all`].
pub(crate) const CHECK_ALL: Operation = Operation::new(Topic::Proxies, "Check every proxy now").gives::<List>(200);

/// `POST /api/proxies/check-all`
pub(crate) async fn check_all(ask: Ask) -> Answer {
    ask.app.engine.proxies().check_all().await.map_err(|error| denied(&error))?;
    list(ask).await
}

/// Of [`enable`].
pub(crate) const ENABLE: Operation = Operation::new(Topic::Proxies, "Switch a proxy on").gives::<Entry>(200);

/// `POST /api/proxies/{id}/enable`
pub(crate) async fn enable(ask: Ask) -> Answer {
    switch(ask, true).await
}

/// Of [`disable`].
pub(crate) const DISABLE: Operation =
    Operation::new(Topic::Proxies, "Switch a proxy off; accounts that take it and no other stop").gives::<Entry>(200);

/// `POST /api/proxies/{id}/disable`
pub(crate) async fn disable(ask: Ask) -> Answer {
    switch(ask, false).await
}

async fn switch(ask: Ask, enabled: bool) -> Answer {
    let change = ProxyChange { enabled: Some(enabled), ..ProxyChange::default() };
    let view = ask.app.engine.proxies().change(&ask.param, change).await.map_err(|error| denied(&error))?;
    Ok(json(StatusCode::OK, &Entry::from(view)))
}

/// Of [`settings`].
pub(crate) const SETTINGS: Operation =
    Operation::new(Topic::Proxies, "Set how often proxies are checked").takes::<Interval>().gives::<Interval>(200);

/// `PUT /api/proxies/settings`
pub(crate) async fn settings(ask: Ask) -> Answer {
    let Input { engine, body: interval, .. } = read::<Interval>(ask).await?;
    let minutes = interval.health_check_interval_minutes;
    if minutes > MINUTES {
        let said = format!("At most {MINUTES} minutes, a week; 0 is never");
        return Err(Failure::new(Kind::Invalid, said).at("healthCheckIntervalMinutes").into());
    }
    engine.proxies().set_check_minutes(minutes).await.map_err(|error| denied(&error))?;
    Ok(json(StatusCode::OK, &interval))
}

/// Of [`assign`].
pub(crate) const ASSIGN: Operation =
    Operation::new(Topic::Proxies, "Let an account take a way").takes::<Assignment>().gives::<Done>(200);

/// `POST /api/proxies/assign`
pub(crate) async fn assign(ask: Ask) -> Answer {
    let Input { engine, body: one, .. } = read::<Assignment>(ask).await?;
    engine.proxies().assign(&[one.pair()]).await.map_err(|error| denied(&error))?;
    Ok(json(StatusCode::OK, &DONE))
}

/// Of [`unassign`].
pub(crate) const UNASSIGN: Operation = Operation::new(Topic::Proxies, "Let an account take the global way again")
    .param("The id of the account.")
    .gives::<Done>(200);

/// `DELETE /api/proxies/assign/{id}`: the account takes the global way again.
pub(crate) async fn unassign(ask: Ask) -> Answer {
    ask.app.engine.proxies().assign(&[(&ask.param, "global")]).await.map_err(|error| denied(&error))?;
    Ok(json(StatusCode::OK, &DONE))
}

/// Of [`assignments`].
pub(crate) const ASSIGNMENTS: Operation =
    Operation::new(Topic::Proxies, "List the accounts that do not take the global way").gives::<Assignments>(200);

/// `GET /api/proxies/assignments`
pub(crate) async fn assignments(ask: Ask) -> Answer {
    let all = ask.app.engine.proxies().egresses().into_iter().map(Assignment::from).collect();
    Ok(json(StatusCode::OK, &Assignments { assignments: all }))
}

/// Of [`assign_bulk`].
pub(crate) const ASSIGN_BULK: Operation =
    Operation::new(Topic::Proxies, "Let accounts take ways, all or none").takes::<Assignments>().gives::<Apply>(200);

/// `POST /api/proxies/assign-bulk`, `POST /api/proxies/assignments/apply`
pub(crate) async fn assign_bulk(ask: Ask) -> Answer {
    let Input { engine, body: all, .. } = read::<Assignments>(ask).await?;
    bounded(all.assignments.len(), MOST, "assignments")?;
    let pairs: Vec<_> = all.assignments.iter().map(Assignment::pair).collect();
    engine.proxies().assign(&pairs).await.map_err(|error| denied(&error))?;
    Ok(json(StatusCode::OK, &Apply { success: true, applied: pairs.len() }))
}

/// Of [`assign_rule`].
pub(crate) const ASSIGN_RULE: Operation =
    Operation::new(Topic::Proxies, "Let accounts take ways in turn").takes::<Spread>().gives::<Apply>(200);

/// `POST /api/proxies/assign-rule`: the accounts take the targets in turn.
pub(crate) async fn assign_rule(ask: Ask) -> Answer {
    let Input { engine, body: rule, .. } = read::<Spread>(ask).await?;
    bounded(rule.account_ids.len(), MOST, "accountIds")?;
    if rule.target_proxy_ids.is_empty() {
        return Err(Failure::new(Kind::Invalid, "Name at least one target").at("targetProxyIds").into());
    }
    let targets = rule.target_proxy_ids.iter().cycle();
    let pairs: Vec<_> =
        rule.account_ids.iter().zip(targets).map(|(account, target)| (account.as_str(), target.as_str())).collect();
    engine.proxies().assign(&pairs).await.map_err(|error| denied(&error))?;
    Ok(json(StatusCode::OK, &Apply { success: true, applied: pairs.len() }))
}

/// Of [`export_assignments`].
pub(crate) const EXPORT_ASSIGNMENTS: Operation =
    Operation::new(Topic::Proxies, "Take the assignments out, for another install too").gives::<Tickets>(200);

/// `GET /api/proxies/assignments/export`
pub(crate) async fn export_assignments(ask: Ask) -> Answer {
    Ok(json(StatusCode::OK, &Tickets { assignments: ask.app.engine.proxies().export_egresses() }))
}

/// Of [`import_assignments`].
pub(crate) const IMPORT_ASSIGNMENTS: Operation =
    Operation::new(Topic::Proxies, "Tell what assignments would come to; nothing is changed")
        .takes::<Tickets>()
        .gives::<Moves>(200);

/// `POST /api/proxies/assignments/import`: shows what it would come to, and changes nothing.
pub(crate) async fn import_assignments(ask: Ask) -> Answer {
    let Input { engine, body: all, .. } = read::<Tickets>(ask).await?;
    bounded(all.assignments.len(), MOST, "assignments")?;
    let moves = engine.proxies().preview_egresses(&all.assignments).map_err(|error| denied(&error))?;
    Ok(json(StatusCode::OK, &moves))
}

/// Of [`export`].
pub(crate) const EXPORT: Operation =
    Operation::new(Topic::Proxies, "Take the proxies out, with their passwords in clear")
        .sends("application/yaml", "A list of proxies.");

/// `GET /api/proxies/export`: a file with the passwords in clear.
pub(crate) async fn export(ask: Ask) -> Answer {
    let file = ask.app.engine.proxies().export();
    tracing::warn!(target: "audit", admin = admin(&ask.caller), "proxies exported");
    let mut response = whole(StatusCode::OK, Bytes::copy_from_slice(file.expose().as_bytes()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/yaml"));
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"proxies.yaml\""));
    Ok(response)
}

/// Of [`import`].
pub(crate) const IMPORT: Operation = Operation::new(Topic::Proxies, "Add proxies, all or none")
    .reads(&["application/json"], "YAML, JSON, or one URL a line.")
    .gives::<Imported>(200)
    .fails(&[409]);

/// `POST /api/proxies/import`: YAML, JSON or one URL a line; all or none.
pub(crate) async fn import(ask: Ask) -> Answer {
    let body = bytes(&ask.parts.headers, ask.body, &ask.app).await?;
    let text = std::str::from_utf8(&body).map_err(|_| Failure::new(Kind::Invalid, "The file is not UTF-8 text"))?;
    let added = ask.app.engine.proxies().import(text).await.map_err(|error| denied(&error))?;
    Ok(json(StatusCode::OK, &Imported { success: true, added, errors: [] }))
}

pub(super) fn denied(error: &ProxyError) -> Denied {
    let (kind, status, code) = match error {
        ProxyError::Invalid(_) => (Kind::Invalid, None, "invalid_proxy"),
        ProxyError::File(_) => (Kind::Invalid, None, "invalid_file"),
        ProxyError::Unknown | ProxyError::Account(_) => (Kind::NotFound, None, "not_found"),
        ProxyError::Ambiguous(_) => (Kind::Invalid, None, "ambiguous_account"),
        ProxyError::Named => (Kind::Invalid, Some(StatusCode::CONFLICT), "name_taken"),
        ProxyError::InUse(_) => (Kind::Invalid, Some(StatusCode::CONFLICT), "proxy_in_use"),
        ProxyError::Stuck(_) => (Kind::Upstream, None, "no_way_out"),
        ProxyError::Full => (Kind::Invalid, Some(StatusCode::CONFLICT), "too_many_proxies"),
        ProxyError::Store(_) => {
            tracing::error!(%error, "admin proxies");
            return Failure::new(Kind::Internal, "The store failed; see the log").into();
        }
    };
    let failure = Failure::new(kind, error.to_string()).code(code);
    status.map_or_else(|| failure.clone().into(), |status| Denied::with(status, failure.clone()))
}
