//! The lists for Codex clients of other versions than ours, because the backend lists by version. They are fetched when such a client
//! asks, once for each list of ours. They describe the models for that client; our own lists decide which models there are.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pool::catalog::{Catalog, CodexList};
use pool::{Status, limits};
use tokio::time::{Instant, timeout};
use upstream::ModelsAnswer;

use super::{ListFetchError, ModelLists, ask};
use crate::registry::accounts::{AccountEntry, ModelList};

/// Most lists of ours that are fetched for another version; most accounts share one.
const LISTS: usize = 8;
/// The age of a list that is not fetched again while ours stays the same.
const NEVER: Duration = Duration::from_hours(365 * 24);
/// Pause after a failure.
const PAUSE: Duration = Duration::from_mins(1);

/// The lists for other versions.
#[derive(Default)]
pub(crate) struct VersionedCatalogs(Mutex<Vec<VersionedCatalog>>);

/// The lists for one version.
struct VersionedCatalog {
    version: String,
    /// When a client asked for it last.
    last_used: Instant,
    /// When it is fetched again, whatever happens.
    next: Instant,
    /// Whether the last fetch failed; then nothing is fetched before `next`.
    failed: bool,
    /// The fetched lists, by the etags of our own lists.
    lists: HashMap<String, Arc<ModelList>>,
    /// Held while they are fetched.
    lock: Arc<tokio::sync::Mutex<()>>,
    /// The list made of them last, with its catalogue.
    made: Option<(Arc<Catalog>, CodexList)>,
}

/// A list of ours, and an account that has it.
type OwnList = (String, Arc<AccountEntry>);

impl VersionedCatalogs {
    /// Adds a version, or notes another request for it; `None` when there are too many versions.
    fn admit(&self, version: &str) -> Option<Arc<tokio::sync::Mutex<()>>> {
        let (mut held, now) = (self.0.lock(), Instant::now());
        if let Some(cached) = held.iter_mut().find(|cached| cached.version == version) {
            cached.last_used = now;
            return Some(Arc::clone(&cached.lock));
        }
        let (most, rest) = limits::CLIENT_VERSIONS;
        if held.len() >= most {
            let (at, oldest) = held.iter().enumerate().min_by_key(|(_, cached)| cached.last_used)?;
            if now < oldest.last_used + rest {
                return None;
            }
            held.remove(at);
        }
        let lock = Arc::default();
        let cached = VersionedCatalog {
            version: version.to_owned(),
            last_used: now,
            next: now,
            failed: false,
            lists: HashMap::new(),
            lock: Arc::clone(&lock),
            made: None,
        };
        held.push(cached);
        Some(lock)
    }

    /// Whether a version's lists must be fetched: they are old, or one of ours has changed.
    fn due(&self, version: &str, own: &[OwnList]) -> bool {
        let held = self.0.lock();
        let Some(cached) = held.iter().find(|cached| cached.version == version) else { return false };
        let lacks = own.iter().any(|(etag, _)| !cached.lists.contains_key(etag));
        Instant::now() >= cached.next || lacks && !cached.failed
    }

    fn cached_list(&self, version: &str, etag: &str) -> Option<Arc<ModelList>> {
        let held = self.0.lock();
        held.iter().find(|cached| cached.version == version)?.lists.get(etag).cloned()
    }

    /// Stores the fetched lists.
    fn fetched(&self, version: &str, lists: HashMap<String, Arc<ModelList>>, (next, failed): (Instant, bool)) {
        let mut held = self.0.lock();
        if let Some(cached) = held.iter_mut().find(|cached| cached.version == version) {
            (cached.next, cached.failed) = (next, failed);
            (cached.lists, cached.made) = (lists, None);
        }
    }
}

impl ModelLists {
    /// The Codex list for clients of a version, as far as it is known; else ours.
    pub(crate) fn codex_list(&self, version: Option<&str>) -> CodexList {
        let catalog = self.registry.accounts.catalog();
        version
            .and_then(|version| self.cached_for_version(version, &catalog))
            .unwrap_or_else(|| self.cached_codex_list(catalog))
    }

    /// Fetches the lists for a client's version if due, and waits for `patience` at most. Our own version and invalid versions are not
    /// fetched.
    pub(crate) async fn fetch_for_version(self: &Arc<Self>, version: &str, patience: Duration) {
        if version == self.runtime.upstream.profile().version || !is_version(version) {
            return;
        }
        let own = self.own_lists();
        // Without a list of ours there is nothing to fetch.
        let admitted = if own.is_empty() { None } else { self.catalogs.admit(version) };
        let Some(lock) = admitted else { return };
        if self.catalogs.due(version, &own)
            && let Ok(guard) = Arc::clone(&lock).try_lock_owned()
        {
            let (service, version) = (Arc::clone(self), version.to_owned());
            self.runtime.tasks.spawn(async move {
                service.fetch_version_lists(&version, own).await;
                drop(guard);
            });
        }
        // After that the client gets the known list.
        let _ = timeout(patience, lock.lock()).await;
    }

    async fn fetch_version_lists(self: &Arc<Self>, version: &str, own: Vec<OwnList>) {
        let (mut lists, mut failed) = (HashMap::new(), false);
        for (etag, entry) in own {
            let known = self.catalogs.cached_list(version, &etag);
            match self.list_for_version(&entry, version, known.as_deref()).await {
                Ok(fresh) => lists.extend(fresh.map(Arc::new).or(known).map(|listing| (etag, listing))),
                Err(error) => {
                    tracing::info!(account = %entry.account.id, version, %error, "model list for a client's version not fetched");
                    lists.extend(known.map(|listing| (etag, listing)));
                    failed = true;
                }
            }
        }
        let ttl = Some(self.runtime.settings.models_ttl).filter(|ttl| !ttl.is_zero()).unwrap_or(NEVER);
        let pause = if failed { PAUSE } else { ttl.max(PAUSE) };
        self.catalogs.fetched(version, lists, (Instant::now() + pause, failed));
    }

    /// An account's list for a version; `None` when the known one still holds.
    async fn list_for_version(
        self: &Arc<Self>,
        entry: &AccountEntry,
        version: &str,
        known: Option<&ModelList>,
    ) -> Result<Option<ModelList>, ListFetchError> {
        let etag = known.and_then(|listing| listing.etag.as_deref());
        match ask(self, entry, (Some(version), etag)).await?.0 {
            ModelsAnswer::NotModified => Ok(None),
            ModelsAnswer::Refused { status, .. } => Err(ListFetchError::Refused(status)),
            ModelsAnswer::Fresh { etag, body } => {
                let models = pool::catalog::parse_models(&body)?;
                Ok(Some(ModelList { etag, version: version.to_owned(), models }))
            }
        }
    }

    /// The list for a version whose lists are known.
    fn cached_for_version(&self, version: &str, catalog: &Arc<Catalog>) -> Option<CodexList> {
        let mut held = self.catalogs.0.lock();
        let cached = held.iter_mut().find(|cached| cached.version == version && !cached.lists.is_empty())?;
        if let Some((_, list)) = cached.made.as_ref().filter(|(of, _)| Arc::ptr_eq(of, catalog)) {
            return Some(list.clone());
        }
        let own = self.own_lists();
        // A list that was not fetched for this version is replaced by ours.
        let lists = own.iter().filter_map(|(etag, entry)| cached.lists.get(etag).or(entry.models.as_ref()));
        let made = catalog.for_client_version(lists.map(|listing| listing.models.as_slice()));
        let list = self.registry.accounts.with_learned_limits(made).codex();
        cached.made = Some((Arc::clone(catalog), list.clone()));
        Some(list)
    }

    /// Each list of ours with an account that has it, accounts that can serve first.
    fn own_lists(&self) -> Vec<OwnList> {
        let list = self.registry.accounts.list();
        let active = |entry: &&Arc<AccountEntry>| entry.account.status == Status::Active;
        let enabled = |entry: &&Arc<AccountEntry>| !entry.account.status.needs_person();
        let (first, rest): (Vec<_>, Vec<_>) = list.accounts().filter(enabled).partition(active);
        let mut own: Vec<OwnList> = Vec::new();
        for entry in first.into_iter().chain(rest) {
            let Some(listing) = &entry.models else { continue };
            let etag = listing.etag.clone().unwrap_or_else(|| entry.account.id.0.clone());
            if own.len() < LISTS && own.iter().all(|(known, _)| *known != etag) {
                own.push((etag, Arc::clone(entry)));
            }
        }
        own
    }
}

/// Whether a text is a version as Codex writes its own: three numbers, and perhaps a word about a preview.
fn is_version(text: &str) -> bool {
    let (numbers, preview) = text.split_once('-').unwrap_or((text, "0"));
    let number = |part: &str| (1..=5).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.';
    numbers.split('.').count() == 3
        && numbers.split('.').all(number)
        && (1..=24).contains(&preview.len())
        && preview.bytes().all(word)
}

#[cfg(test)]
mod tests;
