//! Checks of proxies, at an interval and on demand.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt;
use pool::Millis;
use pool::egress::{Health, Proxy, ProxyId, Route};
use upstream::{ResolvedEgress, Upstream};
use url::Url;

use super::Dispatch;
use crate::registry::egress::apply_check;

/// Longest wait for one answer.
const LIMIT: Duration = Duration::from_secs(10);
/// Checks at the same time.
const PARALLEL: usize = 8;

/// A proxy with the result of its check.
pub type ProxyCheck = (ProxyId, Health);

/// Checks proxies: first by the echo service, which also returns the exit address, then by the backend, without credentials, because a
/// failure may be the echo service's own.
pub async fn check_proxies(upstream: &Upstream, echo: &Url, proxies: &[Proxy], now: Millis) -> Vec<ProxyCheck> {
    let one = async |proxy: &Proxy| {
        let upstream = upstream.with_egress(ResolvedEgress::through(proxy.clone()));
        (proxy.id.clone(), check(&upstream, echo, now).await)
    };
    futures_util::stream::iter(proxies).map(one).buffered(PARALLEL).collect().await
}

async fn check(upstream: &Upstream, echo: &Url, now: Millis) -> Health {
    let failed = match upstream.echo(echo, LIMIT).await {
        Ok(exit) => {
            let latency_ms = u64::try_from(exit.latency.as_millis()).ok();
            return Health { ok: true, exit_ip: Some(exit.ip), latency_ms, checked: now, error: None };
        }
        Err(fault) => fault,
    };
    let reached = tokio::time::timeout(LIMIT, upstream.check_reachable()).await.is_ok_and(|reached| reached.is_ok());
    let error = if reached {
        format!("the backend answers through it, the echo service does not: {failed}")
    } else {
        failed.to_string()
    };
    Health { ok: reached, exit_ip: None, latency_ms: None, checked: now, error: Some(error) }
}

impl Dispatch {
    /// Between two checks; `None` for no checks.
    pub(crate) fn check_interval(&self) -> Option<Duration> {
        let stored = u64::try_from(self.registry.egress.minutes.load(Ordering::Relaxed)).ok();
        let interval =
            stored.map_or(self.runtime.settings.proxies.interval, |minutes| Duration::from_secs(minutes * 60));
        (!interval.is_zero()).then_some(interval)
    }

    /// When each proxy is due; none without an interval. A proxy with a check in the future is due now, because the clock was set back.
    pub(crate) fn due_checks(&self, now: Millis) -> Vec<(Millis, Proxy)> {
        let Some(interval) = self.check_interval() else { return Vec::new() };
        let table = self.registry.egress.table();
        let enabled = table.proxies.iter().filter(|proxy| proxy.enabled);
        let due = |proxy: &Proxy| match &proxy.health {
            Some(health) if health.checked <= now => health.checked.after(interval),
            _ => now,
        };
        enabled.map(|proxy| (due(proxy), proxy.clone())).collect()
    }

    pub(crate) async fn check_round(&self, proxies: &[Proxy]) {
        if !proxies.is_empty()
            && let Err(error) = self.check_now(proxies).await
        {
            tracing::warn!(%error, "what checks of proxies found is not stored");
        }
        let now = self.runtime.now();
        let last = self.registry.egress.global.lock().as_ref().map(|health| health.checked);
        let is_due = |interval| last.is_none_or(|last| last > now || last.after(interval) <= now);
        let due = self.check_interval().is_some_and(is_due);
        if due && self.registry.egress.table().global {
            self.check_global().await;
        }
    }

    pub(crate) async fn check_global(&self) {
        let upstream = self.runtime.upstream.with_egress(ResolvedEgress::global());
        let health = check(&upstream, &self.runtime.settings.proxies.echo, self.runtime.now()).await;
        let changed = self.registry.egress.edit(&Route::Global, |marks| apply_check(marks, &health, health.checked));
        *self.registry.egress.global.lock() = Some(health);
        self.on_route_changed(&Route::Global, changed);
    }

    /// Checks these proxies, and applies and stores the results.
    pub(crate) async fn check_now(&self, proxies: &[Proxy]) -> Result<(), store::Error> {
        let echo = &self.runtime.settings.proxies.echo;
        let checks = check_proxies(&self.runtime.upstream, echo, proxies, self.runtime.now()).await;
        for (id, health) in &checks {
            let route = Route::Proxy(id.clone());
            let changed = self.registry.egress.edit(&route, |marks| apply_check(marks, health, health.checked));
            self.on_route_changed(&route, changed);
        }
        let _guard = self.registry.lock_reload().await;
        let stored = self.runtime.store.set_proxy_health(&checks).await;
        self.registry.egress.checked(&checks);
        stored
    }
}
