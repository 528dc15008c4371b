//! The schedule of fetches of model lists.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pool::{AccountId, limits};
use tokio::sync::{Notify, OwnedMutexGuard};
use tokio::time::Instant;

use crate::registry::accounts::Accounts;

/// First and longest pause after a failure; doubles in between.
const PAUSE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_hours(1));
/// The model lists to fetch.
#[derive(Default)]
pub(crate) struct ModelFetchQueue {
    pub(crate) schedule: FetchSchedule,
    /// The etag that an account's answers named when its list was last asked for. Without this memory, an etag that never matches the
    /// list's own would cause a fetch per request.
    named: Mutex<HashMap<AccountId, String>>,
    /// When a list was last asked for because a refusal contradicted it.
    doubted: Mutex<HashMap<AccountId, Instant>>,
    /// When the last round over all lists began.
    begin_round: Arc<tokio::sync::Mutex<Option<Instant>>>,
    pub(crate) wake: Notify,
}

/// When to fetch something for which account or relay.
#[derive(Default)]
pub(crate) struct FetchSchedule(Mutex<HashMap<AccountId, ScheduledFetch>>);

#[derive(Clone, Copy, Debug)]
struct ScheduledFetch {
    failures: u32,
    at: Instant,
}

/// Why a list was not fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListFetchError {
    /// The upstream, the egress or the tokens failed.
    #[error("{0}")]
    Upstream(String),
    /// A status other than 200.
    #[error("answered {0}")]
    Refused(u16),
    /// The answer is no list.
    #[error("{0}")]
    Unreadable(#[from] pool::catalog::ListError),
}

impl ModelFetchQueue {
    /// Schedules a fetch of this list now.
    pub(crate) fn request(&self, id: &AccountId) {
        self.schedule.0.lock().insert(id.clone(), ScheduledFetch { failures: 0, at: Instant::now() });
        self.wake.notify_one();
    }

    /// Schedules a fetch of a list that a refusal contradicted, at most every [`limits::MODEL_REST`], because the next list may be the
    /// same.
    pub(crate) fn request_doubted(&self, id: &AccountId) {
        let now = Instant::now();
        let mut doubted = self.doubted.lock();
        if doubted.get(id).is_some_and(|last| now < *last + limits::MODEL_REST) {
            return;
        }
        doubted.insert(id.clone(), now);
        self.request(id);
    }

    /// Begins a round over all lists, which ends with the drop of its guard; `None` while one runs, or less than `rest` after the last one
    /// began.
    pub(crate) fn round(&self, rest: Duration) -> Option<OwnedMutexGuard<Option<Instant>>> {
        let mut last = Arc::clone(&self.begin_round).try_lock_owned().ok()?;
        let now = Instant::now();
        if last.is_some_and(|last| now < last + rest) {
            return None;
        }
        *last = Some(now);
        Some(last)
    }

    /// Notes the etag of a list in an account's answer, and schedules a fetch when it is new. Relays pass on etags of their own accounts,
    /// which do not count.
    pub(crate) fn saw_etag(&self, accounts: &Accounts, id: &AccountId, etag: &str) {
        let Some(entry) = accounts.get(id).filter(|entry| entry.relay.is_none()) else { return };
        let current = entry.models.as_ref().and_then(|listing| listing.etag.clone());
        if current.as_deref().is_some_and(|current| plain(current) == plain(etag)) {
            return;
        }
        let old = self.named.lock().insert(id.clone(), etag.to_owned());
        if old.as_deref() != Some(etag) {
            self.request(id);
        }
    }

    /// Schedules the next fetch after `ttl`, because relays announce no change, and accounts only while they are used. Zero is never.
    pub(crate) fn schedule_refresh(&self, id: AccountId, ttl: Duration) {
        if !ttl.is_zero() {
            self.schedule.0.lock().entry(id).or_insert(ScheduledFetch { failures: 0, at: Instant::now() + ttl });
        }
    }
}

impl FetchSchedule {
    pub(crate) fn due(&self, now: Instant) -> Vec<(AccountId, u32)> {
        let mut wants = self.0.lock();
        let due: Vec<_> =
            wants.iter().filter(|(_, want)| want.at <= now).map(|(id, want)| (id.clone(), want.failures)).collect();
        wants.retain(|_, want| want.at > now);
        due
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.lock().values().map(|want| want.at).min()
    }

    /// Whether a fetch is scheduled.
    pub(crate) fn is_scheduled(&self, id: &AccountId) -> bool {
        self.0.lock().contains_key(id)
    }

    /// Schedules a retry, unless a fetch is scheduled already.
    pub(crate) fn retry_later(&self, id: AccountId, failures: u32) {
        let pause = PAUSE.0.saturating_mul(1 << failures.min(10)).min(PAUSE.1);
        self.0.lock().entry(id).or_insert(ScheduledFetch { failures: failures + 1, at: Instant::now() + pause });
    }

    /// Removes the scheduled fetch.
    pub(crate) fn forget(&self, id: &AccountId) {
        self.0.lock().remove(id);
    }
}

/// An etag without its weakness mark and quotes: the header inside answers carries the bare value.
fn plain(etag: &str) -> &str {
    etag.trim_start_matches("W/").trim_matches('"')
}
