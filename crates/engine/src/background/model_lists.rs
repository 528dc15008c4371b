//! Fetches model lists as they are asked for.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use crate::models::{PARALLEL, again, one};
use crate::request::services::Services;

/// The longest time between two looks.
const LOOK: Duration = Duration::from_hours(1);

/// Fetches lists as they are asked for.
pub(crate) async fn keep_listed(services: Arc<Services>) {
    loop {
        services.registry.accounts.forget_old_limits(services.runtime.now());
        let now = Instant::now();
        let (lists, routes) = (services.dispatch.model_queue.wants.due(now), services.dispatch.routes.again.due(now));
        let lists = stream::iter(lists)
            .for_each_concurrent(PARALLEL, |(id, failures)| one(Arc::clone(&services.models), id, failures));
        let routes = stream::iter(routes)
            .for_each_concurrent(PARALLEL, |(id, failures)| again(Arc::clone(&services.models), id, failures));
        join(lists, routes).await;
        let next = [services.dispatch.model_queue.wants.next(), services.dispatch.routes.again.next()];
        let next = next.into_iter().flatten().min().unwrap_or_else(|| Instant::now() + LOOK);
        let _ = timeout_at(next, services.dispatch.model_queue.wake.notified()).await;
    }
}
