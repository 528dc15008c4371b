//! Applies the stored accounts to the list in memory.

use std::collections::HashSet;
use std::sync::Arc;

use pool::status::Signal;
use pool::{Account, AccountId, Millis, Status, Tokens};

use super::{AccountEntry, AccountList, Accounts};

/// An account of the store, as a reload found it.
#[derive(Debug)]
pub(crate) enum StoredAccount {
    /// Unchanged since it was read last.
    Known(AccountId),
    /// Read, with its readable tokens.
    Read(Box<Account>, Option<Tokens>),
}

/// The changes that [`Accounts::adopt`] found.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// New accounts.
    pub(crate) added: Vec<AccountId>,
    /// Accounts with new tokens from another process; relays whose key is valid again.
    pub(crate) signed_in: Vec<AccountId>,
    /// Accounts that are gone.
    pub(crate) removed: Vec<AccountId>,
    /// Accounts with other limits than before.
    pub(crate) limits_changed: Vec<AccountId>,
}

impl Changes {
    /// Adds others.
    pub(crate) fn merge(&mut self, others: Self) {
        self.added.extend(others.added);
        self.signed_in.extend(others.signed_in);
        self.removed.extend(others.removed);
        self.limits_changed.extend(others.limits_changed);
    }
}

impl Accounts {
    /// Applies the stored accounts. Memory wins where it is newer: tokens that were refreshed later, unsaved statuses, figures that were
    /// learned later. Tokens of a new login come with their stored status.
    pub(crate) fn adopt(&self, accounts: Vec<StoredAccount>) -> Changes {
        let mut changes = Changes::default();
        self.replace(|old, dirty| {
            let mut next = Vec::with_capacity(accounts.len());
            for stored in accounts {
                let (account, tokens) = match stored {
                    StoredAccount::Read(account, tokens) => (*account, tokens),
                    StoredAccount::Known(id) => {
                        next.extend(old.get(&id).cloned());
                        continue;
                    }
                };
                let known = old.get(&account.id);
                let unsaved = dirty.get(&account.id).map_or(&[][..], |dirty| &dirty.signals);
                let Some(known) = known else {
                    changes.added.push(account.id.clone());
                    let (tokens, jitter) = (tokens.map(Arc::new), rand::random());
                    next.push(Arc::new(AccountEntry { tokens, jitter, ..AccountEntry::new(account) }));
                    continue;
                };
                let (entry, signed_in) = join(known, account, tokens, unsaved);
                if signed_in {
                    changes.signed_in.push(entry.account.id.clone());
                }
                if entry.account.limits != known.account.limits {
                    changes.limits_changed.push(entry.account.id.clone());
                }
                next.push(Arc::new(entry));
            }
            next.extend(old.iter().filter(|entry| entry.relay.is_some()).cloned());
            changes.removed = removed_ids(old, &next);
            next
        });
        changes
    }
}

/// The ids that the next list does not have.
pub(crate) fn removed_ids(old: &AccountList, next: &[Arc<AccountEntry>]) -> Vec<AccountId> {
    let here: HashSet<_> = next.iter().map(|entry| &entry.account.id).collect();
    old.iter().map(|entry| &entry.account.id).filter(|id| !here.contains(id)).cloned().collect()
}

/// Merges the known and the stored account, and returns whether it was signed in again.
fn join(
    known: &AccountEntry,
    stored: Account,
    tokens: Option<Tokens>,
    unsaved: &[(Signal, Millis)],
) -> (AccountEntry, bool) {
    let mut entry = known.clone();
    let same = known.tokens.as_deref() == tokens.as_ref();
    let late = |ours: &Tokens| tokens.as_ref().is_some_and(|stored| stored.refreshed < ours.refreshed);
    let ours_newer = !same && known.tokens.as_deref().is_some_and(late);
    let relogged = !same && !ours_newer;
    if relogged {
        entry.tokens = tokens.map(Arc::new);
        entry.jitter = rand::random();
    }
    entry.account = stored;
    // Signals about an old login do not apply to a new one. For the same login they do, also on top of a status from another process.
    if !relogged {
        let learn = |status: Status, (signal, at): &(Signal, Millis)| status.apply(signal, *at);
        entry.account.status = unsaved.iter().fold(entry.account.status, learn);
    }
    if known.account.quota.updated > entry.account.quota.updated {
        entry.account.quota = known.account.quota.clone();
    }
    (entry, relogged)
}
