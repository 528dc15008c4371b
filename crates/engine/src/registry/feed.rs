//! The feed of account events. It is bounded and never waits; a slow watcher learns how many events it missed.

use std::collections::HashMap;
use std::sync::Arc;

use pool::quota::Quota;
use pool::warning::Warning;
use pool::{Account, AccountId, Millis, Status};
use serde::Serialize;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::registry::accounts::{AccountEntry, AccountList};

/// Events that a watcher may be behind.
const BEHIND: usize = 256;
/// Most watchers at once, our own among them.
const WATCHERS: usize = 64;

/// An event of an account, without secrets.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum AccountEvent {
    /// An account's state is another one.
    Account {
        /// Which.
        account: AccountId,
        /// Its name for people.
        label: String,
        /// The state before, one word.
        from: &'static str,
        /// The state now, one word.
        to: &'static str,
        /// The signal that did it, in words.
        why: String,
        /// When the state ends by itself.
        until: Option<Millis>,
        /// When it happened.
        at: Millis,
    },
    /// An account's figures are others.
    Quota {
        /// Which.
        account: AccountId,
        /// Its name for people.
        label: String,
        /// The figures.
        quota: Box<Quota>,
        /// When they were learned.
        at: Millis,
    },
    /// A warning is given.
    Warning(Warning),
    /// An account was added.
    LoginAdded {
        /// Which.
        account: AccountId,
        /// Its name for people.
        label: String,
        /// When.
        at: Millis,
    },
    /// An account must be signed in again.
    LoginNeeded {
        /// Which.
        account: AccountId,
        /// Its name for people.
        label: String,
        /// Why.
        why: String,
        /// When.
        at: Millis,
    },
    /// An account was removed.
    LoginRemoved {
        /// Which.
        account: AccountId,
        /// When.
        at: Millis,
    },
    /// The watcher was too slow.
    Lagged {
        /// How many news it missed.
        missed: u64,
    },
}

impl AccountEvent {
    /// Its type, as in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Account { .. } => "account",
            Self::Quota { .. } => "quota",
            Self::Warning(_) => "warning",
            Self::LoginAdded { .. } => "login_added",
            Self::LoginNeeded { .. } => "login_needed",
            Self::LoginRemoved { .. } => "login_removed",
            Self::Lagged { .. } => "lagged",
        }
    }
}

/// A watcher of the feed; dropping it unsubscribes.
#[derive(Debug)]
pub struct Watcher(broadcast::Receiver<Arc<AccountEvent>>);

impl Watcher {
    /// The next event; `None` when the feed has ended. Cancel safe.
    pub async fn next(&mut self) -> Option<Arc<AccountEvent>> {
        match self.0.recv().await {
            Ok(news) => Some(news),
            Err(RecvError::Lagged(missed)) => Some(Arc::new(AccountEvent::Lagged { missed })),
            Err(RecvError::Closed) => None,
        }
    }
}

/// The sender of events.
pub(crate) struct EventFeed(broadcast::Sender<Arc<AccountEvent>>);

impl EventFeed {
    pub(crate) fn new() -> Self {
        Self(broadcast::Sender::new(BEHIND))
    }

    /// Sends an event to all watchers.
    pub(crate) fn send(&self, news: AccountEvent) {
        // Without watchers the event is dropped.
        let _ = self.0.send(Arc::new(news));
    }

    /// A new watcher; `None` when there are too many.
    pub(crate) fn watch(&self) -> Option<Watcher> {
        (self.0.receiver_count() < WATCHERS).then(|| Watcher(self.0.subscribe()))
    }

    /// Reports a change of an account's state.
    pub(crate) fn send_status(&self, account: &Account, from: &Status, (why, at): (String, Millis)) {
        let (id, label) = (account.id.clone(), account.label.clone());
        let notice = account.status.notice(at);
        if let (Status::NeedsLogin { why }, _) | (_, Some(why)) = (&account.status, &notice) {
            let (account, label, why) = (id.clone(), label.clone(), why.clone());
            self.send(AccountEvent::LoginNeeded { account, label, why, at });
        }
        let until = account.status.usable(at).err().and_then(|reason| reason.until());
        let (from, to) = (from.as_str(), account.status.as_str());
        self.send(AccountEvent::Account { account: id, label, from, to, why, until, at });
    }

    /// Reports a change of an account's figures.
    pub(crate) fn send_quota(&self, account: &Account) {
        let (id, label, quota) = (account.id.clone(), account.label.clone(), account.quota.now_only());
        self.send(AccountEvent::Quota { account: id, label, at: quota.updated, quota: Box::new(quota) });
    }

    /// Reports the owner's changes, made here or in another process: the difference of the lists before and after a reload.
    pub(crate) fn send_changes(&self, before: &AccountList, after: &AccountList, at: Millis) {
        let own = |list: &AccountList| -> HashMap<AccountId, Arc<AccountEntry>> {
            list.accounts().map(|entry| (entry.account.id.clone(), Arc::clone(entry))).collect()
        };
        let mut old = own(before);
        for entry in after.accounts() {
            match old.remove(&entry.account.id) {
                None => {
                    let (account, label) = (entry.account.id.clone(), entry.account.label.clone());
                    self.send(AccountEvent::LoginAdded { account, label, at });
                }
                Some(known) => self.send_difference(&known.account, &entry.account, at),
            }
        }
        for account in old.into_keys() {
            self.send(AccountEvent::LoginRemoved { account, at });
        }
    }

    fn send_difference(&self, old: &Account, new: &Account, at: Millis) {
        if old.status.as_str() != new.status.as_str() {
            self.send_status(new, &old.status, ("its owner changed it".into(), at));
        }
        if quota_differs(&old.quota, &new.quota) {
            self.send_quota(new);
        }
    }
}

/// Whether figures differ visibly. Neither the time of learning nor small moves of a reset instant count.
pub(crate) fn quota_differs(old: &Quota, new: &Quota) -> bool {
    /// A reset that moves by less has not changed; milliseconds.
    const SLACK: u64 = 120_000;
    let near = |a: Option<Millis>, b: Option<Millis>| match (a, b) {
        (Some(a), Some(b)) => a.until(b).max(b.until(a)) < SLACK,
        (a, b) => a == b,
    };
    let same = |a: Option<pool::quota::Window>, b: Option<pool::quota::Window>| match (a, b) {
        (Some(a), Some(b)) => {
            // Small steps add up: passing a whole point counts, because thresholds are whole points.
            let still = (a.used_percent.floor() - b.used_percent.floor()).abs() < 0.5
                && (a.used_percent - b.used_percent).abs() < 0.05;
            still && a.minutes == b.minutes && near(a.resets_at, b.resets_at)
        }
        (a, b) => a == b,
    };
    let named = |quota: &Quota| -> Vec<_> {
        let share = |window: Option<pool::quota::Window>| window.map(|window| window.used_percent);
        quota.named.iter().map(|limit| (limit.id.clone(), share(limit.primary), share(limit.secondary))).collect()
    };
    let rest = |quota: &Quota| (quota.credits.clone(), quota.plan.clone(), quota.allowed, quota.reset_credits);
    !same(old.primary, new.primary)
        || !same(old.secondary, new.secondary)
        || named(old) != named(new)
        || rest(old) != rest(new)
}
