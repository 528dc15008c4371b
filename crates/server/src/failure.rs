//! Catches panics in requests, and logs why a request failed.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use proto::{Dialect, Failure, Kind};

use crate::response::Rejection;
use crate::route::Route;

/// A handler panicked. The payload is dropped, because it may hold parts of the request; the panic hook has logged the place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Panicked;

/// Catches a panic, so that it does not end the connection, which other requests may share.
pub(crate) async fn catch_panic<T>(handling: impl Future<Output = T>) -> Result<T, Panicked> {
    AssertUnwindSafe(handling).catch_unwind().await.map_err(|_payload| Panicked)
}

/// Logs that a handler panicked, and returns the rejection.
pub(crate) fn panic_rejection(id: &str, route: Option<&Route>) -> Rejection {
    tracing::error!(request = %id, route = route.map(|route| route.path), "a handler panicked");
    Rejection::from(Failure::new(Kind::Internal, "The gateway failed on this request"))
}

/// Logs an error of the store in a part of the admin API, and returns the rejection.
pub(crate) fn log_store_rejection(part: &str, error: &impl std::fmt::Display) -> Rejection {
    tracing::error!(%error, "{part}");
    Failure::new(Kind::Internal, "The store failed; see the log").into()
}

/// Logs why a client gets a 5xx. An upstream's message is left out, because it may hold parts of the prompt.
pub(crate) fn log_failure(id: &str, route: Option<&Route>, rejection: &Rejection, dialect: Dialect) {
    let failure = &rejection.failure;
    let status = rejection.status.map_or_else(|| dialect.error(failure).0, |status| status.as_u16());
    if status < 500 {
        return;
    }
    let ours = !matches!(failure.kind, Kind::Upstream | Kind::Timeout);
    let reason = ours.then(|| &failure.message[..failure.message.floor_char_boundary(REASON)]);
    let header = |name: &str| rejection.headers.get(name).and_then(|value| value.to_str().ok());
    tracing::warn!(
        request = %id,
        route = route.map(|route| route.path),
        status,
        model = header("x-polygate-model"),
        provider = header("x-polygate-account"),
        code = failure.code.as_deref(),
        kind = ?failure.kind,
        reason,
        "{}",
        if ours { "a request failed" } else { "a request failed upstream" }
    );
}

/// The longest reason in the log, bytes.
const REASON: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_stays_with_its_request() {
        assert_eq!(catch_panic(async { 7 }).await, Ok(7));
        let panicking = async {
            tokio::task::yield_now().await;
            assert!(std::hint::black_box(false), "with a secret in it");
        };
        assert_eq!(catch_panic(panicking).await, Err(Panicked));
    }
}
