//! The content and token counts of one answer, independent of its wire format; and streams built from parts.

use crate::plan::shape::{Frame, Frames};
use crate::responder::{self, ModelInput, ModelOutput, piece};

/// The end of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    Stop,
    Calls,
    Length,
    /// The answer reached this stop sequence.
    Sequence(String),
}

/// Input tokens.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct InputTokens {
    /// All input tokens.
    pub(super) total: u64,
    /// The input tokens that came from the cache.
    pub(super) cached: u64,
}

/// The limits of an answer's length.
#[derive(Debug, Default)]
pub(super) struct Limits<'a> {
    /// The maximum of output tokens, reasoning included.
    pub(super) max: Option<u64>,
    pub(super) stops: Vec<&'a str>,
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct RelayReply {
    pub(super) thought: Option<&'static str>,
    pub(super) parts: Vec<ModelOutput>,
    pub(super) finish: Finish,
    /// Output tokens without reasoning.
    pub(super) output: u64,
    /// Reasoning tokens.
    pub(super) reasoning: u64,
}

impl RelayReply {
    pub(super) fn new(topic: &ModelInput<'_>, limits: &Limits<'_>, thinks: bool) -> Self {
        let thought = thinks.then_some(responder::THOUGHT);
        let reasoning = thought.map_or(0, piece::count);
        let parts = responder::answer(topic);
        let finish = if parts.iter().any(ModelOutput::is_call) { Finish::Calls } else { Finish::Stop };
        let mut turn = Self { thought, parts, finish, output: 0, reasoning };
        turn.stop(&limits.stops);
        turn.cut(limits.max);
        turn.output = turn.parts.iter().map(length).sum();
        turn
    }

    /// Cuts the first text with a stop sequence before that sequence.
    fn stop(&mut self, stops: &[&str]) {
        for at in 0..self.parts.len() {
            let ModelOutput::Text { text, .. } = &mut self.parts[at] else { continue };
            let found = stops.iter().filter_map(|stop| Some((text.find(stop)?, *stop))).min_by_key(|(at, _)| *at);
            let Some((end, stop)) = found else { continue };
            text.truncate(end);
            self.finish = Finish::Sequence(stop.to_owned());
            self.parts.truncate(at + 1);
            return;
        }
    }

    /// Cuts the answer after `max` tokens. A call that does not fit is left out.
    fn cut(&mut self, max: Option<u64>) {
        let Some(max) = max else { return };
        let mut left = max.saturating_sub(self.reasoning);
        for at in 0..self.parts.len() {
            let long = length(&self.parts[at]);
            if long <= left {
                left -= long;
                continue;
            }
            self.finish = Finish::Length;
            if let ModelOutput::Text { text, .. } = &mut self.parts[at] {
                *text = piece::cut(text, left).to_owned();
                self.parts.truncate(at + 1);
            } else {
                self.parts.truncate(at);
            }
            return;
        }
    }
}

/// The number of tokens of a part.
fn length(say: &ModelOutput) -> u64 {
    match say {
        ModelOutput::Text { text, .. } => piece::count(text),
        ModelOutput::Function { arguments, .. } => piece::count(&arguments.to_string()),
        ModelOutput::Custom { input, .. } => piece::count(input),
        ModelOutput::Search { .. } | ModelOutput::Image { .. } => 0,
    }
}

/// A part of a stream.
pub(super) enum StreamPart {
    /// One frame.
    Frame(String),
    /// A frame for each piece of a text: head, the piece as a JSON string, tail.
    Pieces { text: String, head: String, tail: String },
}

/// The frames of all parts, built lazily.
pub(super) fn stream(parts: Vec<StreamPart>) -> Frames {
    Box::new(parts.into_iter().flat_map(|part| -> Frames {
        match part {
            StreamPart::Frame(frame) => Box::new(std::iter::once(Frame::plain(frame))),
            StreamPart::Pieces { text, head, tail } => Box::new(
                piece::Pieces::new(text)
                    .map(move |piece| Frame::token([&head, &piece::json_string(&piece), &tail[..]].concat())),
            ),
        }
    }))
}
