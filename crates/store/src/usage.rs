//! Usage rows: one per accepted request, written in batches away from the request's path.

use std::borrow::Cow;

use pool::{AccountId, Millis};

use crate::Error;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// To its end.
    Completed,
    /// With an error.
    Failed,
    /// The client left.
    Aborted,
}

/// Tokens of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Input tokens, cached ones included.
    pub input: u64,
    /// Input tokens that came from a cache.
    pub cached: u64,
    /// Output tokens, reasoning included.
    pub output: u64,
    /// Reasoning tokens.
    pub reasoning: u64,
    /// Whether they are our own count and not the provider's.
    pub estimated: bool,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageRow {
    /// Request id; unique.
    pub id: String,
    /// When it was accepted.
    pub at: Millis,
    /// Key id, never the key.
    pub key: String,
    /// Who served it; `None` when nobody did.
    pub account: Option<AccountId>,
    /// The client's protocol.
    pub dialect: Cow<'static, str>,
    /// The model that served, else the one asked for.
    pub model: String,
    /// HTTP status that the client got.
    pub status: u16,
    /// How it ended.
    pub outcome: Outcome,
    /// Tokens.
    pub tally: Tally,
    /// Model POSTs.
    pub attempts: u32,
    /// To the first real event, milliseconds; `None` when there was none.
    pub ttft_ms: Option<u64>,
    /// To the end, milliseconds.
    pub duration_ms: u64,
    /// Whether the client asked for a stream.
    pub stream: bool,
    /// Notes header text; empty when nothing was dropped.
    pub notes: String,
}

/// The usage table.
#[derive(Clone)]
pub struct Usage {
    _queue: (),
}

impl Usage {
    /// Queues a row; written within 250 ms. Never waits: when the writer is far behind the row is counted as lost.
    pub fn record(&self, _row: UsageRow) {
        unimplemented!()
    }

    /// Waits until every row recorded so far is written, or given up.
    pub async fn flush(&self) {
        unimplemented!()
    }

    /// The newest rows, newest first.
    pub async fn rows(&self, _limit: u32) -> Result<Vec<UsageRow>, Error> {
        unimplemented!()
    }

    /// Rows lost since the start, because the writer was too far behind or the disk refused them.
    pub fn lost(&self) -> u64 {
        unimplemented!()
    }
}
