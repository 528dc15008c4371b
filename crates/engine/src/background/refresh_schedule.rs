//! Refreshes tokens before requests need it.

use std::sync::Arc;

use tokio::time::timeout;

use crate::request::services::Services;
use crate::tokens::StaggeredStarts;

/// Starts refreshes when they are due.
pub(crate) async fn keep_fresh(services: Arc<Services>) {
    services.tokens.resume().await;
    let mut starts = StaggeredStarts::default();
    loop {
        let pause = services.tokens.begin_due(&mut starts);
        let _ = timeout(pause, services.registry.accounts.rescheduled.notified()).await;
    }
}
