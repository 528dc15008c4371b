//! Creates, lists and revokes client keys. Admin tokens are only created on the command line, so that a stolen token cannot create another
//! one.

use engine::NewKey;
use http::StatusCode;
use pool::Millis;
use pool::hosted::Hosted;
use pool::keys::{Key, KeyKind, Scopes};
use proto::{Failure, Kind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::input::{self, AdminRequest};
use crate::failure::log_store_rejection;
use crate::operation::{Operation, Tag};
use crate::response::{HandlerResult, json, no_content};
use crate::route::RequestContext;

/// Longest name of a key, characters.
const NAME: usize = 64;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewKey)]
struct CreateRequest {
    /// The owner's name for the key, 1 to 64 characters.
    name: String,
    /// When the key expires; never if left out.
    expires: Option<Millis>,
    /// Hosted tools that are added to the key's requests, none for an empty list; the settings decide if this is left out.
    default_tools: Option<Vec<Hosted>>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = KeyChange)]
struct ChangeRequest {
    /// Hosted tools that are added to the key's requests, none for an empty list; with null, the settings decide.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required)]
    default_tools: Option<Vec<Hosted>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = KeyMade)]
struct CreatedKey {
    id: String,
    name: String,
    /// The key's text, which is shown only once.
    key: String,
    expires: Option<Millis>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Keys)]
struct KeyList {
    keys: Vec<KeyView>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Key)]
struct KeyView {
    id: String,
    kind: KeyKind,
    name: String,
    /// The scopes of an admin token: `read`, `write`, `export`.
    scopes: Vec<&'static str>,
    created: Millis,
    expires: Option<Millis>,
    revoked: Option<Millis>,
    /// Hosted tools that are added to the key's requests; with null, the settings decide.
    default_tools: Option<Vec<Hosted>>,
}

impl From<Key> for KeyView {
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

pub(crate) const LIST: Operation =
    Operation::new(Tag::Keys, "List client keys and admin tokens, without their texts").gives::<KeyList>(200);

/// `GET /admin/keys`
pub(crate) async fn list(ctx: RequestContext) -> HandlerResult {
    Ok(json(StatusCode::OK, &KeyList { keys: ctx.app.engine.keys().list().into_iter().map(KeyView::from).collect() }))
}

pub(crate) const CREATE: Operation = Operation::new(Tag::Keys, "Create a client key; its text is shown only once")
    .takes::<CreateRequest>()
    .gives::<CreatedKey>(201);

/// `POST /admin/keys` with `{"name": "...", "expires": <Unix ms>}`
pub(crate) async fn create(ctx: RequestContext) -> HandlerResult {
    let AdminRequest { engine, body: request, .. } = input::read_json::<CreateRequest>(ctx).await?;
    let name = request.name.trim();
    if name.is_empty() || name.chars().count() > NAME || name.chars().any(char::is_control) {
        return Err(Failure::new(Kind::Invalid, "A key's name has 1 to 64 characters").at("name").into());
    }
    let (name, expires) = (name.to_owned(), request.expires);
    let tools = request.default_tools.as_deref().map(deduplicated);
    let new = NewKey { name: name.clone(), kind: KeyKind::Client, scopes: Scopes::default(), expires, tools };
    let made = engine.keys().create(new).await.map_err(|error| log_store_rejection("admin keys", &error))?;
    let key = made.text.expose().to_owned();
    Ok(json(StatusCode::CREATED, &CreatedKey { id: made.id, name, key, expires }))
}

pub(crate) const CHANGE: Operation =
    Operation::new(Tag::Keys, "Set a client key's default tools").takes::<ChangeRequest>().bare(204);

/// `PATCH /admin/keys/{id}` with `{"default_tools": [...] or null}`
pub(crate) async fn change(ctx: RequestContext) -> HandlerResult {
    let AdminRequest { engine, param: id, body: ChangeRequest { default_tools } } = input::read_json(ctx).await?;
    let tools = default_tools.as_deref().map(deduplicated);
    if engine
        .keys()
        .set_tools(&id, tools.as_deref())
        .await
        .map_err(|error| log_store_rejection("admin keys", &error))?
    {
        return Ok(no_content(StatusCode::NO_CONTENT));
    }
    Err(Failure::new(Kind::NotFound, "No client key has this id").into())
}

fn deduplicated(tools: &[Hosted]) -> Vec<Hosted> {
    Hosted::ALL.into_iter().filter(|tool| tools.contains(tool)).collect()
}

pub(crate) const REVOKE: Operation = Operation::new(Tag::Keys, "Revoke a client key or an admin token").bare(204);

/// `DELETE /admin/keys/{id}`
pub(crate) async fn revoke(ctx: RequestContext) -> HandlerResult {
    let id = ctx.param;
    if ctx.app.engine.keys().revoke(&id).await.map_err(|error| log_store_rejection("admin keys", &error))? {
        return Ok(no_content(StatusCode::NO_CONTENT));
    }
    Err(Failure::new(Kind::NotFound, "No key has this id").into())
}
