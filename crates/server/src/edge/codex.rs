//! Codex's own paths: the calls of its command line, app and IDE extension besides model calls. Each path has three names
//! (`/backend-api/wham/...`, `/wham/...`, `/api/codex/...`). The responses are about the whole pool, not one account; see docs/codex.md.

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

/// `GET .../models?client_version=`: every model in Codex's own format, for the client's version; 304 if the client has the list.
pub(crate) async fn models(ctx: RequestContext) -> HandlerResult {
    let version = query::single(&ctx.parts, "client_version");
    let list = ctx.app.engine.models().codex(version.as_deref(), bounds::CLIENT_VERSION_WAIT).await;
    let known = ctx.parts.headers.get_all(IF_NONE_MATCH).iter().any(|etag| etag.as_bytes() == list.etag.as_bytes());
    let mut response = if known { no_content(StatusCode::NOT_MODIFIED) } else { json_bytes(StatusCode::OK, list.body) };
    response.headers_mut().extend(HeaderValue::from_str(&list.etag).ok().map(|etag| (ETAG, etag)));
    Ok(response)
}

/// Features of the real backend only, such as plug-ins, voice calls, trace summaries and mails to a workspace's owner: 404. The client
/// accepts a 404, does not repeat the call, and continues.
pub(crate) async fn unsupported(_ask: RequestContext) -> HandlerResult {
    Err(Failure::new(Kind::NotFound, "This gateway has no such thing").code("not_found").into())
}
