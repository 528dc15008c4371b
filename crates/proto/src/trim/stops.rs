//! Finds stop sequences in text that comes in pieces.

use memchr::{memchr_iter, memmem};

/// The stop sequences, and the text that may be the beginning of one.
#[derive(Debug)]
pub(super) struct Stops {
    list: Vec<String>,
    /// Text that is not cleared; between two pieces at most the longest sequence minus one byte.
    window: String,
}

/// The result for a piece of text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cleared {
    /// How many bytes at the front of the window are no part of a stop sequence.
    pub(super) bytes: usize,
    /// Which stop sequence begins behind them, if one does.
    pub(super) found: Option<usize>,
}

impl Stops {
    pub(super) fn new(list: &[String]) -> Self {
        let list = list.iter().filter(|stop| !stop.is_empty()).cloned().collect();
        Self { list, window: String::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Adds text to the window. The sequence that is complete first wins, as it would in a model that stops by itself; of several that are
    /// complete with the same byte, the longest wins.
    pub(super) fn feed(&mut self, plain: &str) -> Cleared {
        self.window.push_str(plain);
        let hit = |(index, stop): (usize, &String)| {
            memmem::find(self.window.as_bytes(), stop.as_bytes()).map(|at| (at + stop.len(), at, index))
        };
        match self.list.iter().enumerate().filter_map(hit).min() {
            Some((_, start, index)) => Cleared { bytes: start, found: Some(index) },
            None => Cleared { bytes: self.window.len() - self.held(), found: None },
        }
    }

    /// The sequence at an index that [`Self::feed`] returned.
    pub(super) fn sequence(&self, index: usize) -> &str {
        &self.list[index]
    }

    /// The first `bytes` bytes of the window.
    pub(super) fn front(&self, bytes: usize) -> &str {
        &self.window[..bytes]
    }

    /// Removes the first `bytes` bytes of the window.
    pub(super) fn drop_front(&mut self, bytes: usize) {
        self.window.drain(..bytes);
    }

    /// Ends the text: the window is not a stop sequence.
    pub(super) fn close(&mut self) -> String {
        std::mem::take(&mut self.window)
    }

    /// Length of the longest end of the window that a stop sequence begins with.
    fn held(&self) -> usize {
        self.list.iter().map(|stop| begun(self.window.as_bytes(), stop.as_bytes())).max().unwrap_or(0)
    }
}

/// Length of the longest end of `text` that is a proper beginning of `stop`.
fn begun(text: &[u8], stop: &[u8]) -> usize {
    let from = text.len() - text.len().min(stop.len() - 1);
    let tail = &text[from..];
    memchr_iter(stop[0], tail).find(|at| stop.starts_with(&tail[*at..])).map_or(0, |at| tail.len() - at)
}
