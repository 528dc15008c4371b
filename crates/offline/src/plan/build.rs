//! Builder methods of plans.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::{
    Blob, Body, Coding, Extra, Idle, Interim, Newline, Pause, Plan, Quirk, QuirkKind, Split, Stop, StopPosition, Wait,
};
use crate::plan::wire::Termination;

impl Plan {
    /// The backend's own answer; the base of most faults.
    pub fn auto() -> Self {
        Self::default()
    }

    /// A status with a JSON body.
    pub fn json(status: u16, body: Value) -> Self {
        Self { status: Some(status), body: Body::Json(body), ..Self::default() }
    }

    /// A status with a text body.
    pub fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status: Some(status), body: Body::Text(body.into()), ..Self::default() }
    }

    /// A 200 stream of these events.
    pub fn events(events: impl IntoIterator<Item = Value>) -> Self {
        Self { body: Body::Events(events.into_iter().collect()), ..Self::default() }
    }

    /// A 200 stream of exactly these bytes.
    pub fn stream(bytes: impl Into<Bytes>) -> Self {
        Self { body: Body::Bytes(Blob(bytes.into())), ..Self::default() }
    }

    /// A recorded stream by file name.
    pub fn replay(name: impl Into<String>) -> Self {
        Self { body: Body::Replay(name.into()), ..Self::default() }
    }

    /// Raw bytes on the connection instead of an HTTP answer.
    pub fn wire(bytes: impl Into<Bytes>) -> Self {
        Self { body: Body::Wire(vec![(0, Blob(bytes.into()))]), ..Self::default() }
    }

    /// The endpoint's effects happen before this answer is sent, for example a token rotates.
    pub fn with_effects(mut self) -> Self {
        self.act = true;
        self
    }

    /// Another status with the same body.
    pub fn status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// Adds a header. A name here replaces the backend's value of that name.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Pauses before the status line.
    pub fn delay(mut self, wait: impl Into<Wait>) -> Self {
        self.before_headers.push(wait.into());
        self
    }

    /// Sends an informational response first.
    pub fn interim(mut self, status: u16) -> Self {
        self.interim.push(Interim { status, headers: Vec::new() });
        self
    }

    /// Pauses after this many events, and after the frames that were inserted there.
    pub fn pause(mut self, after: u32, wait: impl Into<Wait>) -> Self {
        self.shape.pauses.push(Pause { after, wait: wait.into() });
        self
    }

    /// Inserts a raw frame after this many events.
    pub fn extra(mut self, after: u32, frame: impl Into<String>) -> Self {
        self.shape.extra.push(Extra { after, frame: frame.into() });
        self
    }

    /// Inserts a text delta event of this many bytes in total, after the second event.
    pub fn huge(mut self, bytes: u64) -> Self {
        self.shape.huge = Some(bytes);
        self
    }

    /// Ends after this many events.
    pub fn cut_event(mut self, event: u32, how: Termination) -> Self {
        self.shape.stop = Some(Stop { at: StopPosition::Event(event), how });
        self
    }

    /// Ends after this many body bytes.
    pub fn cut_byte(mut self, byte: u64, how: Termination) -> Self {
        self.shape.stop = Some(Stop { at: StopPosition::Byte(byte), how });
        self
    }

    /// Ends after this many bytes on the connection; 0 sends no status line.
    pub fn cut_wire(mut self, byte: u64, how: Termination) -> Self {
        self.shape.stop = Some(Stop { at: StopPosition::Wire(byte), how });
        self
    }

    /// Sends one more event after the last.
    pub fn tail(mut self, event: Value) -> Self {
        self.shape.tail.push(event);
        self
    }

    /// Keeps the answer open after its last byte.
    pub fn hold(mut self, wait: impl Into<Wait>) -> Self {
        self.shape.hold = Some(wait.into());
        self
    }

    /// Sets the line ends.
    pub fn newline(mut self, newline: Newline) -> Self {
        self.shape.newline = Some(newline);
        self
    }

    /// Splits the body into separate writes.
    pub fn split(mut self, split: Split) -> Self {
        self.shape.split = Some(split);
        self
    }

    /// One write of `bytes` every `every`.
    pub fn drip(mut self, bytes: usize, every: Duration) -> Self {
        self.shape.split = Some(Split::Every(bytes));
        self.shape.drip = u64::try_from(every.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// Limits the stream to this many tokens per second.
    pub fn pace(mut self, tokens: f64) -> Self {
        self.shape.pace = Some(tokens);
        self
    }

    /// Compresses the body, flushed after every event.
    pub fn compress(mut self, coding: Coding) -> Self {
        self.shape.compress.push(coding);
        self
    }

    /// Adds a fault to the frames of a socket after this many events.
    pub fn quirk(mut self, after: u32, what: QuirkKind) -> Self {
        self.shape.quirks.push(Quirk { after, what });
        self
    }

    /// Ends the keep-alive connection after the answer.
    pub fn idle(mut self, idle: Idle) -> Self {
        self.idle = Some(idle);
        self
    }
}
