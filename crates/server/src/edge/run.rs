//! A model call: body, request, engine, reply.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use engine::{Call, Client, Head, KeyId, Refusal, Reply, ReplyBody, ReplyStream};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use pool::catalog::Resolved;
use proto::dialect::responses::compact::is_compaction_request;
use proto::{Dialect, Failure, Kind, Notes, Request};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use wire_body::offload;

use crate::app::App;
use crate::body::{self, BodyError};
use crate::client_info;
use crate::connection::state::ConnectionState;
use crate::guard::Counters;
use crate::response::{Body, BodySource, HandlerResult, Rejection, StreamAborted, StreamBody, json};
use crate::route::RequestContext;

/// Serves a model call in the route's dialect.
pub(crate) async fn run(ctx: RequestContext, subagent: Option<&str>) -> HandlerResult {
    let (call, body) = receive(ctx).await?;
    let (request, notes) = call.read(body).await?;
    call.answer(request, notes, subagent).await
}

/// A call whose body has been read, with its permit for a reply.
pub(crate) struct ModelCall {
    pub(crate) app: Arc<App>,
    pub(crate) dialect: Dialect,
    /// The caller's key.
    pub(crate) key: KeyId,
    /// The request's id.
    pub(crate) id: String,
    connection: Arc<ConnectionState>,
    parts: Parts,
    permit: OwnedSemaphorePermit,
}

/// Reads the body, then takes a permit: a slow body must not hold a permit, over HTTP as over a WebSocket.
pub(crate) async fn receive(ctx: RequestContext) -> Result<(ModelCall, Bytes), Rejection> {
    let RequestContext { app, connection, parts, body, dialect, id, caller, .. } = ctx;
    let body = body::read(&parts.headers, body, &app.settings.limits, &app.budget).await.map_err(|broken| {
        if broken == BodyError::Full {
            Counters::add(&app.counters.overloaded);
        }
        Failure::from(broken)
    })?;
    let (key, permit) = (caller.usage_key(), reply_permit(&app)?);
    Ok((ModelCall { app, dialect, key, id, connection, parts, permit }, body))
}

/// A permit for a reply in progress.
pub(crate) fn reply_permit(app: &App) -> Result<OwnedSemaphorePermit, Failure> {
    app.replies.clone().try_acquire_owned().map_err(|_| {
        Failure::new(Kind::Overloaded, "Too many replies are in progress").code("overloaded").retry_after(1)
    })
}

impl ModelCall {
    /// Parses the request in a body.
    pub(crate) async fn read(&self, body: Bytes) -> Result<(Request, Notes), Failure> {
        let dialect = self.dialect;
        offload(body.len(), move || dialect.read_request(body)).await
    }

    /// Calls the engine and returns its reply. `subagent` is the Codex subagent that the path names.
    pub(crate) async fn answer(self, request: Request, notes: Notes, subagent: Option<&str>) -> HandlerResult {
        let stream_type = request.reply.stream.then(|| stream_type(self.dialect, request.reply.array));
        let Reply { head, body } = self.call((request, notes), subagent).await?;
        let body = match body {
            ReplyBody::Stream(stream) => Body::Stream(StreamBody::new(stream, Some(self.permit), &self.connection)),
            ReplyBody::Whole(body) => Body::from(body),
        };
        Ok(respond(response_headers(head), stream_type, body))
    }

    /// Calls the engine for a collected reply, which the request must ask for.
    pub(crate) async fn whole(
        self,
        asked: (Request, Notes),
        subagent: Option<&str>,
    ) -> Result<(Head, Bytes), Rejection> {
        match self.call(asked, subagent).await? {
            Reply { head, body: ReplyBody::Whole(body) } => Ok((head, body)),
            _ => Err(Failure::new(Kind::Internal, "The reply was not whole").into()),
        }
    }

    async fn call(&self, (request, notes): (Request, Notes), subagent: Option<&str>) -> Result<Reply, Rejection> {
        let client = client_info::read(&self.parts.headers, &self.id, subagent);
        call(&self.app, (self.dialect, self.key.clone()), client, (request, notes)).await
    }
}

/// Calls the engine.
pub(super) async fn call(
    app: &App,
    (dialect, key): (Dialect, KeyId),
    mut client: Client,
    (request, notes): (Request, Notes),
) -> Result<Reply, Rejection> {
    if is_compaction_request(&request) {
        client_info::mark_compaction(&mut client);
    }
    let call = Call { dialect, request, notes, key, client, memory: app.budget.request_memory() };
    // Boxed, because the engine's future is large until the reply begins.
    Box::pin(app.engine.run(call)).await.map_err(rejection)
}

/// The response to a request that the engine refused.
pub(super) fn rejection(refusal: Refusal) -> Rejection {
    Rejection { headers: Box::new(response_headers(*refusal.head)), ..refusal.failure.into() }
}

/// The media type of a stream.
fn stream_type(dialect: Dialect, array: bool) -> &'static str {
    match dialect {
        Dialect::Ollama => "application/x-ndjson",
        Dialect::Gemini if array => "application/json",
        _ => "text/event-stream",
    }
}

/// A reply as a response; `stream_type` is the media type of a stream, and `None` for a JSON body.
fn respond(mut headers: HeaderMap, stream_type: Option<&'static str>, body: Body) -> Response<Body> {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(stream_type.unwrap_or("application/json")));
    if stream_type.is_some() {
        headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    }
    let mut response = Response::new(body);
    *response.headers_mut() = headers;
    response
}

/// A JSON response about a model that is not called; its headers describe the resolved name like those of a reply.
pub(super) fn json_about_model<T: Serialize>(resolved: &Resolved, value: &T) -> Response<Body> {
    let mut response = json(StatusCode::OK, value);
    response.headers_mut().extend(response_headers(Head::of(resolved, Notes::default())));
    response
}

/// The headers with the account, model and notes of a reply.
pub(crate) fn response_headers(head: Head) -> HeaderMap {
    let mut headers = head.headers;
    let notes = head.notes.header();
    let account = head.account.as_ref().map(|account| account.0.as_str());
    let attempts = if head.attempts > 1 { head.attempts.to_string() } else { String::new() };
    let fallback =
        head.fallback.map(|fallback| ascii(&format!("{} -> {}; {}", fallback.from, fallback.to, fallback.why)));
    // A date in the format of a structured field (RFC 9745, section 2.1).
    let deprecated = format!("@{}", pool::catalog::RETIRED);
    let own_headers = [
        ("x-polygate-fallback", fallback.as_deref().unwrap_or_default()),
        ("x-polygate-account", head.relay.as_deref().or(account).unwrap_or_default()),
        ("x-polygate-model", head.model.as_str()),
        ("x-polygate-notes", notes.as_str()),
        ("x-polygate-attempts", attempts.as_str()),
        ("deprecation", head.retired_from.map(|_| deprecated.as_str()).unwrap_or_default()),
    ];
    for (name, value) in own_headers.into_iter().filter(|(_, value)| !value.is_empty()) {
        headers.extend(HeaderValue::from_str(value).ok().map(|value| (HeaderName::from_static(name), value)));
    }
    headers
}

/// Replaces characters that a header cannot hold, because a client's model name may be anything.
fn ascii(text: &str) -> String {
    text.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }).collect()
}

impl BodySource for ReplyStream {
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, StreamAborted>>> {
        Self::poll_bytes(self, cx).map(|bytes| bytes.map(Ok))
    }

    fn cut(&mut self, failure: &Failure) -> Result<Bytes, StreamAborted> {
        Ok(Self::cut(self, failure))
    }
}

#[cfg(test)]
mod tests;
