//! What clients of Codex's own paths see in place of one account: the models, the limits and the identity of the whole pool.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::{HeaderMap, HeaderName, HeaderValue};
use pool::catalog::{Catalog, CodexList, Resolved};
use pool::keys::{self, Digest};
use pool::quota::Quota;
use pool::quota::summary::{Next, summary};
use pool::{AccountId, Millis, Status};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::accounts::Entry;
use crate::core::Core;
use crate::engine::Engine;
use crate::head;
use crate::keys::{AuthError, KeyId};

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

/// The Codex list of the catalogue that it was made of last, and when the last look at the files began.
#[derive(Default)]
pub(crate) struct Native {
    list: ArcSwapOption<(Arc<Catalog>, CodexList)>,
    looked: Mutex<Option<Instant>>,
}

impl Native {
    pub(crate) fn list(&self, catalog: Arc<Catalog>) -> Arc<(Arc<Catalog>, CodexList)> {
        if let Some(known) = self.list.load_full().filter(|known| Arc::ptr_eq(&known.0, &catalog)) {
            return known;
        }
        let list = catalog.codex();
        let fresh = Arc::new((catalog, list));
        self.list.store(Some(Arc::clone(&fresh)));
        fresh
    }
}

impl Engine {
    /// Every model in Codex's own shape, as the backend lists it for clients of `version`, else for ours: at once where that is known, and
    /// after `patience` at the latest.
    pub async fn codex_models(&self, version: Option<&str>, patience: Duration) -> CodexList {
        if let Some(version) = version {
            self.0.look_up(version, patience).await;
        }
        self.0.codex_list(version)
    }

    /// The limits of all accounts together: those of whoever would serve a request for the default model next.
    /// And what time it is.
    pub fn limits(&self) -> (Quota, Millis) {
        let resolved = self.resolve(None).ok();
        (self.0.limits(resolved.as_ref(), None), self.0.now())
    }

    /// Whose login or client key `presented` is. A login lets in only where its owner has linked the file that it is from.
    ///
    /// # Errors
    /// As [`Engine::authenticate`].
    pub async fn authenticate_native(&self, presented: &str) -> Result<Guest, AuthError> {
        match self.0.client(presented).await {
            Err(AuthError::Unknown) => self.0.login(presented).await,
            checked => checked.map(|key| Guest { key, login: None }),
        }
    }
}

impl Core {
    /// What a client that knows of one account is told of limits; of a conversation, by whom it is kept.
    pub(crate) fn limits(&self, resolved: Option<&Resolved>, prefer: Option<&AccountId>) -> Quota {
        let (list, now) = (self.accounts.list(), self.now());
        let next = resolved.and_then(|resolved| self.choose(resolved, prefer).ok());
        let chosen = next.and_then(|id| list.get(&id).cloned());
        let next = match &chosen {
            Some(entry) if entry.relay.is_some() => Next::Relay,
            Some(entry) => Next::Account(&entry.account.quota),
            None => Next::Nobody,
        };
        let on = |entry: &&Arc<Entry>| entry.relay.is_none() && entry.account.status != Status::Disabled;
        let told = summary(next, list.iter().filter(on).map(|entry| &entry.account.quota), now);
        // Before the first figures its tokens have said it.
        let plan = told.plan.clone().or_else(|| chosen.map(|entry| entry.account.plan.clone()));
        Quota { plan: plan.filter(|plan| !plan.is_empty()), ..told }
    }

    /// Puts what holds for the whole pool in the place of what an answer's headers say of one account; `served` is whose answer
    /// it is, if anybody's.
    pub(crate) fn for_codex(
        &self,
        headers: &mut HeaderMap,
        (resolved, version): (&Resolved, Option<&str>),
        served: Option<&AccountId>,
    ) {
        head::forget_limits(headers);
        let list = self.codex_list(version);
        let limits = self.limits(Some(resolved), served).headers(self.now());
        let all = limits.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in all.chain([(head::MODELS_ETAG, list.etag.as_str())]) {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
                headers.insert(name, value);
            }
        }
    }

    /// Whose linked login an access token is.
    async fn login(self: &Arc<Self>, presented: &str) -> Result<Guest, AuthError> {
        if presented.len() > LONGEST || presented.split('.').count() != 3 {
            return Err(AuthError::Unknown);
        }
        let digest = keys::digest(presented, self.store.pepper());
        if let Some(entry) = self.linked(&digest) {
            return self.guest(&entry);
        }
        // Codex may have refreshed it a moment ago.
        self.look_at_links(Instant::now()).await;
        let entry = self.linked(&digest).ok_or(AuthError::Unknown)?;
        self.guest(&entry)
    }

    /// Returns after a look at all linked files that began at `since` or later, or when another's takes too long. Callers share
    /// looks: Codex sends several calls at once with its new token, and all of them find it.
    async fn look_at_links(self: &Arc<Self>, since: Instant) {
        // Held while looking, so that one looks and the others wait for it.
        let Ok(mut looked) = tokio::time::timeout(WAIT, self.native.looked.lock()).await else { return };
        if looked.is_some_and(|last| last >= since) {
            return;
        }
        if let Some(last) = *looked {
            tokio::time::sleep_until(last + LOOK).await;
        }
        let began = Instant::now();
        for link in self.beside.links() {
            self.follow_link(&link).await;
        }
        *looked = Some(began);
    }

    /// The linked account whose access token has this digest. All are compared, each in constant time.
    fn linked(&self, digest: &Digest) -> Option<Arc<Entry>> {
        let links = self.beside.links();
        let entries = links.iter().filter_map(|link| self.accounts.get(&link.account));
        let same = |entry: &Arc<Entry>| {
            let access = entry.tokens.as_ref().map(|tokens| &tokens.access);
            access.is_some_and(|access| keys::digest(access.expose(), self.store.pepper()).matches(digest))
        };
        entries.filter(same).last()
    }

    fn guest(&self, entry: &Entry) -> Result<Guest, AuthError> {
        let account = &entry.account;
        let ended =
            entry.tokens.as_ref().and_then(|tokens| tokens.expires).is_some_and(|end| end <= self.backend_now());
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
