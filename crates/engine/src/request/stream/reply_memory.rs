//! The memory of a running reply: the text that readers and writers hold to repeat it at the end, and the parts of a collected reply.
//! This memory is charged to the budget of all requests, and each reply has a cap.

use pool::limits;
use proto::canon::Channel;
use proto::fold::BRIEF;
use proto::{Dialect, Event, Failure, Kind, What};

use crate::memory::{RequestMemory, Reservation};

/// Bytes up to which a reply is not charged: most replies are smaller, and a token should not cost a budget check.
const FREE: usize = 64 << 10;
/// The charge grows in steps of this many bytes.
const STEP: usize = 256 << 10;
/// Copies of a text: the text under construction, and the item or body that it becomes.
const COPIES: usize = 2;
/// How often the end of an item and of its reply repeat the item's text to a client of Responses: in the events for the text, its part,
/// its item and its response.
const REPEATS: usize = 4;
/// Bytes held of the text of a stream whose client needs only pieces: the reader and the limits hold this much of it.
const PASSING: usize = COPIES * BRIEF;
/// Bytes of an item in addition to its text.
const ITEM: usize = 256;

/// The memory that one reply holds; released on drop.
#[derive(Debug)]
pub(crate) struct ReplyMemory {
    memory: RequestMemory,
    keeps: Retention,
    bytes: usize,
    /// The part of these bytes that belongs to tool calls.
    calls: usize,
    /// Text bytes of open items, in a stream that repeats the text.
    open_text: usize,
    /// Text bytes of a stream that only passes text on.
    passing: usize,
    /// Open items: the text of a second item may wait for the end of the first.
    open: u32,
    /// How many bytes may be held before more must be charged.
    covered: usize,
    charged: Option<Reservation>,
    over: bool,
}

/// How much of a reply is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retention {
    /// The whole reply, collected for a client of this dialect, with the frames of this dialect.
    All(Dialect),
    /// The text, which a stream of Responses repeats at the end. With `passes`, the upstream's own unedited frames repeat it.
    Text {
        /// Whether the upstream's frames repeat the text.
        passes: bool,
    },
    /// The text that may wait for the end of a stop sequence.
    Waiting,
    /// No text that arrives in pieces: it is passed on and dropped, whatever its length.
    Nothing,
}

impl ReplyMemory {
    /// A counter that holds nothing yet.
    pub(crate) fn new(memory: RequestMemory, keeps: Retention) -> Self {
        Self {
            memory,
            keeps,
            bytes: 0,
            calls: 0,
            open_text: 0,
            passing: 0,
            open: 0,
            covered: FREE,
            charged: None,
            over: false,
        }
    }

    /// Whether the reply was refused more memory.
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// Counts one event; a failure when the reply may not hold that much.
    pub(crate) fn count(&mut self, event: &Event) -> Result<(), Failure> {
        self.bytes += self.retained_bytes(event);
        if self.bytes <= self.covered {
            return Ok(());
        }
        let failure = if self.bytes > limits::REPLY { too_large() } else { return self.reserve() };
        self.over = true;
        Err(failure)
    }

    /// Records that the text so far was dropped, and that later text is only passed on.
    pub(crate) fn release(&mut self) {
        let calls = self.calls;
        *self = Self { bytes: calls, calls, open: self.open, ..Self::new(self.memory.clone(), Retention::Nothing) };
    }

    fn reserve(&mut self) -> Result<(), Failure> {
        let more = (self.bytes - self.covered).next_multiple_of(STEP);
        let Some(reservation) = self.memory.part(more) else {
            self.over = true;
            return Err(over_memory());
        };
        self.covered = (self.covered + more).min(limits::REPLY);
        match (&mut self.charged, reservation) {
            (Some(charged), Some(reservation)) => charged.add(reservation),
            (charged, reservation) => *charged = reservation,
        }
        Ok(())
    }

    /// How many bytes of an event are held.
    fn retained_bytes(&mut self, event: &Event) -> usize {
        let frame = event.carrier.frame();
        let own = |dialect| dialect != Dialect::Responses && self.keeps == Retention::All(dialect);
        let retained = frame.filter(|frame| own(frame.dialect));
        let retained = retained.map_or(0, |frame| frame.bytes.len() + size_of_val(frame));
        let responses = frame.is_some_and(|frame| frame.dialect == Dialect::Responses);
        match &event.what {
            What::ItemOpen { .. } => self.open = self.open.saturating_add(1),
            What::ItemDone { .. } => self.open = self.open.saturating_sub(1),
            _ => {}
        }
        let passes = responses && self.keeps == (Retention::Text { passes: true });
        let repeats = matches!(self.keeps, Retention::Text { .. }) && !passes;
        retained
            + match &event.what {
                // A partial image replaces the one before it.
                What::Delta { channel: Channel::Image, .. } => 0,
                // A tool call's arguments are complete before they are passed on.
                What::Delta { channel: Channel::Arguments, data, .. } => {
                    let more = COPIES * data.escaped().len();
                    self.calls += more;
                    more
                }
                What::Delta { .. } if passes => 0,
                What::Delta { data, .. } if self.keeps == Retention::Nothing && self.open <= 1 => {
                    let more = (COPIES * data.escaped().len()).min(PASSING - self.passing);
                    self.passing += more;
                    more
                }
                What::Delta { data, .. } => {
                    self.open_text += data.escaped().len();
                    COPIES * data.escaped().len()
                }
                What::Annotation { data, .. } => COPIES * data.bytes().len(),
                What::ItemOpen { .. } => ITEM,
                What::ItemDone { .. } if self.keeps == Retention::Nothing => ITEM,
                What::ItemDone { .. } => {
                    let text = std::mem::take(&mut self.open_text);
                    ITEM + frame.map_or(0, |frame| frame.bytes.len()) + if repeats { REPEATS * text } else { 0 }
                }
                // Signatures, citations and inputs of searches, which are held until their block ends.
                What::Other => frame
                    .filter(|frame| frame.dialect == Dialect::Messages && retained == 0)
                    .map_or(0, |frame| frame.bytes.len()),
                _ => 0,
            }
    }
}

fn too_large() -> Failure {
    let words = format!("The upstream's reply takes more than {} MiB of memory.", limits::REPLY >> 20);
    Failure::new(Kind::Upstream, words).code("reply_too_large")
}

fn over_memory() -> Failure {
    let words = "The replies in progress take all the memory that the gateway may use. Try again in a moment.";
    Failure::new(Kind::Overloaded, words).code("overloaded").retry_after(1)
}

#[cfg(test)]
mod tests;
