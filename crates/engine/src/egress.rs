//! Which way out each account's calls take, and which ways answer.
//!
//! The rules are [`pool::egress`]'s. Whoever calls the backend for an account asks [`Core::outing`] for the way; nothing that belongs to an
//! account goes out by another one.

mod api;
mod check;
mod manage;
mod transfer;
mod view;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use pool::egress::{self, Health, Marks, Proxy, ProxyId, Route, Stuck, Table, Turn};
use pool::{AccountId, Millis};
use tokio::sync::Notify;
use upstream::oauth::LoginError;
use upstream::{Fault, FaultKind, Sent, Upstream, Way};

pub(crate) use self::check::keep_checked;
pub use self::check::{ProxyCheck, check_proxies, keep_checks};
pub use self::manage::{
    ProxyChange, ProxyError, ProxyWish, add_proxy, assign, change_proxy, import_proxies, remove_proxy,
};
pub use self::transfer::{Move, Moves, Ticket};
pub use self::view::{GlobalView, ProxyView, proxy_state};
use crate::core::Core;
use crate::logins::LoginProblem;

/// Proxies that one call tries at most.
const ROUTES: usize = 3;
/// The stored setting that beats the configured interval of checks: whole minutes, 0 for none.
pub const INTERVAL: &str = "proxies.check_minutes";

/// The ways out in memory.
pub(crate) struct Egress {
    table: ArcSwap<Table>,
    /// Taken by whoever changes the table too.
    marks: Mutex<HashMap<Route, Marks>>,
    turn: AtomicU64,
    /// What the last check of the configuration's proxy found.
    global: Mutex<Option<Health>>,
    /// The stored interval, minutes; negative for none.
    minutes: AtomicI64,
    /// Proxies or the interval are others now.
    wake: Notify,
}

/// Why nothing of an account can go out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NoWay(String);

impl From<Stuck<'_>> for NoWay {
    fn from(stuck: Stuck<'_>) -> Self {
        Self(stuck.to_string())
    }
}

impl From<NoWay> for Fault {
    fn from(none: NoWay) -> Self {
        Self { sent: Sent::No, kind: FaultKind::Proxy, message: none.0 }
    }
}

/// The ways of one call: the first, and others while nothing was sent.
pub(crate) struct Outing {
    core: Arc<Core>,
    egress: egress::Egress,
    tried: Vec<ProxyId>,
}

impl Egress {
    pub(crate) fn new(global: bool) -> Self {
        Self {
            table: ArcSwap::from_pointee(Table { global, ..Table::default() }),
            marks: Mutex::default(),
            turn: AtomicU64::new(0),
            global: Mutex::default(),
            minutes: AtomicI64::new(-1),
            wake: Notify::new(),
        }
    }

    /// The ways as they are now.
    pub(crate) fn table(&self) -> Arc<Table> {
        self.table.load_full()
    }

    /// Takes over what the store holds. What was learned about a proxy's address ends with the address; a newer check counts as one of
    /// ours.
    fn adopt(&self, proxies: Vec<Proxy>, assigned: HashMap<AccountId, egress::Egress>, now: Millis) {
        let mut marks = self.marks.lock();
        let old = self.table();
        marks.retain(|route, _| match route {
            Route::Proxy(id) => proxies.iter().any(|proxy| proxy.id == *id && same(proxy, old.proxy(id))),
            Route::Direct | Route::Global => true,
        });
        for proxy in &proxies {
            let known = old.proxy(&proxy.id).filter(|known| known.address == proxy.address);
            let seen = known.and_then(|known| known.health.as_ref()).map(|health| health.checked);
            if let Some(health) = proxy.health.as_ref().filter(|health| Some(health.checked) > seen) {
                judge(marks.entry(Route::Proxy(proxy.id.clone())).or_default(), health, now);
            }
        }
        self.table.store(Arc::new(Table { proxies, assigned, down: down(&marks), global: old.global }));
    }

    /// Changes what is known about a way; `true` when it does not answer now, or does again.
    fn edit(&self, route: &Route, edit: impl FnOnce(&mut Marks)) -> bool {
        let mut all = self.marks.lock();
        let marks = all.entry(route.clone()).or_default();
        let before = marks.down();
        edit(marks);
        let after = marks.down();
        if marks.clean() {
            all.remove(route);
        }
        if before != after {
            let table = self.table();
            self.table.store(Arc::new(Table { down: down(&all), ..Table::clone(&table) }));
        }
        before.is_some() != after.is_some()
    }

    /// Whether nothing speaks against a way.
    fn clean(&self, route: &Route) -> bool {
        !self.marks.lock().contains_key(route)
    }
}

fn same(proxy: &Proxy, known: Option<&Proxy>) -> bool {
    known.is_some_and(|known| known.address == proxy.address && known.allow_private == proxy.allow_private)
}

fn down(marks: &HashMap<Route, Marks>) -> HashMap<Route, Millis> {
    marks.iter().filter_map(|(route, marks)| Some((route.clone(), marks.down()?))).collect()
}

fn judge(marks: &mut Marks, health: &Health, now: Millis) {
    if health.ok { marks.good() } else { marks.mark(now) }
}

impl Core {
    /// The ways that a call for this account may take.
    pub(crate) fn outing(self: &Arc<Self>, account: &AccountId) -> Outing {
        let egress = self.egress.table().egress(account).clone();
        Outing { core: Arc::clone(self), egress, tried: Vec::new() }
    }

    /// The ways that a call may take for which somebody named one, of a login that is no account yet; the global one when nobody did.
    pub(crate) fn outing_by(self: &Arc<Self>, egress: Option<&egress::Egress>) -> Outing {
        let egress = egress.cloned().unwrap_or(egress::Egress::Global);
        Outing { core: Arc::clone(self), egress, tried: Vec::new() }
    }

    /// A step of such a login, by the next way as long as nothing of it was sent and the choice is ours.
    pub(crate) async fn step_by<T, F>(
        self: &Arc<Self>,
        egress: Option<&egress::Egress>,
        step: impl Fn(Upstream) -> F,
    ) -> Result<T, LoginProblem>
    where
        F: Future<Output = Result<T, LoginError>>,
    {
        let mut outing = self.outing_by(egress);
        loop {
            let upstream = outing.next().map_err(|none| ProxyError::Stuck(none.to_string()))?;
            match step(upstream).await {
                Err(LoginError::Failed { sent, .. }) if outing.another(sent) => {}
                result => return Ok(result?),
            }
        }
    }

    /// The backend by the account's way, for a call that is made once.
    pub(crate) fn out(self: &Arc<Self>, account: &AccountId) -> Result<Upstream, NoWay> {
        self.outing(account).next()
    }

    /// Reads the ways from the store. The caller holds [`Core::sync`].
    pub(crate) async fn reread_ways(&self) -> Result<(), store::Error> {
        let proxies = self.store.proxies().await?;
        let assigned = self.store.egresses().await?.into_iter().collect();
        let minutes = self.store.setting(INTERVAL).await?.and_then(|text| text.parse().ok());
        self.egress.minutes.store(minutes.unwrap_or(-1), Ordering::Relaxed);
        // What is switched off keeps no connection either.
        self.upstream.retain(&proxies.iter().filter(|proxy| proxy.enabled).cloned().collect::<Vec<_>>());
        self.egress.adopt(proxies, assigned, self.now());
        self.egress.wake.notify_one();
        self.accounts.rescheduled.notify_one();
        Ok(())
    }

    fn way(self: &Arc<Self>, table: &Table, route: Route) -> Result<Upstream, NoWay> {
        let way = match &route {
            Route::Direct => return Ok(self.upstream.over(Way::direct())),
            Route::Global => Way::global(),
            Route::Proxy(id) => Way::through(table.proxy(id).ok_or(Stuck::Gone)?.clone()),
        };
        // A handle may outlive the engine.
        let core = Arc::downgrade(self);
        let heard = move |outcome: Result<(), &Fault>| {
            if let Some(core) = core.upgrade() {
                core.heard(&route, outcome);
            }
        };
        Ok(self.upstream.over(way.heard(heard)))
    }

    /// A call by a way came to this. Only what no byte of the request passed speaks against the way.
    fn heard(&self, route: &Route, outcome: Result<(), &Fault>) {
        match outcome {
            Ok(()) if self.egress.clean(route) => {}
            Ok(()) => self.turned(route, self.egress.edit(route, Marks::good)),
            Err(fault) if fault.sent == Sent::No && matches!(fault.kind, FaultKind::Proxy | FaultKind::Tls) => {
                let now = self.now();
                tracing::debug!(why = %fault, "a way out failed");
                self.turned(route, self.egress.edit(route, |marks| marks.fail(now)));
            }
            Err(_) => {}
        }
    }

    /// Says that a way does not answer, or does again, and sends those who wait for an account that takes it to choose again.
    fn turned(&self, route: &Route, changed: bool) {
        if !changed {
            return;
        }
        let table = self.egress.table();
        let name = match route {
            Route::Proxy(id) => table.proxy(id).map_or("gone", |proxy| &proxy.name),
            Route::Global => "of the configuration",
            Route::Direct => "none",
        };
        if !table.down.contains_key(route) {
            tracing::info!(proxy = name, "the proxy answers again");
            self.accounts.rescheduled.notify_one();
            return;
        }
        tracing::warn!(proxy = name, "the proxy does not answer; accounts that take it rest");
        for entry in self.accounts.list().iter().filter(|entry| entry.relay.is_none()) {
            if table.stuck(&entry.account.id, self.now()).is_some() {
                self.slots.scatter(&entry.account.id);
            }
        }
    }
}

impl Outing {
    /// The backend by the next way.
    pub(crate) fn next(&mut self) -> Result<Upstream, NoWay> {
        let table = self.core.egress.table();
        let number = self.core.egress.turn.fetch_add(1, Ordering::Relaxed);
        let route = table.route(&self.egress, Turn { number, tried: &self.tried }, self.core.now())?;
        if let Route::Proxy(id) = &route {
            self.tried.push(id.clone());
        }
        self.core.way(&table, route)
    }

    /// Whether a call of which nothing was sent may try another way: only where its owner left the choice to us.
    pub(crate) fn another(&self, sent: Sent) -> bool {
        let turn = Turn { number: 0, tried: &self.tried };
        sent == Sent::No
            && self.egress == egress::Egress::Auto
            && self.tried.len() < ROUTES
            && self.core.egress.table().route(&self.egress, turn, self.core.now()).is_ok()
    }
}
