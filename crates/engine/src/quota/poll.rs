//! Asks for figures before they are old: paced over the interval, each account at an instant of its own, two at a time at most.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use pool::quota::poll::{Asked, Pace};
use pool::{AccountId, Millis};

use super::QuotaError;
use crate::core::Core;

/// Accounts asked at the same time.
const PARALLEL: usize = 2;
/// The wall clock may jump, and accounts come and go: it is looked at this often, or more often where figures are wanted newer.
const LOOK: Duration = Duration::from_secs(30);

/// What was asked of whom.
type Book = HashMap<AccountId, Asked>;

/// Asks until the engine stops.
pub(crate) async fn keep_measured(core: Arc<Core>) {
    let every = core.settings.quota_every;
    if every.is_zero() {
        return;
    }
    let (since, mut book) = (core.now(), Book::new());
    loop {
        let round = round(&core, &mut book, since);
        let pause = tokio::select! {
            () = core.stop.cancelled() => return,
            pause = round => pause,
        };
        tokio::select! {
            () = core.stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Asks those who are due first, and says how long to wait then.
async fn round(core: &Arc<Core>, book: &mut Book, since: Millis) -> Duration {
    let (list, now) = (core.accounts.list(), core.now());
    let own: Vec<_> = list.iter().filter(|entry| entry.relay.is_none()).collect();
    let pace = Pace { every: core.settings.quota_every, accounts: own.len(), since };
    book.retain(|id, _| list.get(id).is_some());
    let mut due: Vec<(Millis, &AccountId)> = Vec::new();
    for entry in own {
        let account = &entry.account;
        let asked = book.entry(account.id.clone()).or_insert_with(fresh);
        due.extend(pace.due(&account.status, (account.quota.updated, now), asked).map(|at| (at, &account.id)));
    }
    due.sort_unstable();
    let first: Vec<_> =
        due.iter().take_while(|(at, _)| *at <= now).take(PARALLEL).map(|(_, id)| (*id).clone()).collect();
    if first.is_empty() {
        let look = LOOK.min(pace.every / 4);
        let next = due.first().map_or(look, |(at, _)| Duration::from_millis(now.until(*at).max(1)));
        return next.min(look);
    }
    let asks = first.into_iter().map(async |id| {
        let good = one(core, &id).await;
        (id, good)
    });
    let done = futures_util::future::join_all(asks).await;
    for (id, good) in done {
        let failures = book.get(&id).map_or(0, |asked| asked.failures);
        let failures = if good { 0 } else { failures.saturating_add(1) };
        book.insert(id, Asked { at: core.now(), failures, ..fresh() });
    }
    pace.gap()
}

fn fresh() -> Asked {
    Asked { jitter: rand::random(), ..Asked::default() }
}

/// Asks one; whether that went well. An account that is gone or lost by now is no failure of the way.
async fn one(core: &Arc<Core>, id: &AccountId) -> bool {
    let Some(entry) = core.accounts.get(id) else { return true };
    match core.measure(&entry).await {
        Ok(_) | Err(QuotaError::Unknown | QuotaError::NotUsable(_)) => true,
        Err(error) => {
            tracing::warn!(account = %id, %error, "figures not fetched");
            false
        }
    }
}
