//! Links an account to Codex's own file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use store::LinkedAccount;
use upstream::authfile::ImportError;
use upstream::linked;

use super::Logins;
use crate::admin::accounts::Accounts;
use crate::registry::accounts::{AccountEntry, AccountView};
use crate::tokens::linked_account;

/// Why a file was not linked.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The file holds no usable login.
    #[error(transparent)]
    File(#[from] ImportError),
    /// Its login has ended.
    #[error("the login in {0} has ended; hint: run Codex once, then link it again")]
    Ended(PathBuf),
    /// The same account is signed in here with tokens of its own.
    #[error(
        "this account is signed in here already with a login of its own; hint: `polygate accounts remove` it first"
    )]
    Own,
    /// Somebody removed the account while it was linked.
    #[error("the account was removed meanwhile; hint: link the file again")]
    Removed,
    /// The store failed.
    #[error("the store failed: {0}")]
    Store(#[from] store::Error),
}

impl Logins<'_> {
    /// The auth.json that Codex uses, if known.
    pub fn codex_file(self) -> Option<PathBuf> {
        self.services.runtime.settings.codex_file.clone()
    }

    /// The text of an auth.json, at most 1 MiB. A half-written file is read again.
    pub async fn read_codex(self, file: &Path) -> Result<Vec<u8>, ImportError> {
        upstream::authfile::text(file).await
    }

    /// Adds the account of a Codex auth.json, which stays Codex's: its tokens are followed, and refreshed only when they have
    /// ended and `may_refresh` allows it.
    pub async fn link(self, file: &Path, may_refresh: bool) -> Result<AccountView, LinkError> {
        let services = self.services;
        let io = |source| ImportError::Io { path: file.to_owned(), source };
        // The link must hold in other processes too, and a symlink must be followed when the file is replaced.
        let file = tokio::fs::canonicalize(file).await.map_err(io)?;
        let contents = linked::read(&file).await?;
        if !may_refresh && contents.login.claims.expires.is_some_and(|end| end <= services.runtime.backend_now()) {
            return Err(LinkError::Ended(file));
        }
        let claims = &contents.login.claims;
        let same = |entry: &&Arc<AccountEntry>| {
            entry.account.upstream_id == claims.account_id && entry.account.user == claims.user
        };
        let known = services.registry.accounts.list().accounts().find(same).cloned();
        if known.is_some_and(|entry| entry.tokens.as_ref().is_some_and(|tokens| tokens.refresh.is_some())) {
            return Err(LinkError::Own);
        }
        let now = services.runtime.now();
        let put = services.runtime.store.put_account(linked_account(contents.login, now), now).await?;
        services.runtime.store.set_link(&LinkedAccount { account: put.id.clone(), file, may_refresh }).await?;
        services.dispatch.reload_registry().await?;
        Accounts(self.services).get(&put.id.0).ok_or(LinkError::Removed)
    }
}
