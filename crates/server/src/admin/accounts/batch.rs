//! The same for many accounts at once. What is stored is stored for all of them or for none; each answer says of every id what
//! became of it.

use engine::{Batch, TagChange};
use http::StatusCode;
use proto::{Failure, Kind};
use serde::Serialize;

use super::denied;
use super::wire::{Edited, Ids, Labels, Marks, Renewed, States};
use crate::admin::input::{Input, bounded, read};
use crate::admin::output::Removed;
use crate::operation::{Operation, Topic};
use crate::reply::{Answer, json as answer};
use crate::route::Ask;

/// Most accounts of one call.
pub(in crate::admin) const MOST: usize = 10_000;

/// Of [`remove`].
pub(crate) const REMOVE: Operation =
    Operation::new(Topic::Accounts, "Forget several accounts").takes::<Ids>().gives::<Removed>(200);

/// `POST /auth/accounts/batch-delete` with `{"ids": [...]}`
pub(crate) async fn remove(ask: Ask) -> Answer {
    let Input { engine, body, .. } = read::<Ids>(ask).await?;
    bounded(body.ids.len(), MOST, "ids")?;
    let batch = engine.accounts().remove(&body.ids).await.map_err(|error| denied(&error))?;
    Ok(told::<Removed>(batch))
}

/// Of [`switch`].
pub(crate) const SWITCH: Operation =
    Operation::new(Topic::Accounts, "Switch accounts on or off").takes::<States>().gives::<Edited>(200);

/// `POST /auth/accounts/batch-status` with `{"ids": [...], "status": "active" | "disabled"}`
pub(crate) async fn switch(ask: Ask) -> Answer {
    let Input { engine, body, .. } = read::<States>(ask).await?;
    bounded(body.ids.len(), MOST, "ids")?;
    let batch = engine.accounts().switch(&body.ids, body.status.on()).await.map_err(|error| denied(&error))?;
    Ok(told::<Edited>(batch))
}

/// Of [`rename`].
pub(crate) const RENAME: Operation =
    Operation::new(Topic::Accounts, "Name several accounts").takes::<Labels>().gives::<Edited>(200);

/// `POST /auth/accounts/batch-label` with `{"ids": [...], "label": "..." | null}`
pub(crate) async fn rename(ask: Ask) -> Answer {
    let Input { engine, body, .. } = read::<Labels>(ask).await?;
    bounded(body.ids.len(), MOST, "ids")?;
    let batch = engine.accounts().label(&body.ids, body.label.as_deref()).await.map_err(|error| denied(&error))?;
    Ok(told::<Edited>(batch))
}

/// Of [`tag`].
pub(crate) const TAG: Operation =
    Operation::new(Topic::Accounts, "Change the tags of several accounts").takes::<Marks>().gives::<Edited>(200);

/// `POST /auth/accounts/batch-tags` with `{"ids": [...], "tags": [...]}`, or with `"add": [...]` and `"remove": [...]`
pub(crate) async fn tag(ask: Ask) -> Answer {
    let Input { engine, body, .. } = read::<Marks>(ask).await?;
    bounded(body.ids.len(), MOST, "ids")?;
    let change = match (body.tags, body.add, body.remove) {
        (Some(tags), None, None) => TagChange::Set(tags),
        (None, None, None) | (Some(_), ..) => {
            let words = "Give tags, which replace those that are there, or add and remove, which change them";
            return Err(Failure::new(Kind::Invalid, words).into());
        }
        (None, add, remove) => TagChange::Edit { add: add.unwrap_or_default(), remove: remove.unwrap_or_default() },
    };
    let batch = engine.accounts().tag(&body.ids, change).await.map_err(|error| denied(&error))?;
    Ok(told::<Edited>(batch))
}

/// Of [`refresh`].
pub(crate) const REFRESH: Operation =
    Operation::new(Topic::Accounts, "Refresh the tokens of several accounts now").takes::<Ids>().gives::<Renewed>(200);

/// `POST /auth/accounts/batch-refresh` with `{"ids": [...]}`
pub(crate) async fn refresh(ask: Ask) -> Answer {
    let Input { engine, body, .. } = read::<Ids>(ask).await?;
    bounded(body.ids.len(), MOST, "ids")?;
    Ok(told::<Renewed>(engine.accounts().refresh_each(&body.ids).await))
}

/// What became of each.
fn told<T: From<Batch> + Serialize>(batch: Batch) -> http::Response<crate::reply::Body> {
    answer(StatusCode::OK, &T::from(batch))
}
