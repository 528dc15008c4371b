//! Accounts that follow Codex's own file. Codex uses the refresh token in the file.
//!
//! The store holds the access token only, so that an ordinary refresh cannot use the refresh token. It is used only when the file's
//! access token has ended, the file was not written for a minute, and the owner allowed it; the file then gets the new tokens first.

use std::sync::Arc;

use pool::attempt::Sent;
use pool::limits::LINK_SETTLED;
use pool::status::Signal;
use pool::{AccountId, Millis, Secret, Status, Tokens};
use store::{LinkedAccount, NewAccount, RefreshLease, TokenOrigin};
use tokio::sync::SemaphorePermit;
use upstream::authfile::{ImportError, Login};
use upstream::jwt::Claims;
use upstream::linked::{self, LinkedFile, NewTokens};
use upstream::oauth::{Grant, RefreshError, RefreshReason};

use super::TokenService;
use super::refresh::{CallOutcome, LeaseResult};
use super::{RefreshFailed, RefreshRequest, usable};
use crate::registry::accounts::AccountEntry;

impl TokenService {
    /// Fresh tokens of a linked account: the file's, or refreshed ones where that is allowed.
    pub(super) async fn refresh_linked(
        self: &Arc<Self>,
        id: &AccountId,
        link: &LinkedAccount,
        request: &RefreshRequest,
    ) -> Result<Arc<Tokens>, RefreshFailed> {
        let linked_file = self.read_linked_file(id, link).await?;
        let tokens = linked_account(linked_file.login.clone(), self.runtime.now()).tokens;
        if usable(&tokens, &request.old_access, self.runtime.backend_now()) {
            return self.adopt_file(id, link, linked_file.login).await;
        }
        let refresh = self.spendable_token(id, link, &linked_file, request)?;
        let (ticket, permit) = match self.lease(id, request).await? {
            LeaseResult::Ours(ticket, permit) => (ticket, permit),
            LeaseResult::Done(tokens) => return Ok(self.publish(id, tokens)),
            LeaseResult::Over => {
                let known = self.after_takeover(id, request).await;
                return known.unwrap_or_else(|| Err(RefreshFailed::passing("its login has just changed")));
            }
        };
        // Codex may have written while we waited for the lease.
        match linked::read(&link.file).await {
            Ok(again) if again.login.refresh.as_ref() == Some(&refresh) => {}
            _ => {
                self.release_lease(ticket, None).await;
                return Err(RefreshFailed::passing("Codex is writing the linked file"));
            }
        }
        let outcome = self.use_refresh_token((ticket, permit), link, &refresh, request).await;
        self.unlink_if_owned(id).await;
        outcome
    }

    /// Reads the file. The login of another account ends the link's login.
    async fn read_linked_file(&self, id: &AccountId, link: &LinkedAccount) -> Result<LinkedFile, RefreshFailed> {
        let linked_file = match linked::read(&link.file).await {
            Ok(linked_file) => linked_file,
            Err(error @ (ImportError::Io { .. } | ImportError::Malformed { .. })) => {
                self.pause_after(id, (Sent::Yes, None), &error.to_string());
                return Err(RefreshFailed::passing(error.to_string()));
            }
            Err(error) => return Err(self.end_linked_login(id, &error.to_string())),
        };
        let Some(entry) = self.registry.accounts.get(id) else {
            return Err(RefreshFailed::lasting("the account is gone"));
        };
        if is_same_account(&entry.account, &linked_file.login) {
            return Ok(linked_file);
        }
        Err(self.end_linked_login(id, &format!("{} holds the login of another account now", link.file.display())))
    }

    /// The refresh token, if it may be used now.
    fn spendable_token(
        &self,
        id: &AccountId,
        link: &LinkedAccount,
        linked_file: &LinkedFile,
        request: &RefreshRequest,
    ) -> Result<Secret, RefreshFailed> {
        let (now, file) = (self.runtime.now(), link.file.display());
        if linked_file.login.claims.expires.is_none_or(|end| end > self.runtime.backend_now()) {
            if request.reason != RefreshReason::UnauthorizedRecovery {
                return Err(RefreshFailed::passing(format!("the login in {file} is still good; Codex renews it")));
            }
            return Err(
                self.end_linked_login(id, &format!("the backend refuses the login in {file}; run `codex login`"))
            );
        }
        if !link.may_refresh {
            return Err(self.end_linked_login(
                id,
                &format!(
                    "the login in {file} has ended: run Codex once, or allow it here with `login --link --may-refresh`"
                ),
            ));
        }
        if linked_file.changed.after(LINK_SETTLED) > now {
            let why = format!("{file} was written a moment ago; Codex may be refreshing it");
            self.pause_after(id, (Sent::Yes, None), &why);
            return Err(RefreshFailed::passing(why));
        }
        let refresh = linked_file.login.refresh.clone();
        refresh.ok_or_else(|| {
            self.end_linked_login(id, &format!("the login in {file} has ended and holds no refresh token"))
        })
    }

    /// Uses the file's refresh token, once, and writes the new tokens to the file.
    async fn use_refresh_token(
        self: &Arc<Self>,
        (ticket, permit): (RefreshLease, SemaphorePermit<'_>),
        link: &LinkedAccount,
        refresh: &Secret,
        request: &RefreshRequest,
    ) -> Result<Arc<Tokens>, RefreshFailed> {
        let declared = self.write_intent(&ticket).await;
        if declared != Ok(true) {
            self.release_lease(ticket, None).await;
            return declared.and(Err(RefreshFailed::passing("this process stood still")));
        }
        match self.call_endpoint((&ticket, permit), refresh, request).await {
            Ok(grant) => self.store_in_both(ticket, link, refresh, grant).await,
            Err(RefreshError::Permanent { message, .. }) => match linked::read(&link.file).await {
                // Codex was first.
                Ok(again) if again.login.refresh.as_ref() != Some(refresh) => {
                    let id = ticket.id.clone();
                    self.release_lease(ticket, None).await;
                    self.adopt_file(&id, link, again.login).await
                }
                _ => self.end_login(ticket, &message, request).await.and_then(replaced),
            },
            Err(RefreshError::Transient { sent, status, retry_after, rotated: Some(next), message }) => {
                let fresh = NewTokens { refresh: Some(next.clone()), ..NewTokens::default() };
                let rotated = if self.write_back(link, refresh, fresh).await { None } else { Some(next) };
                let error = RefreshError::Transient { sent, status, retry_after, rotated, message };
                self.pause_for_trouble(ticket, error, request).await.and_then(replaced)
            }
            Err(error) => self.pause_for_trouble(ticket, error, request).await.and_then(replaced),
        }
    }

    /// Writes the file first, then the store. The store keeps the refresh token only when the file could not be written.
    async fn store_in_both(
        self: &Arc<Self>,
        ticket: RefreshLease,
        link: &LinkedAccount,
        old_refresh: &Secret,
        grant: Grant,
    ) -> Result<Arc<Tokens>, RefreshFailed> {
        let Grant { access, refresh, id } = grant;
        let fresh = NewTokens { access: Some(access.clone()), refresh: refresh.clone(), id: id.clone() };
        let written = self.write_back(link, old_refresh, fresh).await;
        let refresh = if written { None } else { refresh };
        let account = ticket.id.clone();
        let stored = self.store_granted(ticket, Grant { access, refresh, id }).await.and_then(replaced);
        stored.inspect_err(|error| tracing::warn!(%account, %error, "a linked account's new tokens are not kept"))
    }

    /// Ends the link of an account whose refresh token is in the store: its file's token is used up or another one.
    pub(super) async fn unlink_if_owned(&self, id: &AccountId) {
        let own = |entry: Arc<AccountEntry>| entry.tokens.as_ref().is_some_and(|tokens| tokens.refresh.is_some());
        if self.registry.extras.link(id).is_none() || !self.registry.accounts.get(id).is_some_and(own) {
            return;
        }
        self.registry.extras.unlink(id);
        match self.runtime.store.unlink(id).await {
            Ok(_) => {
                tracing::warn!(account = %id, "the account follows its file no longer: its newest tokens are here");
            }
            // The next refresh comes here again.
            Err(error) => tracing::error!(account = %id, %error, "the link is not ended"),
        }
    }

    async fn write_back(&self, link: &LinkedAccount, old_refresh: &Secret, fresh: NewTokens) -> bool {
        match linked::rewrite(&link.file, old_refresh, fresh, self.runtime.now()).await {
            Ok(written) => written,
            Err(error) => {
                tracing::error!(account = %link.account, file = %link.file.display(), %error, "the linked file did not take its new tokens");
                false
            }
        }
    }

    /// Stores and publishes the file's tokens, without the refresh token.
    pub(crate) async fn adopt_file(
        self: &Arc<Self>,
        id: &AccountId,
        link: &LinkedAccount,
        login: Login,
    ) -> Result<Arc<Tokens>, RefreshFailed> {
        let now = self.runtime.now();
        self.runtime.store.put_account(linked_account(login, now), now).await?;
        let stored = self.runtime.store.tokens(id).await?;
        let stored = stored.ok_or_else(|| RefreshFailed::lasting("the account is gone"))?;
        tracing::debug!(account = %id, file = %link.file.display(), "linked file taken over");
        self.dispatch.signal(id, &Signal::SignedIn);
        Ok(self.publish(id, stored))
    }

    /// Reads a linked file that has changed; `false` when it should be read again soon.
    pub(crate) async fn follow_link(self: &Arc<Self>, link: &LinkedAccount) -> bool {
        let linked_file = match linked::read(&link.file).await {
            Ok(linked_file) => linked_file,
            Err(error) => {
                tracing::debug!(account = %link.account, %error, "linked file not read");
                return !matches!(error, ImportError::Malformed { .. });
            }
        };
        let Some(entry) = self.registry.accounts.get(&link.account) else { return true };
        let ended = linked_file.login.claims.expires.is_some_and(|end| end <= self.runtime.backend_now());
        // A restored file revives an account whose login ended by the file's absence or by another account's login in it.
        let over = matches!(entry.account.status, Status::NeedsLogin { .. } | Status::Expiring { .. });
        let known = !over && entry.tokens.as_ref().is_some_and(|tokens| tokens.access == linked_file.login.access);
        if known || ended || !is_same_account(&entry.account, &linked_file.login) {
            return true;
        }
        self.adopt_file(&link.account, link, linked_file.login).await.is_ok()
    }
}

/// Whether the file's login is the account's.
fn is_same_account(account: &pool::Account, login: &Login) -> bool {
    let claims = &login.claims;
    account.upstream_id == claims.account_id && (account.user.is_empty() || account.user == claims.user)
}

/// An account of a file's login, as it is stored.
pub(crate) fn file_account(login: Login, now: Millis) -> NewAccount {
    let Login { access, refresh, id, claims, refreshed } = login;
    let tokens = Tokens { access, refresh, id, expires: claims.expires, refreshed: refreshed.unwrap_or(now) };
    new_account(claims, tokens, TokenOrigin::Import)
}

/// As [`file_account`], without the refresh token, which stays Codex's.
pub(crate) fn linked_account(login: Login, now: Millis) -> NewAccount {
    file_account(Login { refresh: None, ..login }, now)
}

/// An account of these claims and tokens, named by its e-mail.
pub(crate) fn new_account(claims: Claims, tokens: Tokens, origin: TokenOrigin) -> NewAccount {
    NewAccount {
        label: String::new(),
        email: claims.email,
        plan: claims.plan,
        upstream_id: claims.account_id,
        user: claims.user,
        fedramp: claims.fedramp,
        tokens,
        origin,
        egress: None,
        status: Status::Active,
    }
}

/// The tokens of a call; an error when another process has replaced them.
fn replaced(call: CallOutcome) -> Result<Arc<Tokens>, RefreshFailed> {
    match call {
        CallOutcome::Done(tokens) => Ok(tokens),
        CallOutcome::Overtaken => Err(RefreshFailed::passing("its tokens were replaced meanwhile")),
    }
}
