//! Moves long CPU work off the threads that serve streams.

use std::future::ready;
use std::panic::resume_unwind;
use std::sync::LazyLock;
use std::thread::available_parallelism;

use futures_util::future::Either;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Largest body that is processed on the calling thread, bytes: reading, writing or compressing it takes one or two milliseconds, so
/// another thread is not worth it.
pub const INLINE: usize = 256 << 10;

/// One permit per large body in work. One core stays free for streams and small requests; further bodies wait in order.
static PERMITS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(max_concurrent()));

/// The number of large bodies that are processed at the same time.
pub fn max_concurrent() -> usize {
    available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1))
}

/// Runs `work` on a body of `len` bytes: on the calling thread up to [`INLINE`], else on a blocking thread. Dropping the future does not
/// stop work that has begun.
///
/// # Panics When `work` panics.
pub fn offload<T: Send + 'static>(
    len: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = T> + Send {
    if len <= INLINE {
        return Either::Left(ready(work()));
    }
    Either::Right(Box::pin(on_blocking_thread(work)))
}

/// Runs `work` on a blocking thread under the permits of [`offload`], whatever its size: for work that takes long per byte, such as counting
/// tokens.
///
/// # Panics When `work` panics.
pub async fn offload_always<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    on_blocking_thread(work).await
}

async fn on_blocking_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let permit = PERMITS.acquire().await.expect("invariant: nobody closes it");
    let done = spawn_blocking(move || {
        let done = work();
        drop(permit);
        done
    });
    match done.await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime is shutting down and drops this future.
            Err(_) => std::future::pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn only_large_work_leaves_the_thread() {
        let here = thread::current().id();
        for (len, leaves) in [(0, false), (INLINE, false), (INLINE + 1, true), (64 << 20, true)] {
            let there = offload(len, || thread::current().id()).await;
            assert_eq!(there != here, leaves, "{len}");
        }
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_keeps_its_lane_until_it_ends() {
        let (go, wait) = mpsc::channel::<()>();
        let mut work = Box::pin(offload(INLINE + 1, move || wait.recv().is_ok()));
        assert!((&mut work).now_or_never().is_none());
        assert_eq!(PERMITS.available_permits(), max_concurrent() - 1);
        drop(work);
        assert_eq!(PERMITS.available_permits(), max_concurrent() - 1);
        go.send(()).unwrap();
        let all = PERMITS.acquire_many(u32::try_from(max_concurrent()).unwrap()).await.unwrap();
        drop(all);
    }

    #[tokio::test]
    #[should_panic(expected = "of the work")]
    async fn a_panic_in_the_work_reaches_the_caller() {
        offload(INLINE + 1, || panic!("of the work")).await;
    }
}
