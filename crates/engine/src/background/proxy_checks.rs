//! Checks proxies at an interval.

use std::sync::Arc;
use std::time::Duration;

use pool::egress::Proxy;

use crate::request::services::Services;

/// The wall clock may jump: it is looked at this often.
const LOOK: Duration = Duration::from_secs(30);

/// Checks every proxy that is switched on when it is time, until the engine stops.
pub(crate) async fn keep_checked(services: Arc<Services>) {
    loop {
        let now = services.runtime.now();
        let (ready, later): (Vec<_>, Vec<_>) =
            services.dispatch.due_checks(now).into_iter().partition(|(at, _)| *at <= now);
        let ready: Vec<Proxy> = ready.into_iter().map(|(_, proxy)| proxy).collect();
        let next =
            later.iter().map(|(at, _)| Duration::from_millis(now.until(*at))).min().map_or(LOOK, |left| left.min(LOOK));
        let round = services.dispatch.check_round(&ready);
        tokio::select! {
            () = services.runtime.stop.cancelled() => return,
            () = round => {}
        }
        tokio::select! {
            () = services.runtime.stop.cancelled() => return,
            () = services.registry.egress.wake.notified() => {}
            () = tokio::time::sleep(next) => {}
        }
    }
}
