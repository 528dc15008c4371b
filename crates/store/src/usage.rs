//! Usage rows: one per accepted request, written in batches away from the request's path.
//!
//! The file is disposable: it opens on first use, and its failures reach neither accounts nor requests.

mod retention;
mod row;
#[cfg(test)]
mod tests;
mod writer;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use pool::{AccountId, Millis};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::Error;
pub use retention::Retention;
pub(crate) use writer::UsageTarget;
use writer::{Job, Writer};

/// Rows that may wait for the writer.
const QUEUE: usize = 65_536;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The reply is complete.
    Completed,
    /// The request ended with an error.
    Failed,
    /// The client left.
    Aborted,
}

/// Tokens of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenUsage {
    /// Input tokens, cached ones included.
    pub input: u64,
    /// Input tokens that came from a cache.
    pub cached: u64,
    /// Output tokens, reasoning included.
    pub output: u64,
    /// Reasoning tokens.
    pub reasoning: u64,
    /// Whether Polygate counted the tokens, and not the provider.
    pub estimated: bool,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageRow {
    /// Polygate's id of the request, a UUID of version 7; nil for a row of a version without such ids.
    pub id: Uuid,
    /// The client's request id, else Polygate's. Client ids may repeat, also over keys.
    pub request_id: Box<str>,
    /// When the request was accepted.
    pub at: Millis,
    /// Key id, never the key.
    pub key: String,
    /// The account that served the request; `None` when no account did.
    pub account: Option<AccountId>,
    /// The client's protocol.
    pub dialect: Cow<'static, str>,
    /// The model that served the request, else the requested model.
    pub model: String,
    /// HTTP status that the client got.
    pub status: u16,
    /// How the request ended.
    pub outcome: Outcome,
    /// Tokens.
    pub tokens: TokenUsage,
    /// Number of model POSTs.
    pub attempts: u32,
    /// Time to the first real event, milliseconds; `None` without such an event.
    pub ttft_ms: Option<u64>,
    /// Time to the end, milliseconds.
    pub duration_ms: u64,
    /// Whether the client asked for a stream.
    pub stream: bool,
    /// Notes header text; empty when nothing was dropped.
    pub notes: String,
}

/// The usage table.
#[derive(Clone)]
pub struct Usage {
    queue: mpsc::Sender<Job>,
    lost: Arc<AtomicU64>,
    task: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Usage {
    pub(crate) fn start(place: UsageTarget, retention: Retention) -> Self {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let task = tokio::spawn(Writer::new((place, retention), Arc::clone(&lost)).run(jobs));
        Self { queue, lost, task: Arc::new(Mutex::new(Some(task))) }
    }

    /// Queues a row, which is written within 250 ms. Never waits: when the writer is too far behind, the row counts as lost.
    pub fn record(&self, row: UsageRow) {
        if self.queue.try_send(Job::Row(Box::new(row))).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Tries to write every row recorded so far; returns when the rows are written or the write has failed.
    pub async fn flush(&self) {
        let (done, wait) = oneshot::channel();
        if self.queue.send(Job::Flush(done)).await.is_ok() {
            wait.await.ok();
        }
    }

    /// The newest rows, newest first, including the rows that were recorded just now.
    pub async fn rows(&self, limit: u32) -> Result<Vec<UsageRow>, Error> {
        let (done, wait) = oneshot::channel();
        self.queue.send(Job::Read(limit, done)).await.map_err(|_| Error::Closed)?;
        wait.await.map_err(|_| Error::Closed)?
    }

    /// Rows lost since the start, because the writer was too far behind or the disk refused the rows.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Writes queued rows and ends the writer.
    pub(crate) async fn close(&self) {
        let (done, wait) = oneshot::channel();
        if self.queue.send(Job::Close(done)).await.is_ok() {
            wait.await.ok();
        }
        let task = self.task.lock().take();
        if let Some(task) = task {
            task.await.ok();
        }
    }
}
