//! Turns chat replies into events: streams frame by frame, and whole bodies that answer a request for a stream.

mod answer;
mod calls;
mod chunk;
mod scan;

#[cfg(test)]
mod tests;

use bytes::Bytes;

use self::answer::ChatAnswer;
use super::wire::Reply;
use crate::canon::Event;
use crate::dialect::Dialect;
use crate::dialect::sink::EventSink;
use crate::dialect::stream_reader::{Answer, Progress, StreamReader};
use crate::failure::{Failure, Kind};
use crate::framing::sse;
use crate::json;
use crate::text::Json;
use crate::upstream_error;

/// Turns upstream chat bytes into events.
pub(in crate::dialect) type Reader = StreamReader<ChatAnswer>;

impl Answer for ChatAnswer {
    const DIALECT: Dialect = Dialect::Chat;

    fn frame(&mut self, frame: sse::Frame, out: &mut Vec<Event>) -> Result<Progress, Failure> {
        if frame.data.trim_ascii() == b"[DONE]" {
            return self.done(frame.raw, out);
        }
        let is_error = frame.event() == b"error";
        let mut sink = EventSink::new(out, Self::DIALECT, frame.raw);
        match self.text_of_chunk(&frame.data) {
            Some(text) => self.text(text, &mut sink),
            None => self.chunk(&frame.data, is_error, &mut sink)?,
        }
        sink.finish();
        Ok(Progress::More)
    }

    /// Reads a whole body. Its events carry it as the chunk of a stream with one chunk, so that clients of this dialect get all of its
    /// fields.
    fn body(&mut self, body: Bytes, out: &mut Vec<Event>) -> Result<Progress, Failure> {
        let mut sink = match chunk::of(&body) {
            Some(chunk) => EventSink::new(out, Self::DIALECT, chunk),
            None => EventSink::bare(out, Self::DIALECT),
        };
        self.chunk(&body, false, &mut sink)?;
        if !self.opened() {
            return Err(garbled());
        }
        sink.finish();
        self.end(&mut sink, None);
        Ok(Progress::Done)
    }

    fn is_complete(&self, _whole: bool) -> bool {
        self.finished()
    }

    fn close(&mut self, sink: &mut EventSink<'_>) {
        self.end(sink, None);
    }
}

impl ChatAnswer {
    /// Reads a frame that is more than a piece of text.
    fn chunk(&mut self, data: &Bytes, is_error: bool, sink: &mut EventSink<'_>) -> Result<(), Failure> {
        let json = json::readable(data.clone()).ok_or_else(garbled)?;
        let (data, reply) = (json.bytes(), json.parse::<Reply<'_>>().map_err(|_| garbled())?);
        if let Some(error) = reply.error {
            return Err(upstream_error::from_object(&Json::slice(data, error)));
        }
        let named = |object: &serde_json::value::RawValue| object.get() == "\"error\"";
        if is_error || reply.object.is_some_and(named) {
            return Err(upstream_error::from_object(&Json::from_valid(data.clone())));
        }
        self.read(data, &reply, sink)
    }

    fn done(&mut self, frame: Bytes, out: &mut Vec<Event>) -> Result<Progress, Failure> {
        if !self.opened() {
            return Err(Failure::new(Kind::Upstream, "The upstream answered with nothing.").code("empty_answer"));
        }
        self.end(&mut EventSink::behind(out, Self::DIALECT), Some(frame));
        Ok(Progress::Done)
    }
}

fn garbled() -> Failure {
    Failure::new(Kind::Upstream, "The upstream sent something that is not a chat completion.").code("bad_chunk")
}
