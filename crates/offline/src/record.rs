//! The record: every request with its answer, and the client's protocol violations.

mod offence;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::Instant;

pub use self::offence::Violation;
use crate::plan::Endpoint;

/// One request and its answer.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RecordedRequest {
    /// Counted from 1 in order of arrival.
    pub id: u64,
    /// The request's connection, counted from 1.
    pub connection: u64,
    /// The client's address.
    pub peer: Option<SocketAddr>,
    /// Time of arrival (headers read) since the backend's start; milliseconds in JSON.
    #[serde(serialize_with = "millis")]
    pub at: Duration,
    /// The endpoint.
    pub place: Endpoint,
    /// `GET`, `POST`, ...; `WS` for a turn of a socket.
    pub method: String,
    /// The path without the query.
    pub path: String,
    /// The query without the `?`.
    pub query: Option<String>,
    /// The headers with lower-case names, in order of arrival; a turn of a socket has none.
    pub headers: Vec<(String, String)>,
    /// The decoded body; empty after the record dropped the body for space.
    #[serde(skip)]
    pub body: Bytes,
    /// The body's length on the wire.
    pub wire_length: usize,
    /// The account of the bearer token; for a relay, the presented key.
    pub account: Option<String>,
    /// The text of the last user message, model requests only.
    pub prompt: Option<String>,
    /// The answer's status; `None` before the answer starts.
    pub status: Option<u16>,
    /// Body bytes written to the connection.
    pub sent: u64,
    /// Pings that the client answered during pauses.
    pub pongs: u64,
    /// The end of the answer; `None` while the answer is open.
    pub ending: Option<RequestEnd>,
}

impl RecordedRequest {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; `Null` if the body is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The time when the client closed the connection before the answer's end.
    pub fn disconnected_at(&self) -> Option<Duration> {
        self.ending.filter(|ending| ending.left == EndKind::Client).map(|ending| ending.at)
    }
}

/// The end of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RequestEnd {
    /// The time since the backend's start; milliseconds in JSON.
    #[serde(serialize_with = "millis")]
    pub at: Duration,
    /// The cause of the end.
    pub left: EndKind,
}

fn millis<S: serde::Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// The cause of an answer's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EndKind {
    /// The answer was sent completely.
    Complete,
    /// The client closed the connection first.
    Client,
    /// The plan cut the answer.
    Cut,
}

/// One use of a refresh token.
#[derive(Clone, Debug, Serialize)]
pub struct Refresh {
    /// The id of the request with the token.
    pub request: u64,
    /// The token.
    pub token: String,
    /// The token's account.
    pub account: Option<String>,
    /// Whether the token was used before.
    pub reused: bool,
    /// `refresh_reason` of the body.
    pub reason: Option<String>,
}

/// A wait for a condition of the record timed out.
#[derive(Debug, thiserror::Error)]
#[error("the offline backend's record did not reach the condition within {0:?}")]
pub struct TimedOut(pub Duration);

/// All requests since the start or the last reset.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Record {
    /// Requests in order of arrival; above `Options::keep` the oldest are dropped.
    pub requests: VecDeque<RecordedRequest>,
    /// Uses of refresh tokens, in order.
    pub refreshes: Vec<Refresh>,
    /// Protocol violations, in order.
    pub offences: Vec<Violation>,
    /// The number of all requests, dropped ones included.
    pub total: u64,
    /// The number of accepted connections.
    pub connections: u64,
    /// The number of requests with an open answer, without open sockets.
    pub open: usize,
    /// The maximum of `open`.
    pub peak: usize,
}

impl Record {
    /// The requests to one endpoint.
    pub fn requests_to(&self, place: Endpoint) -> impl DoubleEndedIterator<Item = &RecordedRequest> + Clone {
        self.requests.iter().filter(move |seen| seen.place == place)
    }

    /// Model requests.
    pub fn model_requests(&self) -> impl Iterator<Item = &RecordedRequest> {
        self.requests_to(Endpoint::Responses)
    }

    /// The upgrades to WebSockets; an upgrade without an ending is an open socket.
    pub fn sockets(&self) -> impl Iterator<Item = &RecordedRequest> {
        self.requests_to(Endpoint::Socket)
    }

    /// Uses of the token endpoint.
    pub fn token_posts(&self) -> impl Iterator<Item = &RecordedRequest> {
        self.requests_to(Endpoint::Token)
    }

    fn find(&mut self, id: u64) -> Option<&mut RecordedRequest> {
        let first = self.requests.front()?.id;
        let index = usize::try_from(id.checked_sub(first)?).ok()?;
        self.requests.get_mut(index)
    }
}

/// Writes the record and wakes tests that wait.
pub(crate) struct Recorder {
    start: Instant,
    keep: usize,
    state: Mutex<RecordState>,
    changed: Notify,
}

#[derive(Default)]
struct RecordState {
    record: Record,
    next: u64,
    /// Bytes of the stored bodies.
    held: usize,
}

/// The maximum of stored body bytes; above it the oldest bodies are dropped.
const HELD: usize = 256 << 20;

impl Recorder {
    pub(crate) fn new(keep: usize) -> Self {
        Self { start: Instant::now(), keep, state: Mutex::default(), changed: Notify::new() }
    }

    pub(crate) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Adds the entry of a request. The answer owns the guard; a drop before the end means that the client disconnected.
    pub(crate) fn open(self: &Arc<Self>, seen: impl FnOnce(u64, Duration) -> RecordedRequest) -> RequestGuard {
        let at = self.now();
        let mut state = self.state.lock();
        state.next += 1;
        let id = state.next;
        let record = &mut state.record;
        let seen = seen(id, at);
        let counts = seen.place != Endpoint::Socket;
        record.requests.push_back(seen);
        record.total += 1;
        record.open += usize::from(counts);
        record.peak = record.peak.max(record.open);
        state.trim(self.keep);
        drop(state);
        self.changed.notify_waiters();
        RequestGuard { recorder: Arc::clone(self), id, sent: 0, left: EndKind::Client, counts }
    }

    pub(crate) fn edit(&self, id: u64, change: impl FnOnce(&mut RecordedRequest)) {
        let mut state = self.state.lock();
        if let Some(seen) = state.record.find(id) {
            change(seen);
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Stores the decoded body of a request.
    pub(crate) fn body(&self, id: u64, body: Bytes, wire_length: usize) {
        let mut state = self.state.lock();
        let length = body.len();
        if let Some(seen) = state.record.find(id) {
            seen.body = body;
            seen.wire_length = wire_length;
            state.held += length;
        }
        state.drop_bodies();
        drop(state);
        self.changed.notify_waiters();
    }

    pub(crate) fn connected(&self) -> u64 {
        let mut state = self.state.lock();
        state.record.connections += 1;
        state.record.connections
    }

    pub(crate) fn record_offence(&self, offence: Violation) {
        tracing::warn!(?offence, "the client of the offline backend did something wrong");
        self.state.lock().record.offences.push(offence);
        self.changed.notify_waiters();
    }

    pub(crate) fn refresh(&self, refresh: Refresh) {
        self.state.lock().record.refreshes.push(refresh);
        self.changed.notify_waiters();
    }

    /// Reads the record without a copy.
    pub(crate) fn with_record<T>(&self, look: impl FnOnce(&Record) -> T) -> T {
        look(&self.state.lock().record)
    }

    pub(crate) fn snapshot(&self) -> Record {
        self.state.lock().record.clone()
    }

    /// Clears the record; the counts of connections and of open requests stay.
    pub(crate) fn reset(&self) {
        let mut state = self.state.lock();
        let (connections, open) = (state.record.connections, state.record.open);
        state.record = Record { connections, open, peak: open, ..Record::default() };
        state.held = 0;
    }

    pub(crate) async fn wait(&self, limit: Duration, until: impl Fn(&Record) -> bool) -> Result<(), TimedOut> {
        let reached = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if until(&self.state.lock().record) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(limit, reached).await.map_err(|_| TimedOut(limit))
    }
}

impl RecordState {
    fn trim(&mut self, keep: usize) {
        while self.record.requests.len() > keep {
            let gone = self.record.requests.pop_front().map_or(0, |seen| seen.body.len());
            self.held -= gone;
        }
    }

    fn drop_bodies(&mut self) {
        let bodies = self.record.requests.iter_mut().filter(|seen| !seen.body.is_empty());
        for seen in bodies {
            if self.held <= HELD {
                return;
            }
            self.held -= std::mem::take(&mut seen.body).len();
        }
    }
}

/// A running request. Its drop writes the ending.
pub(crate) struct RequestGuard {
    recorder: Arc<Recorder>,
    pub(crate) id: u64,
    sent: u64,
    left: EndKind,
    /// Whether `open` counts the request.
    counts: bool,
}

impl RequestGuard {
    /// A guard for requests that are not recorded.
    pub(crate) fn none(recorder: &Arc<Recorder>) -> Self {
        Self { recorder: Arc::clone(recorder), id: 0, sent: 0, left: EndKind::Complete, counts: false }
    }

    pub(crate) fn sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }

    pub(crate) fn end(&mut self, left: EndKind) {
        self.left = left;
    }

    pub(crate) fn status(&self, status: u16) {
        self.recorder.edit(self.id, |seen| seen.status = Some(status));
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        if self.id == 0 {
            return;
        }
        let at = self.recorder.now();
        let mut state = self.recorder.state.lock();
        state.record.open -= usize::from(self.counts);
        if let Some(seen) = state.record.find(self.id) {
            seen.sent = self.sent;
            seen.ending = Some(RequestEnd { at, left: self.left });
        }
        drop(state);
        self.recorder.changed.notify_waiters();
    }
}
