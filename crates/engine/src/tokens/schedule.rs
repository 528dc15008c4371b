//! Refreshes tokens before requests need it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use pool::{AccountId, Millis};
use tokio::time::Instant;
use upstream::oauth::RefreshReason;

use super::RefreshRequest;
use super::TokenService;
use crate::registry::accounts::AccountEntry;

/// Longest pause between two looks, because the wall clock may jump (sleep, correction).
const LOOK: Duration = Duration::from_secs(30);

/// When each overdue account may begin. Accounts that become overdue together, as after a sleep, begin one after the other.
#[derive(Default)]
pub(crate) struct StaggeredStarts(HashMap<AccountId, Instant>);

impl StaggeredStarts {
    /// Takes the overdue accounts that may begin now; the others keep their times.
    fn take(&mut self, overdue: Vec<AccountId>, now: Instant) -> Vec<AccountId> {
        let all: HashSet<&AccountId> = overdue.iter().collect();
        self.0.retain(|id, _| all.contains(id));
        let new: Vec<&AccountId> = overdue.iter().filter(|id| !self.0.contains_key(id)).collect();
        let times: Vec<_> = (0..new.len()).map(|nth| now + pool::refresh::stagger(nth, new.len())).collect();
        let new: Vec<_> = new.into_iter().cloned().zip(times).collect();
        self.0.extend(new);
        let ready = overdue.into_iter().filter(|id| self.0.get(id).is_some_and(|at| *at <= now)).collect::<Vec<_>>();
        for id in &ready {
            self.0.remove(id);
        }
        ready
    }

    /// The time until the next start.
    fn wait(&self, now: Instant) -> Option<Duration> {
        self.0.values().map(|at| at.saturating_duration_since(now)).min()
    }
}

impl TokenService {
    /// Resumes refreshes that a crash interrupted: the token is tried once, else the account needs a login.
    pub(crate) async fn resume(self: &Arc<Self>) {
        let cut = self.runtime.store.interrupted_refreshes(self.runtime.now()).await;
        let cut = cut.inspect_err(|error| tracing::warn!(%error, "interrupted refreshes are not known yet"));
        for id in cut.unwrap_or_default() {
            self.start(&id);
        }
    }

    /// Starts the refreshes that are due, and returns the time until the next look.
    pub(crate) fn begin_due(self: &Arc<Self>, starts: &mut StaggeredStarts) -> Duration {
        let now = self.runtime.now();
        let mut next = LOOK;
        let mut overdue = Vec::new();
        for entry in self.registry.accounts.list().iter() {
            match self.due(entry) {
                Some(due) if due <= now => overdue.push(entry.account.id.clone()),
                Some(due) => next = next.min(Duration::from_millis(now.until(due))),
                None => {}
            }
        }
        let moment = Instant::now();
        for id in starts.take(overdue, moment) {
            self.start(&id);
        }
        starts.wait(moment).map_or(next, |wait| wait.min(next)).max(Duration::from_millis(1))
    }

    /// When the account's tokens are due, by our clock; `None` when no refresh is needed or possible.
    fn due(&self, entry: &AccountEntry) -> Option<Millis> {
        let id = &entry.account.id;
        if is_over(entry) || self.is_refreshing(id) {
            return None;
        }
        let now = self.runtime.now();
        let due = self.runtime.skew.to_local(pool::refresh::due(entry.tokens.as_deref()?, entry.jitter)?);
        let due = self.pause(id, now).map_or(due, |pause| due.max(pause.until));
        let cooldown = entry.refresh_cooldown();
        let due = if cooldown.is_zero() { due } else { due.max(now.after(cooldown)) };
        // Not before its egress is open again, which wakes the schedule, or worth another try.
        let table = self.registry.egress.table();
        Some(
            table
                .unavailable(id, now)
                .map_or(due, |unavailable| due.max(unavailable.until().unwrap_or(now.after(LOOK)))),
        )
    }

    /// Starts a refresh in its own task.
    fn start(self: &Arc<Self>, id: &AccountId) {
        let Some(entry) = self.registry.accounts.get(id).filter(|entry| !is_over(entry)) else { return };
        if let Some(tokens) = &entry.tokens {
            drop(self.refresh(id, RefreshRequest::background(tokens, RefreshReason::ProactiveExpiry)));
        }
    }
}

/// Whether the account's status allows no refresh.
fn is_over(entry: &AccountEntry) -> bool {
    !entry.account.status.refreshes()
}
