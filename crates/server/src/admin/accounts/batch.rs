//! Batch calls for accounts. A change is stored for all accounts or for none; the reply has the outcome of each id.

use engine::{Batch, TagChange};
use http::StatusCode;
use proto::{Failure, Kind};
use serde::Serialize;

use super::rejection;
use super::wire::{BatchUpdateReply, Ids, Labels, RefreshReply, States, TagChanges};
use crate::admin::input::{AdminRequest, check_list_length, read_json};
use crate::admin::output::Removed;
use crate::operation::{Operation, Tag};
use crate::response::{HandlerResult, json as answer};
use crate::route::RequestContext;

/// The most accounts in one call.
pub(in crate::admin) const MOST: usize = 10_000;

pub(crate) const REMOVE: Operation =
    Operation::new(Tag::Accounts, "Forget several accounts").takes::<Ids>().gives::<Removed>(200);

/// `POST /auth/accounts/batch-delete` with `{"ids": [...]}`
pub(crate) async fn remove(ctx: RequestContext) -> HandlerResult {
    let AdminRequest { engine, body, .. } = read_json::<Ids>(ctx).await?;
    check_list_length(body.ids.len(), MOST, "ids")?;
    let batch = engine.accounts().remove(&body.ids).await.map_err(|error| rejection(&error))?;
    Ok(batch_reply::<Removed>(batch))
}

pub(crate) const SWITCH: Operation =
    Operation::new(Tag::Accounts, "Switch accounts on or off").takes::<States>().gives::<BatchUpdateReply>(200);

/// `POST /auth/accounts/batch-status` with `{"ids": [...], "status": "active" | "disabled"}`
pub(crate) async fn switch(ctx: RequestContext) -> HandlerResult {
    let AdminRequest { engine, body, .. } = read_json::<States>(ctx).await?;
    check_list_length(body.ids.len(), MOST, "ids")?;
    let batch = engine.accounts().switch(&body.ids, body.status.on()).await.map_err(|error| rejection(&error))?;
    Ok(batch_reply::<BatchUpdateReply>(batch))
}

pub(crate) const RENAME: Operation =
    Operation::new(Tag::Accounts, "Name several accounts").takes::<Labels>().gives::<BatchUpdateReply>(200);

/// `POST /auth/accounts/batch-label` with `{"ids": [...], "label": "..." | null}`
pub(crate) async fn rename(ctx: RequestContext) -> HandlerResult {
    let AdminRequest { engine, body, .. } = read_json::<Labels>(ctx).await?;
    check_list_length(body.ids.len(), MOST, "ids")?;
    let batch = engine.accounts().label(&body.ids, body.label.as_deref()).await.map_err(|error| rejection(&error))?;
    Ok(batch_reply::<BatchUpdateReply>(batch))
}

pub(crate) const TAG: Operation = Operation::new(Tag::Accounts, "Change the tags of several accounts")
    .takes::<TagChanges>()
    .gives::<BatchUpdateReply>(200);

/// `POST /auth/accounts/batch-tags` with `{"ids": [...], "tags": [...]}`, or with `"add": [...]` and `"remove": [...]`
pub(crate) async fn tag(ctx: RequestContext) -> HandlerResult {
    let AdminRequest { engine, body, .. } = read_json::<TagChanges>(ctx).await?;
    check_list_length(body.ids.len(), MOST, "ids")?;
    let change = match (body.tags, body.add, body.remove) {
        (Some(tags), None, None) => TagChange::Set(tags),
        (None, None, None) | (Some(_), ..) => {
            let words = "Give tags, which replace those that are there, or add and remove, which change them";
            return Err(Failure::new(Kind::Invalid, words).into());
        }
        (None, add, remove) => TagChange::Edit { add: add.unwrap_or_default(), remove: remove.unwrap_or_default() },
    };
    let batch = engine.accounts().tag(&body.ids, change).await.map_err(|error| rejection(&error))?;
    Ok(batch_reply::<BatchUpdateReply>(batch))
}

pub(crate) const REFRESH: Operation = Operation::new(Tag::Accounts, "Refresh the tokens of several accounts now")
    .takes::<Ids>()
    .gives::<RefreshReply>(200);

/// `POST /auth/accounts/batch-refresh` with `{"ids": [...]}`
pub(crate) async fn refresh(ctx: RequestContext) -> HandlerResult {
    let AdminRequest { engine, body, .. } = read_json::<Ids>(ctx).await?;
    check_list_length(body.ids.len(), MOST, "ids")?;
    Ok(batch_reply::<RefreshReply>(engine.accounts().refresh_each(&body.ids).await))
}

/// The reply with the outcome of each id.
fn batch_reply<T: From<Batch> + Serialize>(batch: Batch) -> http::Response<crate::response::Body> {
    answer(StatusCode::OK, &T::from(batch))
}
