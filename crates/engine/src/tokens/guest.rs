//! Clients of Codex's own paths that present a ChatGPT login: only one whose file its owner has linked lets in.

use std::sync::Arc;
use std::time::Duration;

use pool::AccountId;
use pool::keys::{self, Digest};
use tokio::time::Instant;

use super::TokenService;
use crate::registry::accounts::Entry;
use crate::registry::keys::{AuthError, KeyId};

/// A linked file may have been written since the keeper's last look; it is looked at for an unknown login at most this often.
const LOOK: Duration = Duration::from_millis(200);
/// Longest wait for a look that another call has begun.
const WAIT: Duration = Duration::from_secs(2);
/// No access token is longer.
const LONGEST: usize = 16 << 10;
/// How much of an account's id names its login in logs and usage rows: the part that is random.
const TAIL: usize = 12;

/// Who asks on Codex's own paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    /// What its requests are counted under.
    pub key: KeyId,
    /// The account whose login it presents: Codex's own, which its owner has linked here.
    pub login: Option<AccountId>,
}

impl TokenService {
    /// Whose linked login an access token is.
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

    /// Returns after a look at all linked files that began at `since` or later, or when another's takes too long. Callers share
    /// looks: Codex sends several calls at once with its new token, and all of them find it.
    async fn reread_links(self: &Arc<Self>, since: Instant) {
        // Held while looking, so that one looks and the others wait for it.
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
    fn linked(&self, digest: &Digest) -> Option<Arc<Entry>> {
        let links = self.registry.extras.links();
        let entries = links.iter().filter_map(|link| self.registry.accounts.get(&link.account));
        let same = |entry: &Arc<Entry>| {
            let access = entry.tokens.as_ref().map(|tokens| &tokens.access);
            access.is_some_and(|access| keys::digest(access.expose(), self.runtime.store.pepper()).matches(digest))
        };
        entries.filter(same).last()
    }

    fn guest(&self, entry: &Entry) -> Result<Guest, AuthError> {
        let account = &entry.account;
        let ended = entry
            .tokens
            .as_ref()
            .and_then(|tokens| tokens.expires)
            .is_some_and(|end| end <= self.runtime.backend_now());
        // A login that its owner or the provider has ended, or that works no longer, lets nobody in with its last token.
        if account.status.lasts() {
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
