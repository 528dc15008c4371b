//! Ollama's own API. A model is never loaded, pulled or deleted here; such requests are answered at once or refused clearly.

mod embed;
mod models;

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use proto::dialect::ollama::{self, RequestKind};
use proto::framing::line_ends;
use proto::{Failure, Kind};
use serde::Serialize;
use wire_body::offload;

use super::run::{ModelCall, receive};
use crate::response::{Body, HandlerResult, Rejection, json, json_bytes};
use crate::route::RequestContext;

pub(crate) use embed::{embed, embeddings};
pub(crate) use models::{ps, show, tags};

#[derive(Serialize)]
struct Version<'a> {
    version: &'a str,
}

/// `GET /`: the text by which clients detect that Ollama runs.
pub(crate) async fn root(_ask: RequestContext) -> HandlerResult {
    let mut response = Response::new(Body::from(Bytes::from_static(b"Ollama is running")));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    Ok(response)
}

/// `GET /api/version`
pub(crate) async fn version(ctx: RequestContext) -> HandlerResult {
    Ok(json(StatusCode::OK, &Version { version: &ctx.app.settings.ollama.version }))
}

/// `POST /api/chat`
pub(crate) async fn chat(ctx: RequestContext) -> HandlerResult {
    call(ctx, false).await
}

/// `POST /api/generate`
pub(crate) async fn generate(ctx: RequestContext) -> HandlerResult {
    call(ctx, true).await
}

async fn call(ctx: RequestContext, generate: bool) -> HandlerResult {
    let image_objects = reads_image_objects(&ctx.parts.headers);
    let (call, body) = receive(ctx).await?;
    match offload(body.len(), move || ollama::read(&body, generate)).await? {
        RequestKind::Reply(mut request, notes) => {
            request.reply.image_objects = image_objects;
            request.model = request.model.map(|name| catalog_name(&call, &name));
            call.answer(*request, notes, None).await
        }
        RequestKind::Load { model, unload, stream } => {
            call.app.engine.models().resolve(Some(&catalog_name(&call, &model)))?;
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let body = ollama::loaded(&model, generate, unload, now.as_secs());
            Ok(loaded(&body, stream))
        }
    }
}

/// Whether the client reads images as objects. Ollama's official client for Python raises an error for strings, which the clients for Go
/// and JavaScript read (`ollama` 0.6.3 on `PyPI`, read in its source on 2026-11-23).
fn reads_image_objects(headers: &HeaderMap) -> bool {
    headers.get(USER_AGENT).is_some_and(|agent| agent.as_bytes().starts_with(b"ollama-python/"))
}

/// The response to a load request, as a stream of one line if the client expects a stream.
fn loaded(body: &Bytes, stream: bool) -> Response<Body> {
    if !stream {
        return json_bytes(StatusCode::OK, body.clone());
    }
    let mut line = BytesMut::from(&[body, &b"\n"[..]].concat()[..]);
    line_ends::escape(&mut line, 0, None);
    let mut response = json_bytes(StatusCode::OK, line.freeze());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    response
}

/// A model's name without `:latest`, which Ollama's clients add to names without a tag, unless a model has the name with the tag.
fn catalog_name(call: &ModelCall, name: &str) -> String {
    without_latest_tag(name, |name| call.app.engine.models().resolve(Some(name)).is_ok()).unwrap_or(name).to_owned()
}

/// The name without `:latest`, if only the name without the tag is known.
fn without_latest_tag(name: &str, known: impl Fn(&str) -> bool) -> Option<&str> {
    let bare = name.strip_suffix(":latest").filter(|bare| !bare.is_empty())?;
    (!known(name) && known(bare)).then_some(bare)
}

/// Model management of a real Ollama: pull, push, create, copy, delete, blobs.
pub(crate) async fn not_implemented(_ask: RequestContext) -> HandlerResult {
    Err(not_implemented_rejection(
        "Models are not kept here and cannot be pulled, made, copied or deleted; GET /api/tags lists those that answer",
    ))
}

fn not_implemented_rejection(message: &str) -> Rejection {
    // Not a 5xx, because clients retry those.
    Failure::new(Kind::Invalid, message).code("not_implemented").into()
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};
    use rstest::rstest;

    use super::{USER_AGENT, reads_image_objects, without_latest_tag};

    #[rstest]
    #[case::python("ollama-python/0.6.3 (x86_64 linux) Python/3.12.1", true)]
    #[case::javascript("ollama-js/0.6.3 (x64 linux Node.js/v24.1.0)", false)]
    #[case::go("ollama/0.12.0 (amd64 linux) Go/go1.25.1", false)]
    #[case::other("my-app ollama-python/0.6.3", false)]
    fn the_client_for_python_reads_objects(#[case] agent: &'static str, #[case] objects: bool) {
        let headers = HeaderMap::from_iter([(USER_AGENT, HeaderValue::from_static(agent))]);
        assert_eq!(reads_image_objects(&headers), objects);
        assert!(!reads_image_objects(&HeaderMap::new()));
    }

    #[test]
    fn the_usual_tag_is_taken_off_names_that_have_none() {
        let known = |name: &str| matches!(name, "sol" | "llama:latest" | "llama");
        assert_eq!(without_latest_tag("sol:latest", known), Some("sol"));
        for name in ["sol", "llama:latest", "other:latest", ":latest", "sol:7b"] {
            assert_eq!(without_latest_tag(name, known), None, "{name}");
        }
    }
}
