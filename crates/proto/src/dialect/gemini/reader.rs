//! Gemini replies to events: streams frame by frame, the array form element by element, and whole bodies that answer a request
//! for a stream.

mod answer;
mod array;
mod calls;
mod partial;
mod scan;
mod sources;

#[cfg(test)]
mod tests;

use bytes::{BufMut, Bytes, BytesMut};

use self::answer::Answer;
use self::array::Splitter;
use super::wire::Reply;
use crate::canon::{Event, What};
use crate::dialect::sink::Sink;
use crate::dialect::{Dialect, relay_error};
use crate::failure::{Failure, Kind};
use crate::framing;
use crate::framing::sse::{self, Decoder};
use crate::json;
use crate::text::Json;

const DIALECT: Dialect = Dialect::Gemini;
/// Longest frame or whole body.
const LIMIT: usize = 64 << 20;

/// Upstream Gemini bytes to events.
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
    Array(Splitter),
    /// One object: a whole reply, or an error.
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
                Some(b'[') => Mode::Array(Splitter::new(LIMIT)),
                _ => Mode::Stream(Decoder::new(LIMIT)),
            };
        }
        match &mut self.mode {
            Mode::Start | Mode::Done => {}
            Mode::Body(body) if body.len() + chunk.len() > LIMIT => self.fail(too_large(), out),
            Mode::Body(body) => body.extend_from_slice(&chunk),
            Mode::Array(splitter) => {
                let mut elements = Vec::new();
                let fits = splitter.push(&chunk, &mut elements);
                self.elements(elements, out);
                if fits.is_none() {
                    self.fail(garbled(), out);
                }
            }
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
        let mut whole = false;
        let framed = !matches!(self.mode, Mode::Start);
        match std::mem::replace(&mut self.mode, Mode::Start) {
            Mode::Done => return,
            Mode::Start => {}
            Mode::Array(splitter) => whole = splitter.is_over(),
            Mode::Body(body) => {
                self.elements(vec![body.freeze()], out);
                whole = true;
            }
            Mode::Stream(decoder) => {
                let mut frames = Vec::new();
                // Google's own servers put an error between the frames as it is.
                let rest = decoder.held().trim_ascii().to_vec();
                decoder.end(&mut frames);
                self.read(&mut frames, out);
                if rest.first() == Some(&b'{') && json::valid(&rest) {
                    self.elements(vec![Bytes::from(rest)], out);
                }
            }
        }
        if matches!(self.mode, Mode::Done) {
            return;
        }
        let mut sink = if framed { Sink::behind(out, DIALECT) } else { Sink::bare(out, DIALECT) };
        if self.answer.finished() || (whole && self.answer.opened()) {
            return self.answer.close(&mut sink);
        }
        self.answer.meter(&mut sink);
        self.fail(Failure::new(Kind::Upstream, "The upstream ended its answer early.").code("stream_cut"), out);
    }

    fn read(&mut self, frames: &mut Vec<sse::Frame>, out: &mut Vec<Event>) {
        for frame in frames.drain(..) {
            // Some gateways close their streams as OpenAI does.
            if matches!(self.mode, Mode::Done) || frame.data.trim_ascii() == b"[DONE]" {
                continue;
            }
            let mut sink = Sink::new(out, DIALECT, frame.raw);
            if let Some(news) = scan::text(&frame.data).filter(|_| self.answer.speaking()) {
                self.answer.text_delta(news, &mut sink);
                continue;
            }
            let read = self.frame(&frame.data, &mut sink);
            if read.is_ok() {
                sink.finish();
            }
            self.judge(read, out);
        }
    }

    /// Elements of an array, or one whole body. Each says what a frame of a stream would say, and carries that frame.
    fn elements(&mut self, elements: Vec<Bytes>, out: &mut Vec<Event>) {
        for element in elements {
            if !matches!(self.mode, Mode::Done) {
                let mut sink = Sink::new(out, DIALECT, as_event(&element));
                let read = self.frame(&element, &mut sink);
                if read.is_ok() {
                    sink.finish();
                }
                self.judge(read, out);
            }
        }
    }

    fn judge(&mut self, read: Result<(), Failure>, out: &mut Vec<Event>) {
        match read {
            Ok(()) if self.answer.closed() => self.mode = Mode::Done,
            Ok(()) => {}
            Err(failure) => self.fail(failure, out),
        }
    }

    fn frame(&mut self, data: &Bytes, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let data = &json::line(data.clone());
        let parsed = std::str::from_utf8(data).ok().and_then(|text| serde_json::from_str::<Reply<'_>>(text).ok());
        let reply = parsed.ok_or_else(garbled)?;
        if let Some(error) = reply.error {
            self.answer.meter(&mut sink.beside());
            let code = Json::slice(data, error).get("code").and_then(|code| code.as_u64());
            return Err(relay_error::read(code.and_then(|code| u16::try_from(code).ok()).unwrap_or(502), data));
        }
        if !reply.says() {
            return Err(garbled());
        }
        self.answer.read(data, &reply, sink)
    }

    fn fail(&mut self, failure: Failure, out: &mut Vec<Event>) {
        if !matches!(self.mode, Mode::Done) {
            self.mode = Mode::Done;
            out.push(Event::new(What::Fail(failure)));
        }
    }
}

/// A whole reply as the server-sent event that it would have been.
fn as_event(reply: &Bytes) -> Bytes {
    let line = json::line(reply.clone());
    let mut bytes = BytesMut::with_capacity(line.len() + 8);
    bytes.put_slice(b"data: ");
    bytes.put_slice(&line);
    bytes.put_slice(b"\n\n");
    bytes.freeze()
}

fn garbled() -> Failure {
    Failure::new(Kind::Upstream, "The upstream sent something that is not a Gemini reply.").code("bad_chunk")
}

fn too_large() -> Failure {
    Failure::new(Kind::Upstream, "The upstream sent an event of more than 64 MiB.").code("event_too_large")
}
