//! Relays at the paths and with the field names of the system that people migrate from, where they are called API keys. One entry
//! is a relay with all its models.

mod provider;
mod wire;

use engine::{Engine, ProbeError, RelayChange, RelayError, RelayView};
use http::StatusCode;
use proto::{Failure, Kind};

use self::provider::Catalog;
use self::wire::{
    Batch, Deleted, Exported, Import, Imported, Key, Label, Listed, Outcome, RelayList, RelayRequest, SwitchRequest,
};
use super::input::{AdminRequest, admin_id, check_list_length, read_json};
use crate::failure::log_store_rejection;
use crate::operation::{Operation, Tag};
use crate::response::{HandlerResult, Rejection, json, no_content};
use crate::route::RequestContext;

/// The most relays in one import or deletion.
const MOST: usize = 256;
/// The highest number that is appended to a taken name, and how many bytes of the taken name are used.
const TRIES: u32 = 99;
const STEM: usize = 28;
/// A placeholder name for a relay that is only asked for its models.
const ANY: &str = "new";

/// The note for routes that call a relay.
const REFUSED: &str = "401 with the code `relay_key_refused` means that the relay does not take its key.";

pub(crate) const CATALOG: Operation =
    Operation::new(Tag::Relays, "List the providers that are known by name").gives::<Catalog>(200);

/// `GET /auth/api-keys/catalog`
pub(crate) async fn catalog(_ask: RequestContext) -> HandlerResult {
    Ok(json(StatusCode::OK, &Catalog::new()))
}

pub(crate) const LIST: Operation =
    Operation::new(Tag::Relays, "List the relays, their keys masked").gives::<RelayList>(200);

/// `GET /auth/api-keys`
pub(crate) async fn list(ctx: RequestContext) -> HandlerResult {
    Ok(json(StatusCode::OK, &RelayList { keys: ctx.app.engine.relays().list() }))
}

pub(crate) const ADD: Operation = Operation::new(Tag::Relays, "Add a relay")
    .more(REFUSED)
    .takes::<RelayRequest>()
    .gives::<Outcome>(201)
    .fails(&[409, 502]);

/// `POST /auth/api-keys`
pub(crate) async fn add(ctx: RequestContext) -> HandlerResult {
    let AdminRequest { engine, body: request, .. } = read_json::<RelayRequest>(ctx).await?;
    let view = add_named(&engine, &request).await?;
    Ok(json(StatusCode::CREATED, &Outcome { success: true, added: 1, failed: 0, keys: vec![view] }))
}

pub(crate) const MODELS: Operation = Operation::new(Tag::Relays, "Ask for the models of a relay that is not added yet")
    .more(REFUSED)
    .takes::<RelayRequest>()
    .gives::<Listed>(200)
    .fails(&[502]);

/// `POST /auth/api-keys/models`: the models of a relay that is not added yet.
pub(crate) async fn models(ctx: RequestContext) -> HandlerResult {
    let AdminRequest { engine, body: request, .. } = read_json::<RelayRequest>(ctx).await?;
    let models =
        engine.relays().ask_models(&request.relay(ANY.to_owned())?).await.map_err(|error| rejection(&error))?;
    Ok(json(StatusCode::OK, &Listed::of(models)))
}

pub(crate) const EXPORT: Operation =
    Operation::new(Tag::Relays, "Export the relays, with their keys in clear text").gives::<Exported>(200);

/// `GET /auth/api-keys/export`: with the keys in clear text.
pub(crate) async fn export(ctx: RequestContext) -> HandlerResult {
    let relays = ctx.app.engine.relays().export();
    tracing::warn!(target: "audit", admin = admin_id(&ctx.caller), relays = relays.len(), "relays exported");
    Ok(json(StatusCode::OK, &Exported::of(relays)))
}

pub(crate) const IMPORT: Operation =
    Operation::new(Tag::Relays, "Add relays, each by itself").takes::<Import>().gives::<Imported>(200);

/// `POST /auth/api-keys/import`
pub(crate) async fn import(ctx: RequestContext) -> HandlerResult {
    let AdminRequest { engine, body: import, .. } = read_json::<Import>(ctx).await?;
    check_list_length(import.keys.len(), MOST, "keys")?;
    let mut done = Imported::default();
    for request in &import.keys {
        match add_named(&engine, request).await {
            Ok(_) => done.added += 1,
            Err(rejection) => done.fail(request.label(), rejection.failure.message),
        }
    }
    Ok(json(StatusCode::OK, &done.finish()))
}

pub(crate) const REMOVE_MANY: Operation =
    Operation::new(Tag::Relays, "Remove several relays").takes::<Batch>().gives::<Deleted>(200).fails(&[409]);

/// `POST /auth/api-keys/batch-delete`
pub(crate) async fn remove_many(ctx: RequestContext) -> HandlerResult {
    let AdminRequest { engine, body: batch, .. } = read_json::<Batch>(ctx).await?;
    check_list_length(batch.ids.len(), MOST, "ids")?;
    let mut deleted = 0;
    for id in &batch.ids {
        let removed = engine.relays().remove(id).await.map_err(|error| rejection(&error))?;
        deleted += usize::from(removed);
    }
    Ok(json(StatusCode::OK, &Deleted { success: true, deleted }))
}

pub(crate) const REMOVE: Operation = Operation::new(Tag::Relays, "Remove a relay").bare(204).fails(&[409]);

/// `DELETE /auth/api-keys/{id}`
pub(crate) async fn remove(ctx: RequestContext) -> HandlerResult {
    if ctx.app.engine.relays().remove(&ctx.param).await.map_err(|error| rejection(&error))? {
        return Ok(no_content(StatusCode::NO_CONTENT));
    }
    Err(rejection(&RelayError::Unknown))
}

pub(crate) const RENAME: Operation =
    Operation::new(Tag::Relays, "Rename a relay").takes::<Label>().gives::<RelayView>(200).fails(&[409]);

/// `PATCH /auth/api-keys/{id}/label`
pub(crate) async fn rename(ctx: RequestContext) -> HandlerResult {
    let AdminRequest { engine, param: id, body: label } = read_json::<Label>(ctx).await?;
    let name = Some(engine::slugify_relay_name(&label.label));
    change(&engine, &id, RelayChange { name, ..RelayChange::default() }).await
}

pub(crate) const SWITCH: Operation = Operation::new(Tag::Relays, "Switch a relay on or off")
    .takes::<SwitchRequest>()
    .gives::<RelayView>(200)
    .fails(&[409]);

/// `PATCH /auth/api-keys/{id}/status`
pub(crate) async fn switch(ctx: RequestContext) -> HandlerResult {
    let AdminRequest { engine, param: id, body: state } = read_json::<SwitchRequest>(ctx).await?;
    let enabled = Some(state.enabled());
    change(&engine, &id, RelayChange { enabled, ..RelayChange::default() }).await
}

pub(crate) const REKEY: Operation =
    Operation::new(Tag::Relays, "Give a relay another key").takes::<Key>().gives::<RelayView>(200).fails(&[409]);

/// `PATCH /auth/api-keys/{id}/key`
pub(crate) async fn rekey(ctx: RequestContext) -> HandlerResult {
    let AdminRequest { engine, param: id, body: key } = read_json::<Key>(ctx).await?;
    change(&engine, &id, RelayChange { key: Some(key.secret()), ..RelayChange::default() }).await
}

async fn change(engine: &Engine, id: &str, change: RelayChange) -> HandlerResult {
    let view = engine.relays().change(id, change).await.map_err(|error| rejection(&error))?;
    Ok(json(StatusCode::OK, &view))
}

/// Adds a relay under its name, or with a number appended where the name is taken and was not given explicitly.
async fn add_named(engine: &Engine, request: &RelayRequest) -> Result<RelayView, Rejection> {
    let name = request.label();
    let taken: Vec<String> = engine.relays().list().into_iter().map(|relay| relay.name).collect();
    let stem = &name[..name.floor_char_boundary(STEM)];
    let others = (2..=TRIES).map(|number| format!("{stem}-{number}"));
    let free = std::iter::once(name.clone()).chain(others).find(|name| !taken.contains(name));
    let chosen = free.filter(|_| !request.named()).unwrap_or(name);
    engine.relays().add(&request.relay(chosen)?).await.map_err(|error| rejection(&error))
}

fn rejection(error: &RelayError) -> Rejection {
    let (kind, status, code) = match error {
        RelayError::Invalid(_) => (Kind::Invalid, None, "invalid_relay"),
        RelayError::NameTaken(_) => (Kind::Invalid, Some(StatusCode::CONFLICT), "name_taken"),
        RelayError::KeyNeeded => (Kind::Invalid, Some(StatusCode::CONFLICT), "key_needed"),
        RelayError::File => (Kind::Invalid, Some(StatusCode::CONFLICT), "set_in_file"),
        RelayError::Unknown => (Kind::NotFound, None, "not_found"),
        RelayError::Status(401 | 403) | RelayError::Probe(ProbeError::Refused(_)) => {
            (Kind::Unauthorized, None, "relay_key_refused")
        }
        RelayError::Probe(_) | RelayError::Unreachable(_) | RelayError::Status(_) | RelayError::List(_) => {
            (Kind::Upstream, None, "relay_unreachable")
        }
        RelayError::Store(_) => return log_store_rejection("admin relays", error),
    };
    let failure = Failure::new(kind, error.to_string()).code(code);
    status.map_or_else(|| failure.clone().into(), |status| Rejection::with(status, failure.clone()))
}
