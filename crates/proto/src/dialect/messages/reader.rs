//! Messages replies to events: streams frame by frame, and whole bodies that answer a request for a stream.
//!
//! Exactly one of a frame's events carries the frame; its other events are marked as covered, so that a writer of this
//! dialect passes the stream unchanged, byte by byte.

mod answer;
mod block;
mod scan;

#[cfg(test)]
mod tests;

use bytes::Bytes;

use self::answer::MessagesAnswer;
use super::wire::{Kind, type_of};
use crate::canon::{Event, What};
use crate::dialect::Dialect;
use crate::dialect::sink::EventSink;
use crate::dialect::stream_reader::{Answer, Progress, StreamReader};
use crate::failure::{self, Failure};
use crate::framing::sse;
use crate::json;
use crate::upstream_error;

/// Upstream messages bytes to events.
pub(in crate::dialect) type Reader = StreamReader<MessagesAnswer>;

impl Answer for MessagesAnswer {
    const DIALECT: Dialect = Dialect::Messages;

    fn frame(&mut self, frame: sse::Frame, out: &mut Vec<Event>) -> Result<Progress, Failure> {
        let name = Kind::of(frame.event());
        let mut sink = EventSink::new(out, Self::DIALECT, frame.raw);
        let progress = match scan::delta(&frame.data) {
            Some(span) => {
                self.delta(span.index, span.piece, span.cut(frame.data), &mut sink);
                Progress::More
            }
            None => self.event(name, frame.data, &mut sink)?,
        };
        if progress == Progress::More {
            sink.finish();
        }
        Ok(progress)
    }

    fn body(&mut self, body: Bytes, out: &mut Vec<Event>) -> Result<Progress, Failure> {
        let json = json::readable(body).ok_or_else(garbled)?;
        if json.text("type").is_some_and(|kind| kind.is("message")) {
            self.whole(&json, &mut EventSink::bare(out, Self::DIALECT));
            return Ok(Progress::Done);
        }
        Err(if json.get("error").is_some() { upstream_error::from_event(&json) } else { garbled() })
    }

    fn is_complete(&self, _whole: bool) -> bool {
        self.finished()
    }

    fn close(&mut self, sink: &mut EventSink<'_>) {
        self.end(sink);
    }

    fn before_failure(&mut self, out: &mut Vec<Event>) {
        out.extend(self.counts_so_far().map(|usage| Event::new(What::Usage(usage))));
    }
}

impl MessagesAnswer {
    /// A frame that is more than a piece of text.
    fn event(&mut self, name: Kind, data: Bytes, sink: &mut EventSink<'_>) -> Result<Progress, Failure> {
        let kind = type_of(&data).map_or(name, Kind::of);
        let Some(json) = json::readable(data) else {
            return if kind == Kind::Other { Ok(Progress::More) } else { Err(garbled()) };
        };
        // The type may be elsewhere than at the head of the object.
        let kind = json.text("type").map_or(kind, |word| Kind::of(word.plain().as_bytes()));
        match kind {
            Kind::Error => return Err(upstream_error::from_event(&json)),
            Kind::Stop => {
                // An end without a reason is rewritten.
                if !self.finished() {
                    sink.drop_frame();
                }
                self.end(sink);
                return Ok(Progress::Done);
            }
            _ => self.read(kind, &json, sink),
        }
        Ok(Progress::More)
    }
}

fn garbled() -> Failure {
    Failure::new(failure::Kind::Upstream, "The upstream sent something that is not a message.").code("malformed_event")
}
