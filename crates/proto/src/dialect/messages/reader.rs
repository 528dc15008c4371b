//! Messages replies to events: streams frame by frame, and whole bodies that answer a request for a stream.
//!
//! Every frame is carried by exactly one of the events that it gives; the others carry an empty frame, so that a writer of this
//! dialect passes the stream on byte by byte.

mod answer;
mod block;
mod scan;

#[cfg(test)]
mod tests;

use bytes::{Bytes, BytesMut};

use self::answer::Answer;
use super::wire::{Kind, type_of};
use crate::canon::{Event, What};
use crate::dialect::sink::Sink;
use crate::dialect::{Dialect, openai_error};
use crate::failure::{self, Failure};
use crate::framing;
use crate::framing::sse::{self, Decoder};
use crate::json;
use crate::text::Json;

/// Longest frame or whole body.
const LIMIT: usize = 64 << 20;

/// Upstream messages bytes to events.
#[derive(Debug)]
pub struct Reader {
    mode: Mode,
    answer: Answer,
    /// Frames of one chunk; kept for its memory.
    frames: Vec<sse::Frame>,
}

#[derive(Debug)]
enum Mode {
    /// Nothing but whitespace came.
    Start,
    Stream(Decoder),
    /// A JSON body: a refusal, or a whole message from a server that does not stream.
    Body(BytesMut),
    /// A terminal event went out.
    Done,
}

impl Reader {
    pub(in crate::dialect) fn new() -> Self {
        Self { mode: Mode::Start, answer: Answer::default(), frames: Vec::new() }
    }

    pub(in crate::dialect) fn push(&mut self, mut chunk: Bytes, out: &mut Vec<Event>) {
        if matches!(self.mode, Mode::Start) {
            let Some(begun) = framing::begin(&chunk) else { return };
            chunk = begun;
            self.mode = match chunk.first() {
                Some(b'{') => Mode::Body(BytesMut::new()),
                _ => Mode::Stream(Decoder::new(LIMIT)),
            };
        }
        match &mut self.mode {
            Mode::Start | Mode::Done => {}
            Mode::Body(body) if body.len() + chunk.len() > LIMIT => self.fail(too_large(), out),
            Mode::Body(body) => body.extend_from_slice(&chunk),
            Mode::Stream(decoder) => {
                let mut frames = std::mem::take(&mut self.frames);
                let fits = decoder.push(chunk, &mut frames);
                self.read(&mut frames, out);
                self.frames = frames;
                if fits.is_err() {
                    self.fail(too_large(), out);
                }
            }
        }
    }

    pub(in crate::dialect) fn end(mut self, out: &mut Vec<Event>) {
        match std::mem::replace(&mut self.mode, Mode::Start) {
            Mode::Done => return,
            Mode::Start => {}
            Mode::Body(body) => self.body(body.freeze(), out),
            Mode::Stream(decoder) => {
                let mut frames = Vec::new();
                decoder.end(&mut frames);
                self.read(&mut frames, out);
            }
        }
        if matches!(self.mode, Mode::Done) {
            return;
        }
        // Some servers close after the stop reason without a word.
        if self.answer.finished() {
            self.answer.close(&mut Sink::behind(out, Dialect::Messages));
        } else {
            self.fail(cut(), out);
        }
    }

    fn read(&mut self, frames: &mut Vec<sse::Frame>, out: &mut Vec<Event>) {
        for frame in frames.drain(..) {
            if matches!(self.mode, Mode::Done) {
                continue;
            }
            let name = Kind::of(frame.event());
            let mut sink = Sink::new(out, Dialect::Messages, frame.raw);
            if let Some(found) = scan::delta(&frame.data) {
                self.answer.delta(found.index, found.piece, found.cut(frame.data), &mut sink);
                sink.finish();
                continue;
            }
            match self.slow(name, frame.data, &mut sink) {
                Ok(Next::More) => sink.finish(),
                Ok(Next::Done) => self.mode = Mode::Done,
                Err(failure) => self.fail(failure, out),
            }
        }
    }

    /// A frame that is more than a piece of text.
    fn slow(&mut self, name: Kind, data: Bytes, sink: &mut Sink<'_>) -> Result<Next, Failure> {
        let kind = type_of(&data).map_or(name, Kind::of);
        let Some(json) = json::readable(data) else {
            return if kind == Kind::Other { Ok(Next::More) } else { Err(garbled()) };
        };
        // The type may stand elsewhere than at the head of the object.
        let kind = json.text("type").map_or(kind, |word| Kind::of(word.plain().as_bytes()));
        match kind {
            Kind::Error => Err(error(&json)),
            Kind::Stop => {
                self.answer.close(sink);
                Ok(Next::Done)
            }
            _ => {
                self.answer.read(kind, &json, sink);
                Ok(Next::More)
            }
        }
    }

    fn body(&mut self, body: Bytes, out: &mut Vec<Event>) {
        let json = json::readable(body);
        let is = |name: &str| json.as_ref().and_then(|json| json.text("type")).is_some_and(|kind| kind.is(name));
        let message = is("message");
        match json {
            Some(json) if message => {
                self.answer.whole(&json, &mut Sink::bare(out, Dialect::Messages));
                self.mode = Mode::Done;
            }
            Some(json) if json.get("error").is_some() => self.fail(error(&json), out),
            _ => self.fail(garbled(), out),
        }
    }

    fn fail(&mut self, failure: Failure, out: &mut Vec<Event>) {
        self.mode = Mode::Done;
        out.extend(self.answer.counts_so_far().map(|usage| Event::new(What::Usage(usage))));
        out.push(Event::new(What::Fail(failure)));
    }
}

/// Whether the reply goes on.
enum Next {
    More,
    Done,
}

/// The failure that `{"type":"error","error":{...}}` says.
fn error(json: &Json) -> Failure {
    let mut failure = openai_error::of(&json.get("error").unwrap_or_else(|| json.clone()));
    if failure.message.is_empty() {
        "The upstream reported an error in its stream.".clone_into(&mut failure.message);
    }
    failure
}

fn cut() -> Failure {
    Failure::new(failure::Kind::Upstream, "The upstream ended its answer early.").code("stream_cut")
}

fn garbled() -> Failure {
    Failure::new(failure::Kind::Upstream, "The upstream sent something that is not a message.").code("malformed_event")
}

fn too_large() -> Failure {
    Failure::new(failure::Kind::Upstream, "The upstream sent an event of more than 64 MiB.").code("event_too_large")
}
