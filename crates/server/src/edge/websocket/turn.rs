//! One message of a client, from its bytes to a running reply.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use engine::{Reply, ReplyBody, ReplyStream};
use http::HeaderMap;
use proto::{Dialect, Failure, Json, Kind, Notes, Request};
use tokio::sync::OwnedSemaphorePermit;
use tokio_tungstenite::tungstenite::Message;
use wire_body::offload;

use super::frames::{message, messages};
use super::{SocketContext, metadata};
use crate::app::keyless;
use crate::auth::{Authenticator, credential};
use crate::client_info;
use crate::edge::run::{call, reply_permit, response_headers};
use crate::failure::{Panicked, catch_panic, log_failure, panic_rejection};
use crate::response::Rejection;
use crate::route::Route;

/// The only type of message.
const CREATE: &str = "response.create";

/// A running reply.
pub(super) struct RunningReply {
    /// The request's id.
    id: String,
    route: &'static Route,
    /// Events before the reply.
    pub(super) before: Vec<Message>,
    /// `None` for a reply that is already complete; all events of that reply are in `before`.
    stream: Option<Box<ReplyStream>>,
    /// The permit for a reply in progress.
    pub(super) _permit: OwnedSemaphorePermit,
}

impl RunningReply {
    /// The next bytes of the reply; `None` at its end.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Rejection>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(Ok(None)) };
        let polled = catch_unwind(AssertUnwindSafe(|| stream.poll_bytes(cx)));
        match polled {
            Ok(polled) => polled.map(Ok),
            Err(_payload) => Poll::Ready(Err(panic_rejection(&self.id, Some(self.route)))),
        }
    }

    /// Ends the reply with a failure, and returns the bytes that report it.
    pub(super) fn cut(&mut self, failure: &Failure) -> Bytes {
        self.stream.as_mut().map(|stream| stream.cut(failure)).unwrap_or_default()
    }
}

/// Serves a message, up to the commit of its reply. `id` is the request's id.
pub(super) async fn run(context: Arc<SocketContext>, body: Bytes, id: String) -> Result<RunningReply, Rejection> {
    let route = context.route;
    let opened = catch_panic(Box::pin(open_reply(context, body, &id)))
        .await
        .unwrap_or_else(|Panicked| Err(panic_rejection(&id, Some(route))));
    opened.inspect_err(|rejection| log_failure(&id, Some(route), rejection, Dialect::Responses))
}

async fn open_reply(context: Arc<SocketContext>, body: Bytes, id: &str) -> Result<RunningReply, Rejection> {
    let app = &context.app;
    let auth =
        Authenticator { engine: &app.engine, counters: &app.counters, keyless: keyless(app, &context.connection) };
    // The key may have been revoked since the connection began.
    let key = auth.check(credential(&context.headers, &[]), context.route.class).await?.usage_key();
    let permit = reply_permit(app)?;
    let (mut request, notes) = offload(body.len(), move || read(body)).await?;
    request.reply.stream = true;
    let mut client = client_info::read(&context.headers, id, None);
    metadata::read_turn_metadata(&mut client, &request);
    client.socket_history = Some(Arc::clone(&context.history));
    let codex = client.codex;
    let Reply { head, body } = call(app, (Dialect::Responses, key), client, (request, notes)).await?;
    let (stream, whole) = match body {
        ReplyBody::Stream(stream) => (Some(stream), Bytes::new()),
        ReplyBody::Whole(body) => (None, body),
    };
    let mut headers = response_headers(head);
    headers.extend(id.parse().ok().map(|id| (http::HeaderName::from_static("x-request-id"), id)));
    // Other clients get only the events of the public API, which has no event for headers. The official SDK for Python reads an unknown
    // event as the first event that it knows, an audio delta (3.52.0, measured on 2026-11-22).
    let mut first_messages = if codex { metadata::reply_events(&headers) } else { Vec::new() };
    first_messages.extend(messages(whole));
    Ok(RunningReply { id: id.to_owned(), route: context.route, before: first_messages, stream, _permit: permit })
}

/// Parses the request in a message.
fn read(body: Bytes) -> Result<(Request, Notes), Failure> {
    let read = Dialect::Responses.read_request(body.clone());
    let kind = proto::json::valid(&body).then(|| Json::from_valid(body).text("type"));
    match kind {
        None => read,
        Some(Some(kind)) if kind.is(CREATE) => read,
        Some(kind) => {
            let kind = kind.unwrap_or_default();
            let kind: String = kind.plain().chars().filter(char::is_ascii_graphic).take(64).collect();
            let hint = format!("Unknown message type '{kind}'; this WebSocket takes 'response.create'");
            Err(Failure::new(Kind::Invalid, hint).at("type").code("invalid_value"))
        }
    }
}

/// The error message for a rejected request.
pub(super) fn rejection_message(rejection: &Rejection) -> Message {
    let (status, _) = Dialect::Responses.error(&rejection.failure);
    let status = rejection.status.map_or(status, |status| status.as_u16());
    let mut headers: HeaderMap = (*rejection.headers).clone();
    if let Some(seconds) = rejection.failure.retry_after {
        headers.insert(http::header::RETRY_AFTER, seconds.into());
    }
    let pairs = headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    message(proto::dialect::responses::refusal(&rejection.failure, status, pairs))
}
