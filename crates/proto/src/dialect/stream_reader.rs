//! Upstream bytes to events, the same for every dialect: the forms that an answer comes in, its limits, and its one terminal event.

use std::fmt;

use bytes::{Bytes, BytesMut};

use super::array::Splitter;
use crate::canon::{Event, What};
use crate::dialect::Dialect;
use crate::dialect::sink::Sink;
use crate::failure::{Failure, Kind};
use crate::framing;
use crate::framing::sse::{self, Decoder};
use crate::json;

/// Longest frame, element or whole body, in bytes.
const LIMIT: usize = 64 << 20;

/// One answer in a dialect: what its frames and bodies say.
pub(super) trait Answer: Default + fmt::Debug {
    /// The dialect.
    const DIALECT: Dialect;
    /// Whether a stream may come as a JSON array, and a body between its frames.
    const ARRAYS: bool = false;

    /// Reads a frame of a stream. A failure ends the answer.
    fn frame(&mut self, frame: sse::Frame, out: &mut Vec<Event>) -> Result<Progress, Failure>;

    /// Reads a JSON body, or an element of an array. Servers answer so even when a stream was asked for, and most when they refuse.
    fn body(&mut self, body: Bytes, out: &mut Vec<Event>) -> Result<Progress, Failure>;

    /// Whether the answer is complete though nothing said that it ends; `whole` is a body or an array that was closed.
    fn is_complete(&self, whole: bool) -> bool;

    /// Ends a complete answer.
    fn close(&mut self, sink: &mut Sink<'_>);

    /// The events before the failure of an answer.
    fn before_failure(&mut self, _out: &mut Vec<Event>) {}
}

/// Whether an answer goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// More may come.
    More,
    /// The terminal event is out.
    Done,
}

/// Upstream bytes of one dialect to events.
#[derive(Debug)]
pub(super) struct StreamReader<A> {
    form: Form,
    answer: A,
    /// Frames of one chunk; kept for its memory.
    frames: Vec<sse::Frame>,
}

/// The form of an answer.
#[derive(Debug)]
enum Form {
    /// Nothing but whitespace came.
    Unknown,
    Stream(Decoder),
    Array(Splitter),
    Body(BytesMut),
    /// A terminal event is out; nothing counts any more.
    Done,
}

impl<A: Answer> StreamReader<A> {
    pub(in crate::dialect) fn new() -> Self {
        Self { form: Form::Unknown, answer: A::default(), frames: Vec::new() }
    }

    /// Reads one chunk.
    pub(in crate::dialect) fn push(&mut self, mut chunk: Bytes, out: &mut Vec<Event>) {
        if matches!(self.form, Form::Unknown) {
            let Some(begun) = framing::begin(&chunk) else { return };
            chunk = begun;
            self.form = match chunk.first() {
                Some(b'{') => Form::Body(BytesMut::new()),
                Some(b'[') if A::ARRAYS => Form::Array(Splitter::new(LIMIT)),
                _ => Form::Stream(Decoder::new(LIMIT)),
            };
        }
        match &mut self.form {
            Form::Unknown | Form::Done => {}
            Form::Body(body) if body.len() + chunk.len() > LIMIT => self.fail(too_large(), out),
            Form::Body(body) => body.extend_from_slice(&chunk),
            Form::Array(splitter) => {
                let mut elements = Vec::new();
                let is_array = splitter.push(&chunk, &mut elements);
                for element in elements {
                    self.body(element, out);
                }
                if is_array.is_none() {
                    self.fail(garbled(), out);
                }
            }
            Form::Stream(decoder) => {
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

    /// The upstream is done or cut.
    pub(in crate::dialect) fn end(mut self, out: &mut Vec<Event>) {
        let framed = !matches!(self.form, Form::Unknown);
        let whole = match std::mem::replace(&mut self.form, Form::Unknown) {
            Form::Done => return,
            Form::Unknown => false,
            Form::Array(splitter) => splitter.is_over(),
            Form::Body(body) => {
                self.body(body.freeze(), out);
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
        // Some servers close after the reason of the end without a word.
        if self.answer.is_complete(whole) {
            // What is said behind the last frame is no edit of the frames.
            let mut sink = if framed { Sink::behind(out, A::DIALECT) } else { Sink::bare(out, A::DIALECT) };
            return self.answer.close(&mut sink);
        }
        self.fail(Failure::new(Kind::Upstream, "The upstream ended its answer early.").code("stream_cut"), out);
    }

    fn end_of_stream(&mut self, decoder: Decoder, out: &mut Vec<Event>) {
        let mut frames = Vec::new();
        let rest = if A::ARRAYS { Bytes::copy_from_slice(decoder.held().trim_ascii()) } else { Bytes::new() };
        decoder.end(&mut frames);
        self.read(&mut frames, out);
        // Google's own servers put an error between the frames as it is.
        if rest.first() == Some(&b'{') && json::valid(&rest) {
            self.body(rest, out);
        }
    }

    fn read(&mut self, frames: &mut Vec<sse::Frame>, out: &mut Vec<Event>) {
        for frame in frames.drain(..) {
            if !matches!(self.form, Form::Done) {
                let read = self.answer.frame(frame, out);
                self.settle(read, out);
            }
        }
    }

    fn body(&mut self, body: Bytes, out: &mut Vec<Event>) {
        if !matches!(self.form, Form::Done) {
            let read = self.answer.body(body, out);
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

fn too_large() -> Failure {
    Failure::new(Kind::Upstream, "The upstream sent an event of more than 64 MiB.").code("event_too_large")
}
