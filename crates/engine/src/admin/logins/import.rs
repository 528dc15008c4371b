//! Imports the logins of a file. Everything that needs no network is checked first; only then are refresh tokens used.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use pool::egress::Egress;
use pool::relay::Wire;
use pool::{AccountId, Secret, Status, limits};
use store::portable::{self, PortableError};
use store::{NewAccount, PutOutcome};
use tokio::sync::Semaphore;
use upstream::authfile::Login;
use upstream::transfer::{self, File, FileError, LoginEntry, Readiness};

use super::{Logins, spend, store_login};
use crate::admin::relays::{PrivateAccess, RelayError, RelaySpec, add_relay};
use crate::request::services::Services;
use crate::tokens::file_account;

/// The address of the API keys in an auth.json.
const OPENAI: &str = "https://api.openai.com/v1";
/// Most names that are tried for its relay.
const NAMES: u32 = 99;

/// Limits the passphrases in work: each takes tens of megabytes and a thread.
pub(crate) static PASSPHRASES: Semaphore = Semaphore::const_new(2);

/// The result of an import.
#[derive(Clone, Debug, Default, serde::Serialize, utoipa::ToSchema)]
pub struct Imports {
    /// Whether nothing was wrong.
    pub success: bool,
    /// Accounts that were not known.
    pub added: usize,
    /// Known accounts with new tokens.
    pub updated: usize,
    /// Known accounts whose tokens are as new or newer.
    pub unchanged: usize,
    /// Entries that gave no account.
    pub failed: usize,
    /// Entries that repeat another entry.
    pub duplicates: usize,
    /// Entries of other providers.
    pub skipped: usize,
    /// API keys that became relays.
    pub relays: usize,
    /// One line for each failure.
    pub errors: Vec<String>,
    /// Every entry, in the file's order.
    pub entries: Vec<ImportResult>,
}

/// The result of one entry.
#[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
pub struct ImportResult {
    /// Its line in the file, from 1.
    pub line: usize,
    /// Its name there; may be empty.
    pub label: String,
    /// Its account, where there is one.
    pub id: Option<String>,
    /// The result.
    pub result: ImportOutcome,
    /// Why it failed.
    pub error: Option<String>,
}

/// The outcome of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ImportFate)]
pub enum ImportOutcome {
    /// A new account.
    Added,
    /// A known account got its tokens.
    Updated,
    /// A known account has the same or newer ones.
    Unchanged,
    /// Another entry is the same login.
    Duplicate,
    /// Its tokens cannot be valid; nothing was sent.
    Junk,
    /// The provider did not take its refresh token.
    Refused,
    /// Its refresh token was not sent: no egress route of its account is open.
    #[serde(rename = "no_way_out")]
    NoEgress,
    /// The store did not take it.
    Failed,
}

/// Why a file was refused as a whole. Nothing is changed then.
#[derive(Debug, thiserror::Error)]
pub enum ImportProblem {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// It cannot be opened.
    #[error(transparent)]
    Sealed(#[from] PortableError),
}

impl Logins<'_> {
    /// Imports a file's accounts, and its API keys as relays. The import goes on when the caller leaves, because the successor of a used
    /// refresh token must be stored. Errors: [`ImportProblem`] when the file cannot be read as a whole.
    pub async fn import(self, text: Vec<u8>, passphrase: Option<Secret>) -> Result<Imports, ImportProblem> {
        // Reading is slow, and opening is slow by design.
        let permit = match passphrase {
            Some(_) => PASSPHRASES.acquire().await.ok(),
            None => None,
        };
        let work = tokio::task::spawn_blocking(move || {
            // Held until the work ends, also when the caller leaves.
            let _permit = permit;
            match (transfer::read(&text), passphrase) {
                (Err(FileError::Sealed), Some(passphrase)) => {
                    Ok(transfer::read(portable::open(&text, &passphrase)?.expose().as_bytes())?)
                }
                (file, _) => Ok::<_, ImportProblem>(file?),
            }
        });
        let file = work.await.unwrap_or(Err(ImportProblem::File(FileError::TooLong)))?;
        Ok(self.take_file(file, None).await)
    }

    /// Imports one token: an access token as it is, a refresh token by using it. The call and the account take `egress`, if given.
    pub async fn add_token(self, access: Option<Secret>, refresh: Option<Secret>, egress: Option<Egress>) -> Imports {
        let entry = LoginEntry { line: 1, access, refresh, ..LoginEntry::default() };
        self.take_file(File { entries: vec![entry], ..File::default() }, egress).await
    }

    /// Imports the login of an auth.json as it is; nothing is sent.
    pub async fn add_login(self, login: Login) -> Result<PutOutcome, store::Error> {
        let put = store_login(self.services, file_account(login, self.services.runtime.now())).await?;
        self.services.dispatch.reload_registry().await?;
        Ok(put)
    }

    async fn take_file(self, file: File, egress: Option<Egress>) -> Imports {
        let services = Arc::clone(self.services);
        let work = self.services.runtime.tasks.spawn(async move { run(&services, file, egress.as_ref()).await });
        work.await.unwrap_or_default()
    }
}

/// An entry with its index.
struct Item {
    at: usize,
    entry: LoginEntry,
}

async fn run(services: &Arc<Services>, file: File, egress: Option<&Egress>) -> Imports {
    let mut done = Imports { skipped: file.skipped, ..Imports::default() };
    done.entries = file.rejected.iter().map(|wrong| failed(wrong.line, "", ImportOutcome::Junk, &wrong.why)).collect();
    let first = done.entries.len();
    done.entries.extend(
        file.entries
            .iter()
            .map(|entry| failed(entry.line, &entry.label, ImportOutcome::Failed, "the import ended early")),
    );
    let mut sorted = sort(services, file.entries, &mut done.entries[first..]);
    for (Item { at, entry }, login) in sorted.ready.drain(..) {
        let new = with_entry_facts(&entry, egress, file_account(login, services.runtime.now()));
        let stored = store_login(services, new).await;
        done.entries[first + at] = import_result(services, &entry, stored).await;
    }
    for (Item { at, entry }, id) in sorted.known.drain(..) {
        done.entries[first + at] = keep_known(services, &entry, &id, egress).await;
    }
    let spends = stream::iter(sorted.spend.drain(..)).map(|(Item { at, entry }, refresh)| async move {
        (at, spend::spend_token(services, &entry, refresh, egress).await)
    });
    let mut spends = spends.buffer_unordered(limits::REFRESH_PARALLEL);
    while let Some((at, result)) = spends.next().await {
        done.entries[first + at] = result;
    }
    relays(services, file.keys, &mut done).await;
    if let Err(error) = services.dispatch.reload_registry().await {
        tracing::warn!(%error, "imported accounts are taken over a moment later");
    }
    done.count()
}

/// Adds the API keys as relays.
async fn relays(services: &Services, keys: Vec<Secret>, done: &mut Imports) {
    for key in keys {
        match relay(services, key).await {
            Ok(new) => done.relays += usize::from(new),
            Err(error) => done.errors.push(format!("the API key: {error}")),
        }
    }
}

impl Imports {
    fn count(mut self) -> Self {
        self.entries.sort_by_key(|entry| entry.line);
        for entry in &self.entries {
            match entry.result {
                ImportOutcome::Added => self.added += 1,
                ImportOutcome::Updated => self.updated += 1,
                ImportOutcome::Unchanged => self.unchanged += 1,
                ImportOutcome::Duplicate => self.duplicates += 1,
                ImportOutcome::Junk | ImportOutcome::Refused | ImportOutcome::NoEgress | ImportOutcome::Failed => {
                    self.failed += 1;
                }
            }
            let Some(error) = &entry.error else { continue };
            let name = if entry.label.is_empty() { String::new() } else { format!(" ({})", entry.label) };
            self.errors.push(format!("line {}{name}: {error}", entry.line));
        }
        self.success = self.errors.is_empty();
        tracing::info!(added = self.added, updated = self.updated, failed = self.failed, "accounts imported");
        self
    }
}

/// The entries that are left without junk and duplicates.
#[derive(Default)]
struct Sorted {
    ready: Vec<(Item, Login)>,
    /// Entries whose refresh token is stored already, with its account.
    known: Vec<(Item, AccountId)>,
    spend: Vec<(Item, Secret)>,
}

/// Sorts entries by the work that they need. Junk and duplicates get their result at once.
fn sort(services: &Services, entries: Vec<LoginEntry>, results: &mut [ImportResult]) -> Sorted {
    let known = accounts_by_refresh_token(services);
    let (mut sorted, mut logins, mut seen) = (Sorted::default(), HashMap::new(), HashSet::new());
    let mut waiting = Vec::new();
    for (at, entry) in entries.into_iter().enumerate() {
        match entry.readiness(services.runtime.now()) {
            Err(junk) => results[at] = failed(entry.line, &entry.label, ImportOutcome::Junk, &junk.to_string()),
            Ok(Readiness::NeedsRefresh(refresh)) => waiting.push((Item { at, entry }, refresh)),
            Ok(Readiness::Ready(login)) => {
                seen.extend(login.refresh.as_ref().map(|token| token.expose().to_owned()));
                keep_newest(&mut sorted.ready, &mut logins, (Item { at, entry }, login), results);
            }
        }
    }
    for (item, refresh) in waiting {
        if let Some(id) = known.get(refresh.expose()) {
            sorted.known.push((item, id.clone()));
        } else if seen.insert(refresh.expose().to_owned()) {
            sorted.spend.push((item, refresh));
        } else {
            results[item.at] = done(&item.entry, None, ImportOutcome::Duplicate);
        }
    }
    sorted
}

/// Keeps the newest of several entries of one login; entries with a refresh token are preferred.
fn keep_newest(
    ready: &mut Vec<(Item, Login)>,
    logins: &mut HashMap<(String, String), usize>,
    (item, login): (Item, Login),
    results: &mut [ImportResult],
) {
    let who = (login.claims.account_id.clone(), login.claims.user.clone());
    let age = |login: &Login| (login.refresh.is_some(), login.claims.expires, login.refreshed);
    let Some(&position) = logins.get(&who) else {
        logins.insert(who, ready.len());
        ready.push((item, login));
        return;
    };
    let older = if age(&login) > age(&ready[position].1) {
        std::mem::replace(&mut ready[position], (item, login))
    } else {
        (item, login)
    };
    results[older.0.at] = done(&older.0.entry, None, ImportOutcome::Duplicate);
}

/// The accounts by their refresh tokens. A stored token must not be used by an import.
fn accounts_by_refresh_token(services: &Services) -> HashMap<String, AccountId> {
    let list = services.registry.accounts.list();
    let token = |entry: &Arc<crate::registry::accounts::AccountEntry>| {
        let refresh = entry.tokens.as_ref()?.refresh.as_ref()?;
        Some((refresh.expose().to_owned(), entry.account.id.clone()))
    };
    list.iter().filter_map(token).collect()
}

/// The account with its entry's label and state, and the given egress.
pub(super) fn with_entry_facts(entry: &LoginEntry, egress: Option<&Egress>, new: NewAccount) -> NewAccount {
    let status = if entry.disabled { Status::Disabled } else { new.status };
    NewAccount { label: entry.label.clone(), egress: egress.cloned(), status, ..new }
}

/// The result of an entry that was stored. The tags of a new account are stored too.
pub(super) async fn import_result(
    services: &Services,
    entry: &LoginEntry,
    stored: Result<PutOutcome, store::Error>,
) -> ImportResult {
    let put = match stored {
        Ok(put) => put,
        Err(error) => return failed(entry.line, &entry.label, ImportOutcome::Failed, &error.to_string()),
    };
    if put.added
        && !entry.tags.is_empty()
        && let Err(error) = services.runtime.store.set_tags(&[(put.id.clone(), entry.tags.clone())]).await
    {
        tracing::warn!(account = %put.id, %error, "tags of an import are not stored");
    }
    let result = match (put.added, put.stored) {
        (true, _) => ImportOutcome::Added,
        (false, true) => ImportOutcome::Updated,
        (false, false) => ImportOutcome::Unchanged,
    };
    done(entry, Some(&put.id), result)
}

/// Keeps the tokens of a known account, and assigns the given egress.
async fn keep_known(services: &Services, entry: &LoginEntry, id: &AccountId, egress: Option<&Egress>) -> ImportResult {
    if let Some(egress) = egress
        && let Err(error) = services.runtime.store.set_egresses(&[(id.clone(), egress.clone())]).await
    {
        return failed(entry.line, &entry.label, ImportOutcome::Failed, &error.to_string());
    }
    done(entry, Some(id), ImportOutcome::Unchanged)
}

/// Adds a relay for an API key; `false` when a relay has the key already.
async fn relay(services: &Services, key: Secret) -> Result<bool, RelayError> {
    let names: Vec<String> = {
        let list = services.registry.accounts.list();
        let relays = || list.iter().filter_map(|entry| entry.relay.as_ref());
        if relays().any(|relay| relay.key == key && relay.relay.base_url.starts_with(OPENAI)) {
            return Ok(false);
        }
        relays().map(|relay| relay.relay.name.clone()).collect()
    };
    let others = (2..=NAMES).map(|number| format!("openai-{number}"));
    let free = std::iter::once("openai".to_owned()).chain(others).find(|name| !names.contains(name));
    let spec = RelaySpec {
        name: free.unwrap_or_else(|| "openai".to_owned()),
        base_url: OPENAI.to_owned(),
        key,
        wire: Some(Wire::Responses),
        models: Vec::new(),
        prefix: String::new(),
        capabilities: None,
        private: PrivateAccess::Refused,
        weight: 1,
        enabled: true,
    };
    add_relay(&services.runtime.store, services.runtime.upstream.relays(), &spec, services.runtime.now()).await?;
    Ok(true)
}

pub(super) fn done(entry: &LoginEntry, id: Option<&AccountId>, result: ImportOutcome) -> ImportResult {
    let id = id.map(|id| id.0.clone());
    ImportResult { line: entry.line, label: entry.label.clone(), id, result, error: None }
}

pub(super) fn failed(line: usize, label: &str, result: ImportOutcome, why: &str) -> ImportResult {
    ImportResult { line, label: label.to_owned(), id: None, result, error: Some(why.to_owned()) }
}
