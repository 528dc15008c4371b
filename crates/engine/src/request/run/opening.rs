//! The commit barrier: a model call is read until its first real event, and nothing is sent to the client before.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use pool::attempt::{History, Outcome, Trouble, TroubleKind};
use pool::quota::Quota;
use pool::{AccountId, limits};
use proto::framing::Framing;
use proto::{Event, Failure, Reader, What, Wire};
use tokio::time::{Instant, timeout_at};
use upstream::{Body, BodyReadError};

use super::call::PendingCall;
use crate::request::attempt::CallError;
use crate::request::services::Services;
use crate::request::stream::{DRAIN, Source, UnansweredCall};
use crate::request::usage::is_committing;

/// A model call that may be committed.
pub(crate) struct Opening {
    pub(crate) source: Source,
    pub(crate) reader: Reader,
    /// The events so far.
    pub(crate) held: Vec<Event>,
    /// The answer's headers; empty when the answer has not arrived yet.
    pub(crate) headers: HeaderMap,
    /// When the last byte of the upstream arrived.
    pub(crate) last_read: Instant,
}

/// The inputs of the barrier.
pub(crate) struct CommitBarrier<'a> {
    pub(crate) services: &'a Services,
    pub(crate) account: &'a AccountId,
    /// The data for judging a call; it outlives the barrier.
    pub(crate) history: &'a History,
    /// When the reply is committed even without an event.
    pub(crate) deadline: Instant,
    /// The protocol of the answer.
    pub(crate) wire: Wire,
    /// The framing of the client's stream.
    pub(crate) client: Framing,
}

/// The result of reading more.
enum ReadOutcome {
    Chunk(Bytes),
    /// The reply is committed now.
    Deadline,
    /// The body has ended.
    End,
}

/// The meaning of the events so far.
enum EventsMeaning {
    Wait,
    Real,
    Fail(Failure),
}

impl CommitBarrier<'_> {
    /// Waits for the first real event of a call, or for the deadline.
    pub(crate) async fn open(&self, mut post: PendingCall) -> Result<Opening, CallError> {
        let mut reader = self.reader();
        let held = Vec::new();
        let Ok(answer) = timeout_at(self.deadline, post.as_mut()).await else {
            let late = UnansweredCall { pending: post, history: self.history.clone() };
            let (source, headers) = (Source::Head(Box::new(late)), HeaderMap::new());
            return Ok(Opening { source, reader, held, headers, last_read: Instant::now() });
        };
        let answer = answer?;
        if answer.body.has_messages() {
            reader.read_messages();
        }
        let opening =
            Opening { source: Source::Ended, reader, held, headers: answer.headers, last_read: Instant::now() };
        self.read(opening, answer.body).await
    }

    fn reader(&self) -> Reader {
        Reader::new(self.wire).for_framing(self.client)
    }

    async fn read(&self, mut opening: Opening, mut body: Body) -> Result<Opening, CallError> {
        let mut size = 0;
        loop {
            let chunk = match self.chunk(&mut body, opening.last_read).await? {
                ReadOutcome::Chunk(chunk) => chunk,
                ReadOutcome::Deadline => break,
                ReadOutcome::End => return self.finish(opening).map_err(|error| *error),
            };
            size += chunk.len();
            opening.last_read = Instant::now();
            let known = opening.held.len();
            opening.reader.push(chunk, &mut opening.held);
            match self.check_events(&opening.held[known..]) {
                EventsMeaning::Wait if size < limits::STREAM_BUFFER => {}
                EventsMeaning::Wait | EventsMeaning::Real => break,
                EventsMeaning::Fail(failure) => {
                    self.services.runtime.tasks.spawn(body.drain(DRAIN));
                    return Err(Outcome::EarlyFail(failure).into());
                }
            }
        }
        Ok(Opening { source: Source::Body(body), ..opening })
    }

    /// The body ended without a real event. A whole body instead of a stream is read now.
    fn finish(&self, opening: Opening) -> Result<Opening, Box<CallError>> {
        let Opening { reader, mut held, headers, last_read, .. } = opening;
        let known = held.len();
        reader.end(&mut held);
        let source = Source::Ended;
        match self.check_events(&held[known..]) {
            EventsMeaning::Real => Ok(Opening { source, reader: self.reader(), held, headers, last_read }),
            EventsMeaning::Fail(failure) if failure.code.as_deref() != Some("stream_cut") => {
                Err(Box::new(Outcome::EarlyFail(failure).into()))
            }
            EventsMeaning::Fail(_) | EventsMeaning::Wait => {
                let message = "the upstream's answer ended before its first event";
                Err(Box::new(broken_call(TroubleKind::Cut, message.into())))
            }
        }
    }

    async fn chunk(&self, body: &mut Body, last_read: Instant) -> Result<ReadOutcome, CallError> {
        let mut last_read = last_read;
        loop {
            let idle = last_read + self.services.runtime.settings.idle;
            let Ok(chunk) = timeout_at(idle.min(self.deadline), body.chunk()).await else {
                // Bytes of an incomplete chunk, and pings, show that the upstream is alive too.
                match body.last_read().filter(|read| *read > last_read) {
                    _ if self.deadline <= idle => return Ok(ReadOutcome::Deadline),
                    Some(read) => last_read = read,
                    None => {
                        return Err(broken_call(
                            TroubleKind::Timeout,
                            silence_message(self.services.runtime.settings.idle),
                        ));
                    }
                }
                continue;
            };
            return match chunk {
                Some(Ok(chunk)) => Ok(ReadOutcome::Chunk(chunk)),
                Some(Err(error @ (BodyReadError::Broken(_) | BodyReadError::TooLarge(_)))) => {
                    Err(broken_call(TroubleKind::Cut, error.to_string()))
                }
                None => Ok(ReadOutcome::End),
            };
        }
    }

    /// Reads new events. Quota figures count even if the call fails.
    fn check_events(&self, events: &[Event]) -> EventsMeaning {
        for event in events {
            match &event.what {
                What::Fail(failure) => return EventsMeaning::Fail(failure.clone()),
                What::Limits(json) => {
                    if let Some(quota) = Quota::from_event(json, self.services.runtime.now()) {
                        self.services.dispatch.learn_quota(self.account, quota);
                    }
                }
                what if is_committing(what) => return EventsMeaning::Real,
                _ => {}
            }
        }
        EventsMeaning::Wait
    }
}

/// A call that was answered and then broke off; it is not repeated.
fn broken_call(kind: TroubleKind, message: String) -> CallError {
    let code = if kind == TroubleKind::Timeout { "upstream_timeout" } else { "upstream_cut" };
    CallError { outcome: Outcome::NoStatus { cause: Trouble { kind, message } }, code: Some(code) }
}

fn silence_message(idle: Duration) -> String {
    format!("the upstream sent nothing for {} s", idle.as_secs())
}
