//! Jobs beside the requests. Each job is one loop that ends with the engine; requests know none of them.

mod alerts;
mod model_lists;
mod proxy_checks;
mod quota_poll;
mod refresh_schedule;
mod releases;
mod sockets;
mod store_sync;

use std::sync::Arc;

use crate::models;
use crate::request::services::Services;
pub(crate) use store_sync::StoreSync;

/// Reads the store, then starts every job. Errors: the store cannot be read; no job runs then.
pub(crate) async fn start(services: &Arc<Services>) -> Result<(), store::Error> {
    let sync = StoreSync::open(Arc::clone(services)).await?;
    releases::restore(services).await;
    models::restore(&services.models).await;
    let runtime = &services.runtime;
    // These end by themselves, after their last work.
    runtime.tasks.spawn(sync.run());
    runtime.tasks.spawn(releases::keep_current(Arc::clone(services)));
    runtime.tasks.spawn(sockets::tend_sockets(Arc::clone(services)));
    runtime.spawn_job(refresh_schedule::keep_fresh(Arc::clone(services)));
    runtime.spawn_job(model_lists::keep_listed(Arc::clone(services)));
    runtime.spawn_job(quota_poll::keep_measured(Arc::clone(services)));
    runtime.spawn_job(alerts::warn_on_events(Arc::clone(services)));
    runtime.spawn_job(proxy_checks::keep_checked(Arc::clone(services)));
    Ok(())
}
