//! Turns the frames of an answer into the steps of its body: silences, extra events, early ends, other line ends, other write
//! boundaries, compression. Pure; `answer` performs the steps.

use std::collections::VecDeque;

use crate::plan::api::Api;
use crate::plan::replay::framed;
use crate::plan::wire::Termination;
use crate::plan::{Extra, Newline, Pause, Quirk, QuirkKind, Shape, Split, Stop, StopPosition, Wait};
use bytes::{Bytes, BytesMut};

use compress::Compressor;

mod compress;
#[cfg(test)]
mod tests;

/// One event on the wire.
pub(crate) struct Frame {
    pub(crate) bytes: Bytes,
    /// Whether the frame counts as a token for pacing.
    pub(crate) token: bool,
}

impl Frame {
    /// A frame with a piece of the answer's content.
    pub(crate) fn token(text: String) -> Self {
        Self { bytes: Bytes::from(text), token: true }
    }

    /// A frame without content, such as a start or end event.
    pub(crate) fn plain(text: String) -> Self {
        Self { bytes: Bytes::from(text), token: false }
    }

    /// A frame of any origin. The name of a Responses delta marks the frame as a token.
    pub(crate) fn new(bytes: Bytes) -> Self {
        let token = memchr::memmem::find(&bytes[..bytes.len().min(120)], b".delta\"").is_some();
        Self { bytes, token }
    }
}

/// The frames of an answer, built lazily.
pub(crate) type Frames = Box<dyn Iterator<Item = Frame> + Send>;

/// The next action of the body.
#[derive(Debug)]
pub(crate) enum Step {
    /// Send these bytes; adjacent steps may share a write.
    Bytes(Bytes),
    /// Write the collected bytes now.
    Flush,
    /// Pause.
    Wait(Wait),
    /// Wait until the next token is due.
    Pace,
    /// End early.
    End(Termination),
    /// Add a fault to the frames of a socket.
    Quirk(QuirkKind),
}

/// The steps of a shaped answer.
pub(crate) struct Steps {
    frames: Frames,
    shape: Shape,
    api: Api,
    sent: u32,
    /// The response id, from the first frame that has one; failures inside the stream repeat the id.
    response: Option<String>,
    /// Steps before the byte stage.
    early: VecDeque<Step>,
    frames_over: bool,
    /// The rest of a huge event.
    flood: Option<Box<dyn Iterator<Item = Bytes> + Send>>,
    bytes: ByteStage,
    out: VecDeque<Step>,
    over: bool,
}

/// State of the byte stage.
struct ByteStage {
    /// Body bytes until the cut.
    budget: Option<u64>,
    compressor: Compressor,
    sizes: VecDeque<usize>,
    /// Bytes collected for the next write.
    rest: BytesMut,
}

impl Steps {
    pub(crate) fn new(frames: Frames, shape: Shape, api: Api) -> Self {
        let budget = match shape.stop {
            Some(Stop { at: StopPosition::Byte(byte), .. }) => Some(byte),
            _ => None,
        };
        let sizes = match &shape.split {
            Some(Split::Sizes(sizes)) => sizes.iter().copied().filter(|size| *size > 0).collect(),
            _ => VecDeque::new(),
        };
        let bytes = ByteStage { budget, compressor: Compressor::new(&shape.compress), sizes, rest: BytesMut::new() };
        let mut early = VecDeque::new();
        if shape.bom {
            early.push_back(Step::Bytes(Bytes::from_static(b"\xef\xbb\xbf")));
        }
        Self {
            frames,
            shape,
            api,
            sent: 0,
            response: None,
            early,
            frames_over: false,
            flood: None,
            bytes,
            out: VecDeque::new(),
            over: false,
        }
    }

    /// Adds the steps up to the next frame to `early`.
    fn frame(&mut self) {
        let at = self.sent;
        let extra = self.shape.extra.iter().filter(|Extra { after, .. }| *after == at);
        self.early.extend(extra.map(|extra| Step::Bytes(Bytes::from(extra.frame.clone()))));
        let pauses = self.shape.pauses.iter().filter(|Pause { after, .. }| *after == at);
        self.early.extend(pauses.map(|pause| Step::Wait(pause.wait.clone())));
        let quirks = self.shape.quirks.iter().filter(|Quirk { after, .. }| *after == at);
        self.early.extend(quirks.map(|quirk| Step::Quirk(quirk.what)));
        if at == 2
            && let Some(bytes) = self.shape.huge.take()
        {
            self.flood = Some(huge(bytes));
            return;
        }
        self.next_frame();
    }

    /// Adds the next frame, or the early end that replaces the frame, to `early`.
    fn next_frame(&mut self) {
        let at = self.sent;
        if let Some(Stop { at: StopPosition::Event(event), how }) = &self.shape.stop
            && *event == at
        {
            let how = how.clone();
            return self.stop(&how);
        }
        let Some(frame) = self.frames.next() else { return self.finish() };
        if self.response.is_none() {
            self.response = response_id(&frame.bytes);
        }
        if frame.token && self.shape.pace.is_some() {
            self.early.push_back(Step::Pace);
        }
        self.early.push_back(Step::Bytes(frame.bytes));
        if self.shape.split == Some(Split::Events) {
            self.early.push_back(Step::Flush);
        }
        self.sent += 1;
    }

    fn stop(&mut self, how: &Termination) {
        self.frames_over = true;
        if let Some(frame) = self.terminal_frame(how) {
            self.early.push_back(Step::Bytes(frame));
        }
        self.early.push_back(Step::End(how.clone()));
    }

    /// The event that reports an in-stream failure.
    fn terminal_frame(&self, how: &Termination) -> Option<Bytes> {
        self.api.terminal_frame(how, self.response.as_deref(), self.sent)
    }

    fn finish(&mut self) {
        self.frames_over = true;
        let tail = std::mem::take(&mut self.shape.tail);
        self.early.extend(tail.iter().map(|event| Step::Bytes(Bytes::from(framed(&event.to_string())))));
        self.early.extend(self.shape.hold.take().map(Step::Wait));
    }

    /// The byte stage: line ends, the cut, compression, write boundaries.
    fn carry(&mut self, bytes: Bytes) {
        let mut bytes = match self.shape.newline {
            Some(newline) => with_newlines(&bytes, newline),
            None => bytes,
        };
        let mut cut = None;
        if let Some(budget) = &mut self.bytes.budget {
            let length = bytes.len() as u64;
            if length >= *budget {
                bytes.truncate(usize::try_from(*budget).unwrap_or(usize::MAX));
                cut = self.shape.stop.as_ref().map(|stop| stop.how.clone());
            }
            *budget = budget.saturating_sub(length);
        }
        let bytes = self.bytes.compressor.push(bytes);
        self.write(bytes);
        if let Some(how) = cut {
            self.flush();
            if let Some(frame) = self.terminal_frame(&how) {
                self.out.push_back(Step::Bytes(frame));
            }
            self.out.push_back(Step::End(how));
            self.over = true;
        }
    }

    /// Splits bytes into writes at the shape's boundaries.
    fn write(&mut self, bytes: Bytes) {
        if !matches!(self.shape.split, Some(Split::Every(_) | Split::Sizes(_))) {
            return self.out.push_back(Step::Bytes(bytes));
        }
        self.bytes.rest.extend_from_slice(&bytes);
        while let Some(size) = self.due().filter(|size| self.bytes.rest.len() >= *size) {
            self.bytes.sizes.pop_front();
            let piece = self.bytes.rest.split_to(size).freeze();
            self.piece(piece);
        }
        if self.due().is_none() {
            self.flush();
        }
    }

    /// The size of the next write; `None` if the shape sets no size.
    fn due(&self) -> Option<usize> {
        match self.shape.split {
            Some(Split::Every(size)) => Some(size.max(1)),
            _ => self.bytes.sizes.front().copied(),
        }
    }

    fn piece(&mut self, piece: Bytes) {
        self.out.push_back(Step::Bytes(piece));
        self.out.push_back(Step::Flush);
        if self.shape.drip > 0 {
            self.out.push_back(Step::Wait(Wait::Millis(self.shape.drip)));
        }
    }

    fn flush(&mut self) {
        if !self.bytes.rest.is_empty() {
            let rest = self.bytes.rest.split().freeze();
            self.out.push_back(Step::Bytes(rest));
        }
    }

    fn advance(&mut self) {
        match self.early.pop_front() {
            Some(Step::Bytes(bytes)) => self.carry(bytes),
            Some(Step::End(how)) => {
                self.flush();
                self.out.push_back(Step::End(how));
                self.over = true;
            }
            Some(wait @ (Step::Wait(_) | Step::Flush)) => {
                self.flush();
                self.out.push_back(wait);
            }
            Some(step) => self.out.push_back(step),
            None if self.flood.is_some() => {
                if let Some(piece) = self.flood.as_mut().and_then(Iterator::next) {
                    return self.carry(piece);
                }
                self.flood = None;
                self.next_frame();
            }
            None if self.frames_over => {
                let end = self.bytes.compressor.end();
                self.write(end);
                self.flush();
                self.over = true;
            }
            None => self.frame(),
        }
    }
}

impl Iterator for Steps {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        loop {
            match self.out.pop_front() {
                Some(Step::Bytes(bytes)) if bytes.is_empty() => {}
                Some(step) => return Some(step),
                None if self.over => return None,
                None => self.advance(),
            }
        }
    }
}

/// A text delta event of `bytes` bytes in total, in pieces that share their memory.
fn huge(bytes: u64) -> Box<dyn Iterator<Item = Bytes> + Send> {
    const PIECE: usize = 64 << 10;
    const HEAD: &[u8] = b"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\
        \"item_id\":\"msg_huge\",\"output_index\":0,\"content_index\":0,\"logprobs\":[],\"delta\":\"";
    const TAIL: &[u8] = b"\"}\n\n";
    let piece = Bytes::from(vec![b'x'; PIECE]);
    let text = bytes.saturating_sub((HEAD.len() + TAIL.len()) as u64);
    let (whole, rest) = (text / PIECE as u64, usize::try_from(text % PIECE as u64).unwrap_or(0));
    let last = piece.slice(..rest);
    let pieces = (0..whole).map(move |_| piece.clone());
    Box::new(std::iter::once(Bytes::from_static(HEAD)).chain(pieces).chain([last, Bytes::from_static(TAIL)]))
}

fn with_newlines(bytes: &[u8], newline: Newline) -> Bytes {
    let end: &[u8] = match newline {
        Newline::CrLf => b"\r\n",
        Newline::Cr => b"\r",
    };
    let mut to = BytesMut::with_capacity(bytes.len() + 8);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let text = line.strip_suffix(b"\n");
        to.extend_from_slice(text.unwrap_or(line));
        to.extend_from_slice(if text.is_some() { end } else { b"" });
    }
    to.freeze()
}

/// The `resp_...` id in a frame's text.
fn response_id(frame: &[u8]) -> Option<String> {
    let at = memchr::memmem::find(frame, b"\"resp_")? + 1;
    let length = memchr::memchr(b'"', &frame[at..])?;
    Some(String::from_utf8_lossy(&frame[at..at + length]).into_owned())
}
