//! Sockets between two turns: looked after beside the requests.

use std::sync::Arc;
use std::time::Duration;

use crate::core::Core;

/// Between two looks: the backend's pings wait for an answer no longer, and a socket that it closed is soon let go.
const EVERY: Duration = Duration::from_secs(15);

/// Looks after waiting sockets until the engine stops.
pub(crate) async fn tend_sockets(core: Arc<Core>) {
    loop {
        tokio::select! {
            () = core.stop.cancelled() => return core.upstream.drop_sockets(),
            () = tokio::time::sleep(EVERY) => core.upstream.tend_sockets(),
        }
    }
}
