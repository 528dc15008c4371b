//! What one round asks of the backend.

use serde::{Deserialize, Serialize};

/// Shape of every answer until the next plan. Sent to the backend as the query of `POST /plan`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// Tokens per answer.
    pub(crate) tokens: u32,
    /// Tokens per second of one answer; 0 is as fast as they are taken.
    pub(crate) pace: f64,
    /// Tokens per write.
    pub(crate) batch: u32,
    /// Paced answers in flight whose tokens are spread evenly over a token's time; 0 lets each begin when it is asked for. Answers
    /// that begin together would have their tokens come together, and a proxy that is quick to begin would be woken less often.
    pub(crate) phases: u32,
    /// Writes the time of sending into each token, as `<n>@<microseconds> `.
    pub(crate) stamp: bool,
}

impl Plan {
    /// As the query of `POST /plan`.
    pub(crate) fn query(&self) -> String {
        format!(
            "tokens={}&pace={}&batch={}&phases={}&stamp={}",
            self.tokens, self.pace, self.batch, self.phases, self.stamp
        )
    }
}

/// The wall clock in microseconds; sender and reader of a stamp share a machine.
pub(crate) fn micros_now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// The text of an answer with so many tokens.
pub(crate) fn text(tokens: u32) -> String {
    (0..tokens).fold(String::new(), |mut text, n| {
        text.push_str(&n.to_string());
        text.push(' ');
        text
    })
}
