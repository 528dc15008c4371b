//! Checks proxies at an interval.

use std::sync::Arc;
use std::time::Duration;

use pool::egress::Proxy;
use tokio::time::timeout;

use crate::request::services::Services;

/// The wall clock may jump: it is looked at this often.
const LOOK: Duration = Duration::from_secs(30);

/// Checks every proxy that is switched on when its check is due.
pub(crate) async fn keep_checked(services: Arc<Services>) {
    loop {
        let now = services.runtime.now();
        let checks = services.dispatch.due_checks(now);
        let (ready, later): (Vec<_>, Vec<_>) = checks.into_iter().partition(|(at, _)| *at <= now);
        let ready: Vec<Proxy> = ready.into_iter().map(|(_, proxy)| proxy).collect();
        let next = later.iter().map(|(at, _)| Duration::from_millis(now.until(*at))).min();
        services.dispatch.check_round(&ready).await;
        let pause = next.map_or(LOOK, |left| left.min(LOOK));
        let _ = timeout(pause, services.registry.egress.wake.notified()).await;
    }
}
