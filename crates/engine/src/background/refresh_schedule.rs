//! Refreshes tokens before requests need it.

use std::sync::Arc;

use crate::request::services::Services;
use crate::tokens::StaggeredStarts;

/// Starts refreshes when they are due, until the engine stops.
pub(crate) async fn keep_fresh(services: Arc<Services>) {
    services.tokens.resume().await;
    let mut turns = StaggeredStarts::default();
    loop {
        let pause = services.tokens.begin_due(&mut turns);
        tokio::select! {
            () = services.runtime.stop.cancelled() => return,
            () = services.registry.accounts.rescheduled.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
