//! Turns upstream bytes into events, the same way for every dialect: the forms of an answer, its limits, and its one terminal event.

use std::fmt;

use bytes::{Bytes, BytesMut};

use super::array::Splitter;
use crate::canon::{Event, What};
use crate::dialect::Dialect;
use crate::dialect::sink::EventSink;
use crate::failure::{Failure, Kind};
use crate::framing;
use crate::framing::sse::{self, Decoder};
use crate::json;

/// Longest frame, element or whole body, in bytes.
const LIMIT: usize = 64 << 20;

/// The message for an answer that was cut off.
pub(super) const CUT: &str = "The upstream ended its answer early.";

/// The reader of one answer in a dialect: it interprets frames and bodies.
pub(super) trait Answer: Default + fmt::Debug {
    /// The dialect.
    const DIALECT: Dialect;
    /// Whether a stream may come as a JSON array, or with a JSON body between its frames.
    const ARRAYS: bool = false;

    /// Reads a frame of a stream. A failure ends the answer.
    fn frame(&mut self, frame: sse::Frame, out: &mut Vec<Event>) -> Result<Progress, Failure>;

    /// The message when an answer is cut off.
    const CUT: &str = CUT;
    /// The message when a frame or body is longer than the limit.
    const TOO_LARGE: &str = "The upstream sent an event of more than 64 MiB.";

    /// The decoder for server-sent events; it refuses frames over `limit` bytes.
    fn decoder(&self, limit: usize) -> Decoder {
        Decoder::new(limit)
    }

    /// Reads a message of a WebSocket.
    fn message(&mut self, message: Bytes, out: &mut Vec<Event>) -> Result<Progress, Failure> {
        self.body(message, out)
    }

    /// Reads a JSON body, or an element of an array. Servers send a body even when the request asked for a stream, mostly with an error.
    fn body(&mut self, body: Bytes, out: &mut Vec<Event>) -> Result<Progress, Failure>;

    /// Whether the answer is complete without a terminal event; `whole` means that it is a body or a closed array.
    fn is_complete(&self, whole: bool) -> bool;

    /// Ends a complete answer.
    fn close(&mut self, sink: &mut EventSink<'_>);

    /// Adds the events that precede the failure of an answer.
    fn before_failure(&mut self, _out: &mut Vec<Event>) {}
}

/// Whether an answer continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// More may come.
    More,
    /// The terminal event has been emitted.
    Done,
}

/// Turns the upstream bytes of one dialect into events.
#[derive(Debug)]
pub(super) struct StreamReader<A> {
    form: Form,
    pub(super) answer: A,
    /// Frames of one chunk; a field so that its allocation is reused.
    frames: Vec<sse::Frame>,
}

/// The form of an answer.
#[derive(Debug)]
enum Form {
    /// Only whitespace has arrived.
    Unknown,
    Stream(Decoder),
    /// The messages of a WebSocket, one per chunk.
    Messages,
    Array(Splitter),
    Body(BytesMut),
    /// The terminal event has been emitted; further bytes are ignored.
    Done,
}

impl<A: Answer> StreamReader<A> {
    pub(in crate::dialect) fn new() -> Self {
        Self { form: Form::Unknown, answer: A::default(), frames: Vec::new() }
    }

    /// Expects one message per chunk.
    pub(in crate::dialect) fn read_messages(&mut self) {
        self.form = Form::Messages;
    }

    /// Reads one chunk.
    pub(in crate::dialect) fn push(&mut self, mut chunk: Bytes, out: &mut Vec<Event>) {
        if matches!(self.form, Form::Unknown) {
            let Some(begun) = framing::begin(&chunk) else { return };
            chunk = begun;
            self.form = match chunk.first() {
                Some(b'{') => Form::Body(BytesMut::new()),
                Some(b'[') if A::ARRAYS => Form::Array(Splitter::new(LIMIT)),
                _ => Form::Stream(self.answer.decoder(LIMIT)),
            };
        }
        match &mut self.form {
            Form::Unknown | Form::Done => {}
            Form::Body(body) if body.len() + chunk.len() > LIMIT => self.fail(too_large::<A>(), out),
            Form::Body(body) => body.extend_from_slice(&chunk),
            Form::Array(splitter) => {
                let mut elements = Vec::new();
                let is_array = splitter.push(&chunk, &mut elements);
                self.each(elements, A::body, out);
                if is_array.is_none() {
                    self.fail(garbled(), out);
                }
            }
            Form::Stream(decoder) => {
                let mut frames = std::mem::take(&mut self.frames);
                let fits = decoder.push(chunk, &mut frames);
                for frame in frames.drain(..) {
                    if !matches!(self.form, Form::Done) {
                        let read = self.answer.frame(frame, out);
                        self.settle(read, out);
                    }
                }
                self.frames = frames;
                if fits.is_err() {
                    self.fail(too_large::<A>(), out);
                }
            }
            Form::Messages if chunk.len() > LIMIT => self.fail(too_large::<A>(), out),
            Form::Messages => {
                let read = self.answer.message(chunk, out);
                self.settle(read, out);
            }
        }
    }

    /// Ends the answer: the upstream finished or was cut off.
    pub(in crate::dialect) fn end(mut self, out: &mut Vec<Event>) {
        let framed = !matches!(self.form, Form::Unknown);
        let whole = match std::mem::replace(&mut self.form, Form::Unknown) {
            Form::Done => return,
            Form::Unknown | Form::Messages => false,
            Form::Array(splitter) => splitter.is_over(),
            Form::Body(body) => {
                self.each([body.freeze()], A::body, out);
                true
            }
            Form::Stream(decoder) => {
                self.end_of_stream(decoder, out);
                false
            }
        };
        if matches!(self.form, Form::Done) {
            return;
        }
        // Some servers close after the finish reason without a terminal frame.
        if self.answer.is_complete(whole) {
            // Events after the last frame do not count as edits of the frames.
            let mut sink = if framed { EventSink::behind(out, A::DIALECT) } else { EventSink::bare(out, A::DIALECT) };
            return self.answer.close(&mut sink);
        }
        self.fail(Failure::new(Kind::Upstream, A::CUT).code("stream_cut"), out);
    }

    fn end_of_stream(&mut self, decoder: Decoder, out: &mut Vec<Event>) {
        let mut frames = Vec::new();
        let rest = if A::ARRAYS { Bytes::copy_from_slice(decoder.held().trim_ascii()) } else { Bytes::new() };
        decoder.end(&mut frames);
        self.each(frames, A::frame, out);
        // Google's own servers put an error between the frames as bare JSON.
        if rest.first() == Some(&b'{') && json::valid(&rest) {
            self.each([rest], A::body, out);
        }
    }

    /// Reads frames, messages, elements or a body, up to the one that ends the answer.
    fn each<T>(
        &mut self,
        parts: impl IntoIterator<Item = T>,
        read: impl Fn(&mut A, T, &mut Vec<Event>) -> Result<Progress, Failure>,
        out: &mut Vec<Event>,
    ) {
        for part in parts {
            if matches!(self.form, Form::Done) {
                return;
            }
            let read = read(&mut self.answer, part, out);
            self.settle(read, out);
        }
    }

    fn settle(&mut self, read: Result<Progress, Failure>, out: &mut Vec<Event>) {
        match read {
            Ok(Progress::More) => {}
            Ok(Progress::Done) => self.form = Form::Done,
            Err(failure) => self.fail(failure, out),
        }
    }

    fn fail(&mut self, failure: Failure, out: &mut Vec<Event>) {
        if !matches!(self.form, Form::Done) {
            self.form = Form::Done;
            self.answer.before_failure(out);
            out.push(Event::new(What::Fail(failure)));
        }
    }
}

fn garbled() -> Failure {
    Failure::new(Kind::Upstream, "The upstream sent something that is not a list of replies.").code("bad_chunk")
}

fn too_large<A: Answer>() -> Failure {
    Failure::new(Kind::Upstream, A::TOO_LARGE).code("event_too_large")
}
