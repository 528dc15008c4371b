//! Sockets between two turns: looked after beside the requests.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::request::services::Services;

/// Between two looks: the backend's pings wait for an answer no longer, and a socket that it closed is soon let go.
const EVERY: Duration = Duration::from_secs(15);

/// Looks after waiting sockets until the engine stops.
pub(crate) async fn tend_sockets(services: Arc<Services>) {
    while services.runtime.stop.run_until_cancelled(sleep(EVERY)).await.is_some() {
        services.runtime.upstream.maintain_sockets();
    }
    services.runtime.upstream.close_idle_sockets();
}
