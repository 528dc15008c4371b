//! The backend's plan for one round.

use serde::{Deserialize, Serialize};

/// The shape of every answer until the next plan, sent to the backend as the query of `POST /plan`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// Tokens per answer.
    pub(crate) tokens: u32,
    /// Tokens per second of one answer; 0 is unlimited.
    pub(crate) pace: f64,
    /// Tokens per write.
    pub(crate) batch: u32,
    /// Whether each token of a paced answer comes at a random moment of its interval, instead of at its beginning. Answers that begin
    /// together would send their tokens together, and a proxy that gets two tokens at once wakes up half as often.
    pub(crate) spread: bool,
    /// Whether each token has its time of sending, as `<n>@<microseconds> `.
    pub(crate) stamp: bool,
}

impl Plan {
    /// The plan as the query of `POST /plan`.
    pub(crate) fn query(&self) -> String {
        format!(
            "tokens={}&pace={}&batch={}&spread={}&stamp={}",
            self.tokens, self.pace, self.batch, self.spread, self.stamp
        )
    }
}

/// The wall clock in microseconds; sender and reader of a stamp run on the same machine.
pub(crate) fn micros_now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// The text of an answer with `tokens` tokens.
pub(crate) fn text(tokens: u32) -> String {
    (0..tokens).fold(String::new(), |mut text, n| {
        text.push_str(&n.to_string());
        text.push(' ');
        text
    })
}
