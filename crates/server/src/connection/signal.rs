//! The signal between a connection and a streamed body of one of its responses.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Waker;
use std::time::{Duration, Instant};

use futures_util::task::AtomicWaker;
use tokio::task;

/// The state that a connection and a streamed body share: whether the body must end, and when hyper took its last frame.
#[derive(Debug)]
pub(crate) struct StreamSignal {
    finish: AtomicBool,
    waker: AtomicWaker,
    /// When hyper took the last frame, in milliseconds since [`START`] and at least 1; 0 while hyper waits for a frame.
    handed: AtomicU64,
    /// The task that polls the body. Over HTTP/2, each body has its own task.
    task: Option<task::Id>,
}

/// The origin of the signals' times.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

impl StreamSignal {
    /// The signal of a body that the current task creates and will poll.
    pub(crate) fn new() -> Self {
        let (finish, waker, handed) = (AtomicBool::new(false), AtomicWaker::new(), AtomicU64::new(0));
        Self { finish, waker, handed, task: task::try_id() }
    }

    /// Makes the stream end with its protocol's failure, because the server stops.
    pub(crate) fn finish(&self) {
        self.finish.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Whether the stream must end now.
    pub(crate) fn is_finishing(&self) -> bool {
        self.finish.load(Ordering::Acquire)
    }

    /// Sets the waker that [`Self::finish`] wakes.
    pub(crate) fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// Records that hyper took a frame.
    pub(crate) fn set_handed(&self) {
        let now = u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.handed.store(now.max(1), Ordering::Relaxed);
    }

    /// Records that hyper waits for a frame, which means that the client has taken the last one.
    pub(crate) fn set_waiting(&self) {
        self.handed.store(0, Ordering::Relaxed);
    }

    /// The task of a stream whose client has not taken the last frame for `limit`.
    pub(crate) fn stalled_task(&self, limit: Duration) -> Option<task::Id> {
        let handed = self.handed.load(Ordering::Relaxed);
        let stalled = handed != 0 && START.elapsed().saturating_sub(Duration::from_millis(handed)) >= limit;
        self.task.filter(|_| stalled)
    }
}
