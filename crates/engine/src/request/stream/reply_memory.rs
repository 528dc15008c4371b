//! The memory that a reply in progress takes: its text, which readers and writers keep to repeat it at the end, and what a
//! collected reply is made of. It is charged to the memory budget of all requests, and each reply has a cap.

use pool::limits;
use proto::canon::Channel;
use proto::fold::BRIEF;
use proto::{Dialect, Event, Failure, Kind, What};

use crate::memory::{RequestMemory, Reservation};

/// Up to here a reply is not charged: most are smaller, and a token should cost no look at the budget.
const FREE: usize = 64 << 10;
/// The charge grows in steps of this many bytes.
const STEP: usize = 256 << 10;
/// Copies of a text: the one in the making, and the item's or the body's that it becomes.
const COPIES: usize = 2;
/// How often the end of an item and of its reply repeat the item's text to a client of Responses: of the text, its part, its item and its
/// response.
const REPEATS: usize = 4;
/// What is kept of the text of a stream whose client needs it in pieces only: the reader and the limits keep as much of it.
const PASSING: usize = COPIES * BRIEF;
/// What an item takes beside its text.
const ITEM: usize = 256;

/// What one reply holds; given back on drop.
#[derive(Debug)]
pub(crate) struct ReplyMemory {
    tab: RequestMemory,
    keeps: Retention,
    bytes: usize,
    /// Those of them that calls are made with.
    calls: usize,
    /// Bytes of text of items that are open, in a stream that repeats them.
    open_text: usize,
    /// Bytes of text of a stream that passes.
    passing: usize,
    /// Items that are open: text of a second one may wait for the end of the first.
    open: u32,
    /// How many bytes may be held before more must be charged.
    covered: usize,
    charged: Option<Reservation>,
    over: bool,
}

/// What is kept of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retention {
    /// All of it, collected for a client of this dialect, whose own frames are kept too.
    All(Dialect),
    /// Its text, which a stream of Responses repeats at the end. `passes` says that the upstream's own frames do that, where it
    /// speaks the same and nobody edits them.
    Text {
        /// Whether they do.
        passes: bool,
    },
    /// Its text, as it may wait for the end of a stop sequence.
    Waiting,
    /// No text that came in pieces: it is passed on and forgotten, however long it gets.
    Nothing,
}

impl ReplyMemory {
    /// Nothing yet.
    pub(crate) fn new(tab: RequestMemory, keeps: Retention) -> Self {
        Self {
            tab,
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
        self.bytes += self.kept_bytes(event);
        if self.bytes <= self.covered {
            return Ok(());
        }
        let failure = if self.bytes > limits::REPLY { too_large() } else { return self.reserve() };
        self.over = true;
        Err(failure)
    }

    /// The text so far was dropped, and what follows is passed on only.
    pub(crate) fn release(&mut self) {
        let calls = self.calls;
        *self = Self { bytes: calls, calls, open: self.open, ..Self::new(self.tab.clone(), Retention::Nothing) };
    }

    fn reserve(&mut self) -> Result<(), Failure> {
        let more = (self.bytes - self.covered).next_multiple_of(STEP);
        let Some(space) = self.tab.part(more) else {
            self.over = true;
            return Err(over_memory());
        };
        self.covered = (self.covered + more).min(limits::REPLY);
        match (&mut self.charged, space) {
            (Some(charged), Some(space)) => charged.add(space),
            (charged, space) => *charged = space,
        }
        Ok(())
    }

    /// How many bytes an event leaves behind.
    fn kept_bytes(&mut self, event: &Event) -> usize {
        let frame = event.carrier.frame();
        let own = |dialect| dialect != Dialect::Responses && self.keeps == Retention::All(dialect);
        let kept = frame.filter(|frame| own(frame.dialect));
        let kept = kept.map_or(0, |frame| frame.bytes.len() + size_of_val(frame));
        let responses = frame.is_some_and(|frame| frame.dialect == Dialect::Responses);
        match &event.what {
            What::ItemOpen { .. } => self.open = self.open.saturating_add(1),
            What::ItemDone { .. } => self.open = self.open.saturating_sub(1),
            _ => {}
        }
        let passes = responses && self.keeps == (Retention::Text { passes: true });
        let repeats = matches!(self.keeps, Retention::Text { .. }) && !passes;
        kept + match &event.what {
            // A partial image replaces the one before it.
            What::Delta { channel: Channel::Image, .. } => 0,
            // What a call is made with is whole before it is passed on.
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
            // Signatures, citations and inputs of searches, which are kept until their block ends.
            What::Other => frame
                .filter(|frame| frame.dialect == Dialect::Messages && kept == 0)
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
