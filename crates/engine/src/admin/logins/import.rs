//! Takes a file's logins in. What can be said without the network is said first; only then are refresh tokens spent.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use pool::egress::Egress;
use pool::relay::Wire;
use pool::{AccountId, Secret, Status, Tokens, limits};
use store::portable::{self, PortableError};
use store::{NewAccount, Origin, PutOutcome};
use tokio::sync::Semaphore;
use upstream::authfile::Login;
use upstream::transfer::{self, Entry, File, FileError, Readiness};

use super::{Logins, keep_login, new_account, spend};
use crate::admin::relays::{Private, RelayError, RelayWish, add_relay};
use crate::request::services::Services;

/// Where keys of an auth.json are good.
const OPENAI: &str = "https://api.openai.com/v1";
/// Names that are tried for its relay.
const NAMES: u32 = 99;

/// Passphrases that are worked on at a time: each takes tens of megabytes and a services.
pub(crate) static PASSPHRASES: Semaphore = Semaphore::const_new(2);

/// What became of an import.
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
    /// Entries that another entry says too.
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

/// What became of one entry.
#[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
pub struct ImportResult {
    /// Where it begins in the file, from 1.
    pub line: usize,
    /// Its name there; may be empty.
    pub label: String,
    /// Its account, where there is one.
    pub id: Option<String>,
    /// What was done.
    pub result: ImportOutcome,
    /// Why it failed.
    pub error: Option<String>,
}

/// What was done with an entry.
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
    /// Its tokens cannot be good; nothing was sent.
    Junk,
    /// The provider did not take its refresh token.
    Refused,
    /// Its refresh token was not sent: no way out that its account may take is open.
    NoWayOut,
    /// The store did not take it.
    Failed,
}

/// Why a file was refused as a whole; nothing is changed then.
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
    /// Takes a file's accounts in, and its API keys as relays. Goes on when the caller leaves: a refresh token that is spent must be
    /// followed by its successor. Errors: [`ImportProblem`] when the file cannot be read as a whole.
    pub async fn import(self, text: Vec<u8>, passphrase: Option<Secret>) -> Result<Imports, ImportProblem> {
        // Reading takes a while, and opening is meant to.
        let turn = match passphrase {
            Some(_) => PASSPHRASES.acquire().await.ok(),
            None => None,
        };
        let work = tokio::task::spawn_blocking(move || {
            // Kept to the end of the work, also when the caller leaves.
            let _turn = turn;
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

    /// Takes one token in: an access token as it is, a refresh token by using it. The account is assigned to `egress` where
    /// that is said, and the call goes that way too.
    pub async fn add_token(self, access: Option<Secret>, refresh: Option<Secret>, egress: Option<Egress>) -> Imports {
        let entry = Entry { line: 1, access, refresh, ..Entry::default() };
        self.take_file(File { entries: vec![entry], ..File::default() }, egress).await
    }

    /// Takes the login of an auth.json in as it is; nothing is sent. Errors: the store's.
    pub async fn add_login(self, login: Login) -> Result<PutOutcome, store::Error> {
        let put = keep_login(self.services, linked_account(login, self.services)).await?;
        self.services.dispatch.reload_registry().await?;
        Ok(put)
    }

    async fn take_file(self, file: File, egress: Option<Egress>) -> Imports {
        let services = Arc::clone(self.services);
        let work = self.services.runtime.tasks.spawn(async move { run(&services, file, egress.as_ref()).await });
        work.await.unwrap_or_default()
    }
}

/// An entry on its way.
struct Item {
    at: usize,
    entry: Entry,
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
        let kept = keep_login(services, with_entry_facts(&entry, egress, linked_account(login, services))).await;
        done.entries[first + at] = import_result(services, &entry, kept).await;
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

/// Keys become relays.
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
                ImportOutcome::Junk | ImportOutcome::Refused | ImportOutcome::NoWayOut | ImportOutcome::Failed => {
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

/// What is left to do once junk and duplicates are told.
#[derive(Default)]
struct Sorted {
    ready: Vec<(Item, Login)>,
    /// Their refresh token is an account's.
    known: Vec<(Item, AccountId)>,
    spend: Vec<(Item, Secret)>,
}

/// Sorts entries by what is to be done; junk and duplicates get their result at once.
fn sort(services: &Services, entries: Vec<Entry>, results: &mut [ImportResult]) -> Sorted {
    let known = account_ids(services);
    let (mut sorted, mut logins, mut seen) = (Sorted::default(), HashMap::new(), HashSet::new());
    let mut waiting = Vec::new();
    for (at, entry) in entries.into_iter().enumerate() {
        match entry.readiness(services.runtime.now()) {
            Err(junk) => results[at] = failed(entry.line, &entry.label, ImportOutcome::Junk, &junk.to_string()),
            Ok(Readiness::NeedsRefresh(refresh)) => waiting.push((Item { at, entry }, refresh)),
            Ok(Readiness::Ready(login)) => {
                seen.extend(login.refresh.as_ref().map(|token| token.expose().to_owned()));
                newest(&mut sorted.ready, &mut logins, (Item { at, entry }, login), results);
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

/// Of several entries of one login, the one whose tokens are newest stays; one with a refresh token before any without.
fn newest(
    ready: &mut Vec<(Item, Login)>,
    logins: &mut HashMap<(String, String), usize>,
    (item, login): (Item, Login),
    results: &mut [ImportResult],
) {
    let who = (login.claims.account_id.clone(), login.claims.user.clone());
    let age = |login: &Login| (login.refresh.is_some(), login.claims.expires, login.refreshed);
    let Some(&place) = logins.get(&who) else {
        logins.insert(who, ready.len());
        ready.push((item, login));
        return;
    };
    let older = if age(&login) > age(&ready[place].1) {
        std::mem::replace(&mut ready[place], (item, login))
    } else {
        (item, login)
    };
    results[older.0.at] = done(&older.0.entry, None, ImportOutcome::Duplicate);
}

/// The refresh tokens that we have, which must not be spent as somebody's.
fn account_ids(services: &Services) -> HashMap<String, AccountId> {
    let list = services.registry.accounts.list();
    let token = |entry: &Arc<crate::registry::accounts::Entry>| {
        let refresh = entry.tokens.as_ref()?.refresh.as_ref()?;
        Some((refresh.expose().to_owned(), entry.account.id.clone()))
    };
    list.iter().filter_map(token).collect()
}

fn linked_account(login: Login, services: &Services) -> NewAccount {
    let Login { access, refresh, id, claims, refreshed } = login;
    let tokens = Tokens {
        access,
        refresh,
        id,
        expires: claims.expires,
        refreshed: refreshed.unwrap_or_else(|| services.runtime.now()),
    };
    new_account(claims, tokens, Origin::Import)
}

/// An account with what its entry says beside the tokens, from its first moment on.
pub(super) fn with_entry_facts(entry: &Entry, egress: Option<&Egress>, new: NewAccount) -> NewAccount {
    let status = if entry.disabled { Status::Disabled } else { new.status };
    NewAccount { label: entry.label.clone(), egress: egress.cloned(), status, ..new }
}

/// The result of an entry that was stored, with what its file says beside the tokens.
pub(super) async fn import_result(
    services: &Services,
    entry: &Entry,
    kept: Result<PutOutcome, store::Error>,
) -> ImportResult {
    let put = match kept {
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

/// An account whose refresh token we have keeps it; the way that was asked for is taken all the same.
async fn keep_known(services: &Services, entry: &Entry, id: &AccountId, egress: Option<&Egress>) -> ImportResult {
    if let Some(egress) = egress
        && let Err(error) = services.runtime.store.set_egresses(&[(id.clone(), egress.clone())]).await
    {
        return failed(entry.line, &entry.label, ImportOutcome::Failed, &error.to_string());
    }
    done(entry, Some(id), ImportOutcome::Unchanged)
}

/// An API key as a relay; `false` when one has it already.
async fn relay(services: &Services, key: Secret) -> Result<bool, RelayError> {
    let names: Vec<String> = {
        let list = services.registry.accounts.list();
        let lines = || list.iter().filter_map(|entry| entry.relay.as_ref());
        if lines().any(|line| line.key == key && line.relay.base_url.starts_with(OPENAI)) {
            return Ok(false);
        }
        lines().map(|line| line.relay.name.clone()).collect()
    };
    let others = (2..=NAMES).map(|number| format!("openai-{number}"));
    let free = std::iter::once("openai".to_owned()).chain(others).find(|name| !names.contains(name));
    let wish = RelayWish {
        name: free.unwrap_or_else(|| "openai".to_owned()),
        base_url: OPENAI.to_owned(),
        key,
        wire: Some(Wire::Responses),
        models: Vec::new(),
        prefix: String::new(),
        capabilities: None,
        private: Private::Refused,
        weight: 1,
        enabled: true,
    };
    add_relay(&services.runtime.store, services.runtime.upstream.relays(), &wish, services.runtime.now()).await?;
    Ok(true)
}

pub(super) fn done(entry: &Entry, id: Option<&AccountId>, result: ImportOutcome) -> ImportResult {
    let id = id.map(|id| id.0.clone());
    ImportResult { line: entry.line, label: entry.label.clone(), id, result, error: None }
}

pub(super) fn failed(line: usize, label: &str, result: ImportOutcome, why: &str) -> ImportResult {
    ImportResult { line, label: label.to_owned(), id: None, result, error: Some(why.to_owned()) }
}
