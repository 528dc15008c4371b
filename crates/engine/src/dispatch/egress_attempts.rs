//! The egress routes of one call, and what the result of a call shows about its route.
//!
//! The rules are [`pool::egress`]'s. A call for an account gets its routes from [`Dispatch::egress_attempts`]; nothing that belongs to
//! an account goes out by another one.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use pool::AccountId;
use pool::egress::{Egress, EgressTable, EgressUnavailable, ProxyId, Rotation, Route, RouteHealth};
use upstream::oauth::RefreshError;
use upstream::{Fault, FaultKind, ResolvedEgress, Sent, Upstream};

use super::Dispatch;

/// Proxies that one call tries at most.
const ROUTES: usize = 3;

/// Why an account has no open egress route.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NoEgress(String);

impl From<EgressUnavailable<'_>> for NoEgress {
    fn from(unavailable: EgressUnavailable<'_>) -> Self {
        Self(unavailable.to_string())
    }
}

impl From<NoEgress> for Fault {
    fn from(none: NoEgress) -> Self {
        Self { sent: Sent::No, kind: FaultKind::Proxy, message: none.0 }
    }
}

impl From<NoEgress> for RefreshError {
    fn from(none: NoEgress) -> Self {
        let message = none.to_string();
        Self::Transient { sent: Sent::No, status: None, retry_after: None, rotated: None, message }
    }
}

/// A failure of a call that knows whether the other end may have received it.
pub(crate) trait CallFailure: From<NoEgress> + std::fmt::Display {
    /// How much of the call went out.
    fn sent(&self) -> Sent;
}

impl CallFailure for Fault {
    fn sent(&self) -> Sent {
        self.sent
    }
}

impl CallFailure for RefreshError {
    fn sent(&self) -> Sent {
        if let Self::Transient { sent, .. } = self { *sent } else { Sent::Yes }
    }
}

/// The egress routes of one call: the first, and others while nothing was sent.
pub(crate) struct EgressAttempts {
    dispatch: Arc<Dispatch>,
    egress: Egress,
    tried: Vec<ProxyId>,
}

impl Dispatch {
    /// The egress routes of a call for this account.
    pub(crate) fn egress_attempts(self: &Arc<Self>, account: &AccountId) -> EgressAttempts {
        let egress = self.registry.egress.table().egress(account).clone();
        EgressAttempts { dispatch: Arc::clone(self), egress, tried: Vec::new() }
    }

    /// The routes of this egress, for a call without an account; of the global one by default.
    pub(crate) fn egress_attempts_by(self: &Arc<Self>, egress: Option<&Egress>) -> EgressAttempts {
        let egress = egress.cloned().unwrap_or(Egress::Global);
        EgressAttempts { dispatch: Arc::clone(self), egress, tried: Vec::new() }
    }

    /// The backend by the account's egress, for a single call.
    pub(crate) fn egress(self: &Arc<Self>, account: &AccountId) -> Result<Upstream, NoEgress> {
        self.egress_attempts(account).next()
    }

    fn upstream_by(self: &Arc<Self>, table: &EgressTable, route: Route) -> Result<Upstream, NoEgress> {
        let egress = match &route {
            Route::Direct => return Ok(self.runtime.upstream.with_egress(ResolvedEgress::direct())),
            Route::Global => ResolvedEgress::global(),
            Route::Proxy(id) => ResolvedEgress::through(table.proxy(id).ok_or(EgressUnavailable::Removed)?.clone()),
        };
        // A handle may outlive the engine.
        let dispatch = Arc::downgrade(self);
        let listener = move |outcome: Result<(), &Fault>| {
            if let Some(dispatch) = dispatch.upgrade() {
                dispatch.on_call_outcome(&route, outcome);
            }
        };
        Ok(self.runtime.upstream.with_egress(egress.with_listener(listener)))
    }

    /// Records the result of a call by a route. Only a failure before any byte of the request counts against the route.
    fn on_call_outcome(&self, route: &Route, outcome: Result<(), &Fault>) {
        match outcome {
            Ok(()) if self.registry.egress.is_clean(route) => {}
            Ok(()) => self.on_route_changed(route, self.registry.egress.edit(route, RouteHealth::record_success)),
            Err(fault) if fault.sent == Sent::No && matches!(fault.kind, FaultKind::Proxy | FaultKind::Tls) => {
                let now = self.runtime.now();
                tracing::debug!(why = %fault, "an egress route failed");
                self.on_route_changed(route, self.registry.egress.edit(route, |marks| marks.record_failure(now)));
            }
            Err(_) => {}
        }
    }

    /// Logs that a route went down or came back. When it went down, the requests that wait for its accounts choose again.
    pub(super) fn on_route_changed(&self, route: &Route, changed: bool) {
        if !changed {
            return;
        }
        let table = self.registry.egress.table();
        let name = match route {
            Route::Proxy(id) => table.proxy(id).map_or("gone", |proxy| &proxy.name),
            Route::Global => "of the configuration",
            Route::Direct => "none",
        };
        if !table.down.contains_key(route) {
            tracing::info!(proxy = name, "the proxy answers again");
            self.registry.accounts.rescheduled.notify_one();
            return;
        }
        tracing::warn!(proxy = name, "the proxy does not answer; accounts that take it rest");
        for entry in self.registry.accounts.list().accounts() {
            if table.unavailable(&entry.account.id, self.runtime.now()).is_some() {
                self.limiter.requeue(&entry.account.id);
            }
        }
    }
}

impl EgressAttempts {
    /// Makes the call by one route after the other, while nothing of it was sent and the account's egress is `auto`.
    pub(crate) async fn run<T, E: CallFailure, F>(mut self, call: impl Fn(Upstream) -> F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        loop {
            match call(self.next()?).await {
                Err(error) if self.may_try_another(error.sent()) => {
                    tracing::debug!(why = %error, "another egress route is tried");
                }
                result => return result,
            }
        }
    }

    /// The backend by the next route.
    pub(crate) fn next(&mut self) -> Result<Upstream, NoEgress> {
        let table = self.dispatch.registry.egress.table();
        let number = self.dispatch.registry.egress.rotation.fetch_add(1, Ordering::Relaxed);
        let route = table.route(&self.egress, Rotation { number, tried: &self.tried }, self.dispatch.runtime.now())?;
        if let Route::Proxy(id) = &route {
            self.tried.push(id.clone());
        }
        self.dispatch.upstream_by(&table, route)
    }

    /// Whether another route may be tried after this failure.
    fn may_try_another(&self, sent: Sent) -> bool {
        let rotation = Rotation { number: 0, tried: &self.tried };
        sent == Sent::No
            && self.egress == Egress::Auto
            && self.tried.len() < ROUTES
            && self.dispatch.registry.egress.table().route(&self.egress, rotation, self.dispatch.runtime.now()).is_ok()
    }
}
