//! Egress in memory: the stored proxies, their assignment to accounts, and their health.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use pool::egress::{self, EgressTable, Health, Proxy, ProxyId, Route, RouteHealth};
use pool::{AccountId, Millis};
use tokio::sync::Notify;

/// The stored setting that beats the configured interval of checks: whole minutes, 0 for none.
pub const INTERVAL: &str = "proxies.check_minutes";

/// Egress in memory.
pub(crate) struct Egress {
    table: ArcSwap<EgressTable>,
    /// Also held by every writer of the table.
    marks: Mutex<HashMap<Route, RouteHealth>>,
    pub(crate) rotation: AtomicU64,
    /// The result of the last check of the configuration's proxy.
    pub(crate) global: Mutex<Option<Health>>,
    /// The stored interval, minutes; negative for none.
    pub(crate) minutes: AtomicI64,
    /// Proxies or the interval changed.
    pub(crate) wake: Notify,
}

impl Egress {
    pub(crate) fn new(global: bool) -> Self {
        Self {
            table: ArcSwap::from_pointee(EgressTable { global, ..EgressTable::default() }),
            marks: Mutex::default(),
            rotation: AtomicU64::new(0),
            global: Mutex::default(),
            minutes: AtomicI64::new(-1),
            wake: Notify::new(),
        }
    }

    /// The current table.
    pub(crate) fn table(&self) -> Arc<EgressTable> {
        self.table.load_full()
    }

    /// Applies the stored proxies and assignments. The health of a proxy ends with its address; a newer stored check counts as one of
    /// ours.
    pub(crate) fn adopt(&self, proxies: Vec<Proxy>, assigned: HashMap<AccountId, egress::Egress>, now: Millis) {
        let mut marks = self.marks.lock();
        let old = self.table();
        marks.retain(|route, _| match route {
            Route::Proxy(id) => proxies.iter().any(|proxy| proxy.id == *id && same(proxy, old.proxy(id))),
            Route::Direct | Route::Global => true,
        });
        for proxy in &proxies {
            let known = old.proxy(&proxy.id).filter(|known| known.address == proxy.address);
            let last_check = known.and_then(|known| known.health.as_ref()).map(|health| health.checked);
            if let Some(health) = proxy.health.as_ref().filter(|health| Some(health.checked) > last_check) {
                apply_check(marks.entry(Route::Proxy(proxy.id.clone())).or_default(), health, now);
            }
        }
        self.table.store(Arc::new(EgressTable { proxies, assigned, down: down_until(&marks), global: old.global }));
    }

    /// Changes the health of a route; `true` when it went down or came back.
    pub(crate) fn edit(&self, route: &Route, edit: impl FnOnce(&mut RouteHealth)) -> bool {
        let mut all = self.marks.lock();
        let marks = all.entry(route.clone()).or_default();
        let before = marks.resting_until();
        edit(marks);
        let after = marks.resting_until();
        if marks.is_clean() {
            all.remove(route);
        }
        if before != after {
            let table = self.table();
            self.table.store(Arc::new(EgressTable { down: down_until(&all), ..EgressTable::clone(&table) }));
        }
        before.is_some() != after.is_some()
    }

    /// Records the results of checks, so that the next reload does not count them as new.
    pub(crate) fn checked(&self, checks: &[(ProxyId, Health)]) {
        let _one_writer = self.marks.lock();
        let mut table = EgressTable::clone(&self.table());
        for (id, health) in checks {
            if let Some(proxy) = table.proxies.iter_mut().find(|proxy| proxy.id == *id) {
                proxy.health = Some(health.clone());
            }
        }
        self.table.store(Arc::new(table));
    }

    /// Whether a route has no recorded failure.
    pub(crate) fn is_clean(&self, route: &Route) -> bool {
        !self.marks.lock().contains_key(route)
    }
}

fn same(proxy: &Proxy, known: Option<&Proxy>) -> bool {
    known.is_some_and(|known| known.address == proxy.address && known.allow_private == proxy.allow_private)
}

fn down_until(marks: &HashMap<Route, RouteHealth>) -> HashMap<Route, Millis> {
    marks.iter().filter_map(|(route, marks)| Some((route.clone(), marks.resting_until()?))).collect()
}

/// Applies the result of a check.
pub(crate) fn apply_check(marks: &mut RouteHealth, health: &Health, now: Millis) {
    if health.ok { marks.record_success() } else { marks.mark_down(now) }
}
