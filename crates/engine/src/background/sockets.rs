//! Maintains the idle sockets.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::request::services::Services;

/// Between two rounds: pings of the backend wait no longer for an answer, and closed sockets are released.
const EVERY: Duration = Duration::from_secs(15);

/// Maintains idle sockets until the engine stops, then closes them.
pub(crate) async fn tend_sockets(services: Arc<Services>) {
    while services.runtime.stop.run_until_cancelled(sleep(EVERY)).await.is_some() {
        services.runtime.upstream.maintain_sockets();
    }
    services.runtime.upstream.close_idle_sockets();
}
