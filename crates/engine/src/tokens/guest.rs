//! Clients of Codex's own paths that present a ChatGPT login. Only a login whose file the owner has linked is accepted.

use std::sync::Arc;
use std::time::Duration;

use pool::AccountId;
use pool::keys::{self, Digest};
use tokio::time::Instant;

use super::TokenService;
use crate::registry::accounts::AccountEntry;
use crate::registry::keys::{AuthError, KeyId};

/// For an unknown login the linked files are read at most this often: they may have changed since the last look.
const LOOK: Duration = Duration::from_millis(200);
/// Longest wait for a read that another call has begun.
const WAIT: Duration = Duration::from_secs(2);
/// No access token is longer.
const LONGEST: usize = 16 << 10;
/// The length of the random end of an account's id, which names its login in logs and usage rows.
const TAIL: usize = 12;

/// The caller on Codex's own paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    /// The key id of its usage rows.
    pub key: KeyId,
    /// The linked account whose login it presents.
    pub login: Option<AccountId>,
}

impl TokenService {
    /// Authenticates an access token of a linked login.
    pub(crate) async fn authenticate_login(self: &Arc<Self>, presented: &str) -> Result<Guest, AuthError> {
        if presented.len() > LONGEST || presented.split('.').count() != 3 {
            return Err(AuthError::Unknown);
        }
        let digest = keys::digest(presented, self.runtime.store.pepper());
        if let Some(entry) = self.linked(&digest) {
            return self.guest(&entry);
        }
        // Codex may have refreshed it a moment ago.
        self.reread_links(Instant::now()).await;
        let entry = self.linked(&digest).ok_or(AuthError::Unknown)?;
        self.guest(&entry)
    }

    /// Reads all linked files, unless a read that began at `since` or later has ended; gives up when another's read takes too long.
    /// Callers share reads, because Codex sends several calls at once with its new token.
    async fn reread_links(self: &Arc<Self>, since: Instant) {
        // Held while reading, so that one call reads and the others wait.
        let Ok(mut looked) = tokio::time::timeout(WAIT, self.looked.lock()).await else { return };
        if looked.is_some_and(|last| last >= since) {
            return;
        }
        if let Some(last) = *looked {
            tokio::time::sleep_until(last + LOOK).await;
        }
        let began = Instant::now();
        for link in self.registry.extras.links() {
            self.follow_link(&link).await;
        }
        *looked = Some(began);
    }

    /// The linked account whose access token has this digest. All are compared, each in constant time.
    fn linked(&self, digest: &Digest) -> Option<Arc<AccountEntry>> {
        let links = self.registry.extras.links();
        let entries = links.iter().filter_map(|link| self.registry.accounts.get(&link.account));
        let same = |entry: &Arc<AccountEntry>| {
            let access = entry.tokens.as_ref().map(|tokens| &tokens.access);
            access.is_some_and(|access| keys::digest(access.expose(), self.runtime.store.pepper()).matches(digest))
        };
        entries.filter(same).last()
    }

    fn guest(&self, entry: &AccountEntry) -> Result<Guest, AuthError> {
        let account = &entry.account;
        let ended = entry
            .tokens
            .as_ref()
            .and_then(|tokens| tokens.expires)
            .is_some_and(|end| end <= self.runtime.backend_now());
        // The last token of an ended login is refused.
        if account.status.needs_person() {
            return Err(AuthError::Revoked);
        }
        if ended {
            return Err(AuthError::Expired);
        }
        let id = &account.id.0;
        let tail = id.get(id.len().saturating_sub(TAIL)..).unwrap_or(id);
        Ok(Guest { key: KeyId(format!("login-{tail}")), login: Some(account.id.clone()) })
    }
}
