//! Measures quotas before they are old: spread over the interval, each account at a time of its own, two at a time at most.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use pool::quota::poll::{LastPoll, PollPace};
use pool::{Account, AccountId, Millis};

use crate::quota::{QuotaError, measure};
use crate::request::services::Services;

/// Accounts asked at the same time.
const PARALLEL: usize = 2;
/// Longest pause between two looks, because the wall clock may jump and accounts come and go.
const LOOK: Duration = Duration::from_secs(30);

/// Measures accounts when their figures are due.
pub(crate) async fn keep_measured(services: Arc<Services>) {
    if services.runtime.settings.quota_every.is_zero() {
        return;
    }
    let mut rota = PollSchedule::new(services.runtime.now());
    let mut polls = FuturesUnordered::new();
    loop {
        let pause = match rota.next(&services) {
            Next::Poll(id) => {
                polls.push(poll_account(&services, id));
                continue;
            }
            Next::Wait(pause) => pause,
        };
        tokio::select! {
            Some((id, good)) = polls.next() => rota.record_result(id, good, services.runtime.now()),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// The next step.
enum Next {
    /// Measure this account.
    Poll(AccountId),
    /// Wait this long, or until an account answers.
    Wait(Duration),
}

/// The schedule of polls. An account that answers late delays no other.
struct PollSchedule {
    since: Millis,
    /// The last poll of each account.
    last_polls: HashMap<AccountId, LastPoll>,
    /// The accounts that are being measured.
    polling: HashSet<AccountId>,
    /// The earliest next start.
    next_start: Instant,
}

impl PollSchedule {
    fn new(since: Millis) -> Self {
        Self { since, last_polls: HashMap::new(), polling: HashSet::new(), next_start: Instant::now() }
    }

    /// The next step. The accounts are looked at only when another poll may start.
    fn next(&mut self, services: &Services) -> Next {
        let early = self.next_start.saturating_duration_since(Instant::now());
        if self.polling.len() >= PARALLEL || !early.is_zero() {
            return Next::Wait(if early.is_zero() { LOOK } else { early });
        }
        let (list, now) = (services.registry.accounts.list(), services.runtime.now());
        let own: Vec<_> = list.accounts().map(|entry| &entry.account).collect();
        let pace = PollPace { every: services.runtime.settings.quota_every, accounts: own.len(), since: self.since };
        self.last_polls.retain(|id, _| list.get(id).is_some());
        match own.into_iter().filter_map(|account| self.due(&pace, account, now)).min() {
            Some((at, id)) if at <= now => {
                self.next_start = Instant::now() + pace.gap();
                self.polling.insert(id.clone());
                Next::Poll(id.clone())
            }
            first => {
                let look = LOOK.min(pace.every / 4);
                let next = first.map_or(look, |(at, _)| Duration::from_millis(now.until(at).max(1)));
                Next::Wait(next.min(look))
            }
        }
    }

    /// When an account is due; `None` when it is never polled, or is being measured.
    fn due<'a>(&mut self, pace: &PollPace, account: &'a Account, now: Millis) -> Option<(Millis, &'a AccountId)> {
        if self.polling.contains(&account.id) {
            return None;
        }
        let last_poll = self.last_polls.entry(account.id.clone()).or_insert_with(fresh);
        let at = pace.due(&account.status, (account.quota.updated, now), last_poll)?;
        Some((at, &account.id))
    }

    /// Records the result of a poll.
    fn record_result(&mut self, id: AccountId, good: bool, now: Millis) {
        self.polling.remove(&id);
        let failures = self.last_polls.get(&id).map_or(0, |last_poll| last_poll.failures);
        let failures = if good { 0 } else { failures.saturating_add(1) };
        self.last_polls.insert(id, LastPoll { at: now, failures, ..fresh() });
    }
}

fn fresh() -> LastPoll {
    LastPoll { jitter: rand::random(), ..LastPoll::default() }
}

/// Measures one account and returns whether that succeeded. An account that is gone or has lost its login counts as success.
async fn poll_account(services: &Arc<Services>, id: AccountId) -> (AccountId, bool) {
    let Some(entry) = services.registry.accounts.get(&id) else { return (id, true) };
    let good = match measure(services, &entry).await {
        Ok(_) | Err(QuotaError::Unknown | QuotaError::NotUsable(_)) => true,
        Err(error) => {
            tracing::warn!(account = %id, %error, "figures not fetched");
            false
        }
    };
    (id, good)
}
