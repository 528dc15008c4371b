//! Checks of proxies: beside the requests at an interval, and when somebody asks.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt;
use pool::Millis;
use pool::egress::{Health, Proxy, ProxyId, Route};
use store::Store;
use upstream::{Upstream, Way};
use url::Url;

use super::{ProxyError, judge};
use crate::core::Core;
use crate::engine::Engine;

/// Longest wait for one answer.
const LIMIT: Duration = Duration::from_secs(10);
/// Checks at the same time.
const PARALLEL: usize = 8;
/// The wall clock may jump: it is looked at this often.
const LOOK: Duration = Duration::from_secs(30);

/// A proxy, and what its check found.
pub type ProxyCheck = (ProxyId, Health);

/// Checks proxies: first the echo service, which also tells the exit address; where that does not answer, the backend, without
/// credentials. What the echo service cannot do says nothing about the proxy.
pub async fn check_proxies(upstream: &Upstream, echo: &Url, proxies: &[Proxy], now: Millis) -> Vec<ProxyCheck> {
    let one = async |proxy: &Proxy| {
        let way = upstream.over(Way::through(proxy.clone()));
        (proxy.id.clone(), check(&way, echo, now).await)
    };
    futures_util::stream::iter(proxies).map(one).buffered(PARALLEL).collect().await
}

async fn check(way: &Upstream, echo: &Url, now: Millis) -> Health {
    let failed = match way.echo(echo, LIMIT).await {
        Ok(seen) => {
            let latency_ms = u64::try_from(seen.latency.as_millis()).ok();
            return Health { ok: true, exit_ip: Some(seen.ip), latency_ms, checked: now, error: None };
        }
        Err(fault) => fault,
    };
    let reached = tokio::time::timeout(LIMIT, way.reach()).await.is_ok_and(|reached| reached.is_ok());
    let error = if reached {
        format!("the backend answers through it, the echo service does not: {failed}")
    } else {
        failed.to_string()
    };
    Health { ok: reached, exit_ip: None, latency_ms: None, checked: now, error: Some(error) }
}

/// Checks every proxy that is switched on when it is time, until the engine stops.
pub(crate) async fn keep_checked(core: Arc<Core>) {
    loop {
        let now = core.now();
        let (ready, later): (Vec<_>, Vec<_>) = core.due_checks(now).into_iter().partition(|(at, _)| *at <= now);
        let ready: Vec<Proxy> = ready.into_iter().map(|(_, proxy)| proxy).collect();
        let next =
            later.iter().map(|(at, _)| Duration::from_millis(now.until(*at))).min().map_or(LOOK, |left| left.min(LOOK));
        let round = core.check_round(&ready);
        tokio::select! {
            () = core.stop.cancelled() => return,
            () = round => {}
        }
        tokio::select! {
            () = core.stop.cancelled() => return,
            () = core.egress.wake.notified() => {}
            () = tokio::time::sleep(next) => {}
        }
    }
}

impl Core {
    /// Between two checks; `None` for no checks.
    pub(crate) fn check_interval(&self) -> Option<Duration> {
        let stored = u64::try_from(self.egress.minutes.load(Ordering::Relaxed)).ok();
        let interval = stored.map_or(self.settings.proxies.interval, |minutes| Duration::from_secs(minutes * 60));
        (!interval.is_zero()).then_some(interval)
    }

    /// When each proxy is due, none without an interval; a check that lies ahead was made by a clock that was set back.
    fn due_checks(&self, now: Millis) -> Vec<(Millis, Proxy)> {
        let Some(interval) = self.check_interval() else { return Vec::new() };
        let interval = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX);
        let table = self.egress.table();
        let enabled = table.proxies.iter().filter(|proxy| proxy.enabled);
        let due = |proxy: &Proxy| match &proxy.health {
            Some(health) if health.checked <= now => health.checked.plus(interval),
            _ => now,
        };
        enabled.map(|proxy| (due(proxy), proxy.clone())).collect()
    }

    async fn check_round(&self, proxies: &[Proxy]) {
        if !proxies.is_empty() {
            let found = check_proxies(&self.upstream, &self.settings.proxies.echo, proxies, self.now()).await;
            if let Err(error) = self.take(&found).await {
                tracing::warn!(%error, "what checks of proxies found is not stored");
            }
        }
        let now = self.now();
        let last = self.egress.global.lock().as_ref().map(|health| health.checked);
        let interval = self.check_interval().and_then(|interval| i64::try_from(interval.as_millis()).ok());
        let due = interval.is_some_and(|interval| last.is_none_or(|last| last > now || last.plus(interval) <= now));
        if due && self.egress.table().global {
            self.check_global().await;
        }
    }

    async fn check_global(&self) {
        let way = self.upstream.over(Way::global());
        let health = check(&way, &self.settings.proxies.echo, self.now()).await;
        let changed = self.egress.edit(&Route::Global, |marks| judge(marks, &health, health.checked));
        *self.egress.global.lock() = Some(health);
        self.turned(&Route::Global, changed);
    }

    /// Takes over what checks found, and keeps it.
    async fn take(&self, found: &[ProxyCheck]) -> Result<(), store::Error> {
        for (id, health) in found {
            let route = Route::Proxy(id.clone());
            let changed = self.egress.edit(&route, |marks| judge(marks, health, health.checked));
            self.turned(&route, changed);
        }
        let _turn = self.sync.lock().await;
        let kept = self.store.set_proxy_health(found).await;
        self.egress.checked(found);
        kept
    }
}

impl super::Egress {
    /// Notes what checks found, so that nobody takes them for new when the store is read again.
    fn checked(&self, found: &[ProxyCheck]) {
        let _one_writer = self.marks.lock();
        let mut table = pool::egress::Table::clone(&self.table());
        for (id, health) in found {
            if let Some(proxy) = table.proxies.iter_mut().find(|proxy| proxy.id == *id) {
                proxy.health = Some(health.clone());
            }
        }
        self.table.store(Arc::new(table));
    }
}

impl Engine {
    /// Checks one proxy now.
    ///
    /// # Errors
    /// [`ProxyError::Unknown`]; that a check fails is no error.
    pub async fn check_proxy(&self, id: &str) -> Result<super::ProxyView, ProxyError> {
        let table = self.0.egress.table();
        let proxy = table.named(id).ok_or(ProxyError::Unknown)?.clone();
        self.0.check_now(std::slice::from_ref(&proxy)).await?;
        self.proxy(&proxy.id).ok_or(ProxyError::Unknown)
    }

    /// Checks every proxy now, and that of the configuration.
    ///
    /// # Errors
    /// [`ProxyError::Store`].
    pub async fn check_every_proxy(&self) -> Result<Vec<super::ProxyView>, ProxyError> {
        let proxies = self.0.egress.table().proxies.clone();
        self.0.check_now(&proxies).await?;
        if self.0.egress.table().global {
            self.0.check_global().await;
        }
        Ok(self.proxies())
    }
}

impl Core {
    async fn check_now(&self, proxies: &[Proxy]) -> Result<(), ProxyError> {
        let found = check_proxies(&self.upstream, &self.settings.proxies.echo, proxies, self.now()).await;
        Ok(self.take(&found).await?)
    }
}

/// Keeps what checks found, for commands beside a running gateway.
///
/// # Errors
/// [`ProxyError::Store`].
pub async fn keep_checks(store: &Store, found: &[ProxyCheck]) -> Result<(), ProxyError> {
    Ok(store.set_proxy_health(found).await?)
}
