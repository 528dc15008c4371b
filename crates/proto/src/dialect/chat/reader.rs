//! Chat replies to events: streams frame by frame, and whole bodies that answer a request for a stream.

mod answer;
mod calls;
mod chunk;
mod scan;

#[cfg(test)]
mod tests;

use bytes::{Bytes, BytesMut};

use self::answer::Answer;
use super::wire::Reply;
use crate::canon::{Event, What};
use crate::dialect::sink::Sink;
use crate::dialect::{Dialect, openai_error};
use crate::failure::{Failure, Kind};
use crate::framing;
use crate::framing::sse::{self, Decoder};
use crate::json;
use crate::text::Json;

const DIALECT: Dialect = Dialect::Chat;
/// Longest frame or whole body.
const LIMIT: usize = 64 << 20;

/// Upstream chat bytes to events.
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
    /// A JSON body; some servers answer so even when a stream was asked for, and most when they refuse.
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
        let framed = matches!(self.mode, Mode::Stream(_));
        match std::mem::replace(&mut self.mode, Mode::Start) {
            Mode::Done => return,
            Mode::Start => {}
            Mode::Body(body) => self.body(&body.freeze(), out),
            Mode::Stream(decoder) => {
                let mut frames = Vec::new();
                decoder.end(&mut frames);
                self.read(&mut frames, out);
            }
        }
        if matches!(self.mode, Mode::Done) {
            return;
        }
        // Some servers close after the finish reason without a word.
        if self.answer.finished() {
            let mut sink = if framed { Sink::behind(out, DIALECT) } else { Sink::bare(out, DIALECT) };
            self.answer.close(&mut sink, None);
        } else {
            self.fail(Failure::new(Kind::Upstream, "The upstream ended its answer early.").code("stream_cut"), out);
        }
    }

    fn read(&mut self, frames: &mut Vec<sse::Frame>, out: &mut Vec<Event>) {
        for frame in frames.drain(..) {
            if matches!(self.mode, Mode::Done) {
                continue;
            }
            let is_error = frame.event() == b"error";
            if frame.data.trim_ascii() == b"[DONE]" {
                self.done(frame.raw, out);
                continue;
            }
            let mut sink = Sink::new(out, DIALECT, frame.raw);
            let text = scan::content(&frame.data).filter(|_| self.answer.speaking());
            let read = match text {
                Some(text) => {
                    self.answer.text(text, &mut sink);
                    Ok(())
                }
                None => self.frame(&frame.data, is_error, &mut sink),
            };
            match read {
                Ok(()) => sink.finish(),
                Err(failure) => self.fail(failure, out),
            }
        }
    }

    /// One frame that is more than a piece of text.
    fn frame(&mut self, data: &Bytes, is_error: bool, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let json = json::readable(data.clone()).ok_or_else(garbled)?;
        let (data, reply) = (json.bytes(), json.parse::<Reply<'_>>().map_err(|_| garbled())?);
        if let Some(error) = reply.error {
            return Err(openai_error::of(&Json::slice(data, error)));
        }
        let named = |object: &serde_json::value::RawValue| object.get() == "\"error\"";
        if is_error || reply.object.is_some_and(named) {
            return Err(openai_error::of(&Json::from_valid(data.clone())));
        }
        self.answer.read(data, &reply, sink)
    }

    /// A whole body. Its events carry it as the chunk that a stream of one chunk would have had, so that clients of this dialect
    /// get all of its fields.
    fn body(&mut self, body: &Bytes, out: &mut Vec<Event>) {
        let mut sink = match chunk::of(body) {
            Some(chunk) => Sink::new(out, DIALECT, chunk),
            None => Sink::bare(out, DIALECT),
        };
        match self.frame(body, false, &mut sink) {
            Ok(()) if self.answer.opened() => {
                sink.finish();
                self.answer.close(&mut sink, None);
                self.mode = Mode::Done;
            }
            Ok(()) => self.fail(garbled(), out),
            Err(failure) => self.fail(failure, out),
        }
    }

    fn done(&mut self, frame: Bytes, out: &mut Vec<Event>) {
        if !self.answer.opened() {
            let failure = Failure::new(Kind::Upstream, "The upstream answered with nothing.").code("empty_answer");
            return self.fail(failure, out);
        }
        self.answer.close(&mut Sink::behind(out, DIALECT), Some(frame));
        self.mode = Mode::Done;
    }

    fn fail(&mut self, failure: Failure, out: &mut Vec<Event>) {
        self.mode = Mode::Done;
        out.push(Event::new(What::Fail(failure)));
    }
}

fn garbled() -> Failure {
    Failure::new(Kind::Upstream, "The upstream sent something that is not a chat completion.").code("bad_chunk")
}

fn too_large() -> Failure {
    Failure::new(Kind::Upstream, "The upstream sent an event of more than 64 MiB.").code("event_too_large")
}
