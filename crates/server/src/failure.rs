//! Failures of requests: panics are caught, and the log says why a request failed.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use proto::{Dialect, Failure, Kind};

use crate::reply::Denied;
use crate::route::Route;

/// A handler panicked. The payload is dropped: it may hold anything of the request, and the panic hook has said where it was.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Panicked;

/// Keeps a panic from ending the connection, which other requests may share.
pub(crate) async fn caught<T>(handling: impl Future<Output = T>) -> Result<T, Panicked> {
    AssertUnwindSafe(handling).catch_unwind().await.map_err(|_payload| Panicked)
}

/// The answer to a request whose handler panicked; says so in the log.
pub(crate) fn panicked(id: &str, route: Option<&Route>) -> Denied {
    tracing::error!(request = %id, route = route.map(|route| route.path), "a handler panicked");
    Denied::from(Failure::new(Kind::Internal, "The gateway failed on this request"))
}

/// Says in the log why a client gets a failure that is not its own. An upstream's message stays out: it may hold parts of the prompt.
pub(crate) fn failed(id: &str, route: Option<&Route>, denied: &Denied, dialect: Dialect) {
    let failure = &denied.failure;
    let status = denied.status.map_or_else(|| dialect.error(failure).0, |status| status.as_u16());
    if status < 500 {
        return;
    }
    let ours = !matches!(failure.kind, Kind::Upstream | Kind::Timeout);
    let reason = ours.then(|| &failure.message[..failure.message.floor_char_boundary(REASON)]);
    let said = |name: &str| denied.headers.get(name).and_then(|value| value.to_str().ok());
    tracing::warn!(
        request = %id,
        route = route.map(|route| route.path),
        status,
        model = said("x-polygate-model"),
        provider = said("x-polygate-account"),
        code = failure.code.as_deref(),
        kind = ?failure.kind,
        reason,
        "{}",
        if ours { "a request failed" } else { "a request failed upstream" }
    );
}

/// Most bytes of a reason in the log.
const REASON: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_stays_with_its_request() {
        assert_eq!(caught(async { 7 }).await, Ok(7));
        let panicking = async {
            tokio::task::yield_now().await;
            assert!(std::hint::black_box(false), "with a secret in it");
        };
        assert_eq!(caught(panicking).await, Err(Panicked));
    }
}
