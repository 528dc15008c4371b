//! Fetches model lists as they are asked for.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use crate::models::{PARALLEL, fetch_one, retry_routing};
use crate::request::services::Services;

/// The longest time between two looks.
const LOOK: Duration = Duration::from_hours(1);

/// Fetches lists as they are asked for.
pub(crate) async fn keep_listed(services: Arc<Services>) {
    loop {
        services.registry.accounts.forget_old_limits(services.runtime.now());
        let now = Instant::now();
        let (lists, routes) =
            (services.dispatch.model_queue.schedule.due(now), services.dispatch.routes.retries.due(now));
        let lists = stream::iter(lists)
            .for_each_concurrent(PARALLEL, |(id, failures)| fetch_one(Arc::clone(&services.models), id, failures));
        let routes = stream::iter(routes)
            .for_each_concurrent(PARALLEL, |(id, failures)| retry_routing(Arc::clone(&services.models), id, failures));
        join(lists, routes).await;
        let next = [services.dispatch.model_queue.schedule.next(), services.dispatch.routes.retries.next()];
        let next = next.into_iter().flatten().min().unwrap_or_else(|| Instant::now() + LOOK);
        let _ = timeout_at(next, services.dispatch.model_queue.wake.notified()).await;
    }
}
