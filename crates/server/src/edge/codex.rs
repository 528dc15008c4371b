//! Codex's own paths: what its command line, app and IDE extension ask of their backend beside model calls. Each stands under the
//! three names that they have for it (`/backend-api/wham/...`, `/wham/...`, `/api/codex/...`). The answers are the whole pool's, not
//! one account's; docs/codex.md says what they mean.

pub(crate) mod account;
pub(crate) mod empty;
pub(crate) mod limits;

use http::header::{ETAG, IF_NONE_MATCH};
use http::{HeaderValue, StatusCode};
use pool::limits as bounds;
use proto::{Failure, Kind};

use crate::query;
use crate::response::{HandlerResult, json_bytes, no_content};
use crate::route::RequestContext;

/// `GET .../models?client_version=`: every model in Codex's own shape, as its version is told of them; 304 when the client has the list.
pub(crate) async fn models(ctx: RequestContext) -> HandlerResult {
    let version = query::one(&ctx.parts, "client_version");
    let list = ctx.app.engine.models().codex(version.as_deref(), bounds::EDITION_WAIT).await;
    let known = ctx.parts.headers.get_all(IF_NONE_MATCH).iter().any(|etag| etag.as_bytes() == list.etag.as_bytes());
    let mut response = if known { no_content(StatusCode::NOT_MODIFIED) } else { json_bytes(StatusCode::OK, list.body) };
    response.headers_mut().extend(HeaderValue::from_str(&list.etag).ok().map(|etag| (ETAG, etag)));
    Ok(response)
}

/// What only the real backend has, such as its plug-ins, voice calls, summaries of traces and mails to a workspace's owner: not there,
/// which the client takes for an answer. It repeats no 404 there, and goes on with its work.
pub(crate) async fn absent(_ask: RequestContext) -> HandlerResult {
    Err(Failure::new(Kind::NotFound, "This gateway has no such thing").code("not_found").into())
}
