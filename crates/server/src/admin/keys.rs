//! Client keys: made, listed, taken back. Admin tokens are made on the command line only, where their owner already is: a stolen
//! token must not be able to make its own successor.

use engine::{KeyError, NewKey};
use http::StatusCode;
use pool::Millis;
use pool::hosted::Hosted;
use pool::keys::{Key, KeyKind, Scopes};
use proto::{Failure, Kind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::input::{self, Input};
use crate::operation::{Operation, Topic};
use crate::reply::{Answer, Denied, bare, json};
use crate::route::Ask;

/// Longest name of a key, characters.
const NAME: usize = 64;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewKey)]
struct Wish {
    /// Its owner's name for it, 1 to 64 characters.
    name: String,
    /// When it ends; never, when left out.
    #[serde(default)]
    expires: Option<Millis>,
    /// Hosted tools that its requests get without asking, none for an empty list; left to the settings, when left out.
    #[serde(default)]
    default_tools: Option<Vec<Hosted>>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = KeyChange)]
struct Change {
    /// Hosted tools that the key's requests get without asking, none for an empty list; null leaves them to the settings.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required)]
    default_tools: Option<Vec<Hosted>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = KeyMade)]
struct Made {
    id: String,
    name: String,
    /// Shown this once.
    key: String,
    expires: Option<Millis>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Keys)]
struct List {
    keys: Vec<Entry>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Key)]
struct Entry {
    id: String,
    kind: KeyKind,
    name: String,
    /// What an admin token may do: `read`, `write`, `export`.
    scopes: Vec<&'static str>,
    created: Millis,
    expires: Option<Millis>,
    revoked: Option<Millis>,
    /// Hosted tools that its requests get without asking; null leaves them to the settings.
    default_tools: Option<Vec<Hosted>>,
}

impl From<Key> for Entry {
    fn from(key: Key) -> Self {
        Self {
            id: key.id,
            kind: key.kind,
            name: key.name,
            scopes: key.scopes.iter().map(pool::keys::Scope::name).collect(),
            created: key.created,
            expires: key.expires,
            revoked: key.revoked,
            default_tools: key.tools,
        }
    }
}

/// Of [`list`].
pub(crate) const LIST: Operation =
    Operation::new(Topic::Keys, "List client keys and admin tokens, without their texts").gives::<List>(200);

/// `GET /admin/keys`
pub(crate) async fn list(ask: Ask) -> Answer {
    Ok(json(StatusCode::OK, &List { keys: ask.app.engine.keys().list().into_iter().map(Entry::from).collect() }))
}

/// Of [`create`].
pub(crate) const CREATE: Operation =
    Operation::new(Topic::Keys, "Make a client key; its text is shown this once").takes::<Wish>().gives::<Made>(201);

/// `POST /admin/keys` with `{"name": "...", "expires": <Unix ms>}`
pub(crate) async fn create(ask: Ask) -> Answer {
    let Input { engine, body: wish, .. } = input::read::<Wish>(ask).await?;
    let name = wish.name.trim();
    if name.is_empty() || name.chars().count() > NAME || name.chars().any(char::is_control) {
        return Err(Failure::new(Kind::Invalid, "A key's name has 1 to 64 characters").at("name").into());
    }
    let (name, expires) = (name.to_owned(), wish.expires);
    let tools = wish.default_tools.as_deref().map(each_once);
    let new = NewKey { name: name.clone(), kind: KeyKind::Client, scopes: Scopes::default(), expires, tools };
    let made = engine.keys().create(new).await.map_err(|error| failed(&error))?;
    let key = made.text.expose().to_owned();
    Ok(json(StatusCode::CREATED, &Made { id: made.id, name, key, expires }))
}

/// Of [`change`].
pub(crate) const CHANGE: Operation =
    Operation::new(Topic::Keys, "Set what a client key's requests get without asking").takes::<Change>().bare(204);

/// `PATCH /admin/keys/{id}` with `{"default_tools": [...] or null}`
pub(crate) async fn change(ask: Ask) -> Answer {
    let Input { engine, param: id, body: Change { default_tools } } = input::read(ask).await?;
    let tools = default_tools.as_deref().map(each_once);
    if engine.keys().equip(&id, tools.as_deref()).await.map_err(|error| failed(&error))? {
        return Ok(bare(StatusCode::NO_CONTENT));
    }
    Err(Failure::new(Kind::NotFound, "No client key has this id").into())
}

fn each_once(tools: &[Hosted]) -> Vec<Hosted> {
    Hosted::ALL.into_iter().filter(|tool| tools.contains(tool)).collect()
}

/// Of [`revoke`].
pub(crate) const REVOKE: Operation = Operation::new(Topic::Keys, "Take a client key or an admin token back").bare(204);

/// `DELETE /admin/keys/{id}`
pub(crate) async fn revoke(ask: Ask) -> Answer {
    let id = ask.param;
    if ask.app.engine.keys().revoke(&id).await.map_err(|error| failed(&error))? {
        return Ok(bare(StatusCode::NO_CONTENT));
    }
    Err(Failure::new(Kind::NotFound, "No key has this id").into())
}

fn failed(error: &KeyError) -> Denied {
    tracing::error!(%error, "admin keys");
    Failure::new(Kind::Internal, "The store failed; see the log").into()
}
