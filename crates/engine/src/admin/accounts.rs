//! The accounts as their owner sees and changes them: check, refresh, export. [`batch`] changes several at once.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use pool::account::InvalidLimits;
use pool::egress::EgressTable;
use pool::{AccountId, AccountLimits, Millis, Secret};
use store::portable::{self, PortableError};
use tokio::time::Instant;
use upstream::oauth::RefreshReason;
use upstream::transfer::{ExportedAccount, Format, write};

pub(crate) mod batch;

use crate::registry::accounts::{AccountEntry, AccountView};
use crate::request::services::Services;
use crate::tokens::RefreshRequest;

/// Why an account was not changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// No account has this id.
    #[error("there is no such account; hint: `polygate accounts list` shows those that are there")]
    Unknown,
    /// An invalid name or tag.
    #[error("{0}")]
    Invalid(&'static str),
    /// Limits out of bounds.
    #[error(transparent)]
    Limits(#[from] InvalidLimits),
    /// Its tokens were not refreshed.
    #[error("its tokens were not refreshed: {why}")]
    NotRefreshed {
        /// Whether only a person can help.
        lasting: bool,
        /// The reason, for people.
        why: String,
    },
    /// The store failed.
    #[error("the store failed: {0}")]
    Store(#[from] store::Error),
}

/// The pace of a check of several accounts.
#[derive(Clone, Copy, Debug)]
pub struct CheckPace {
    /// The time between two starts.
    pub stagger: Duration,
    /// Most checks at the same time.
    pub parallel: usize,
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AccountHealth)]
pub enum AccountHealth {
    /// The backend knows its login.
    Alive,
    /// The backend refuses its login.
    Dead,
    /// The check gave no result.
    Skipped,
}

/// A checked account.
#[derive(Clone, Debug, serde::Serialize)]
pub struct CheckedAccount {
    /// Its id.
    pub id: String,
    /// Its e-mail.
    pub email: String,
    /// Its name.
    pub label: String,
    /// Its state before.
    pub previous_status: &'static str,
    /// The result.
    pub result: AccountHealth,
    /// Why not alive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How long the backend took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
}

/// A change of an account's limits; `None` keeps the value.
#[derive(Clone, Copy, Debug, Default)]
pub struct LimitsChange {
    /// Requests at a time; 0 is no limit, an inner `None` leaves it to the settings.
    pub max_concurrent: Option<Option<u32>>,
    /// Its priority; lower serves first.
    pub priority: Option<i32>,
}

impl LimitsChange {
    /// Applies the change. Errors: [`InvalidLimits`] for limits out of bounds.
    pub fn apply(self, limits: AccountLimits) -> Result<AccountLimits, InvalidLimits> {
        let max_concurrent = self.max_concurrent.unwrap_or(limits.max_concurrent);
        AccountLimits { max_concurrent, priority: self.priority.unwrap_or(limits.priority) }.check()
    }
}

/// The handle that `Engine::accounts` returns.
#[derive(Clone, Copy)]
pub struct Accounts<'e>(pub(crate) &'e Arc<Services>);

impl Accounts<'_> {
    /// Changes an account's limits at once, also for waiting requests. With an error nothing is changed.
    pub async fn set_limits(self, id: &str, change: LimitsChange) -> Result<AccountView, AccountError> {
        let services = self.0;
        let _guard = services.registry.lock_reload().await;
        let entry = services.registry.account(id).ok_or(AccountError::Unknown)?;
        let id = &entry.account.id;
        let limits = change.apply(entry.account.limits)?;
        if !services.runtime.store.set_limits(id, limits).await? {
            return Err(AccountError::Unknown);
        }
        services.registry.accounts.set_limits(id, limits);
        services.dispatch.limiter.requeue(id);
        let entry = services.registry.accounts.get(id).ok_or(AccountError::Unknown)?;
        Ok(entry.view(services.dispatch.limiter.in_flight_and_waiting(id), services.runtime.now()))
    }

    /// Every account, oldest first.
    pub fn list(self) -> Vec<AccountView> {
        let (now, egress) = (self.0.runtime.now(), self.0.registry.egress.table());
        let list = self.0.registry.accounts.list();
        list.accounts().map(|entry| self.view(entry, &egress, now)).collect()
    }

    /// One account.
    pub fn get(self, id: &str) -> Option<AccountView> {
        let entry = self.0.registry.account(id)?;
        Some(self.view(&entry, &self.0.registry.egress.table(), self.0.runtime.now()))
    }

    /// Refreshes an account's tokens now. An account that follows a file takes the file's tokens; one without a refresh token serves until
    /// its access token ends.
    pub async fn refresh(self, id: &str) -> Result<AccountView, AccountError> {
        self.refresh_tokens(id).await?;
        self.get(id).ok_or(AccountError::Unknown)
    }

    /// Asks the backend about these accounts, all accounts without `ids`. The call costs no quota and no refresh token, and changes
    /// nothing.
    pub async fn check(self, ids: Option<&[String]>, pace: CheckPace) -> Vec<CheckedAccount> {
        let list = self.0.registry.accounts.list();
        let ids: Option<HashSet<&str>> = ids.map(|ids| ids.iter().map(String::as_str).collect());
        let wanted = |id: &AccountId| ids.as_ref().is_none_or(|ids| ids.contains(id.0.as_str()));
        let entries = list.accounts().filter(|entry| wanted(&entry.account.id)).cloned();
        let begun = Instant::now();
        let checks = entries.collect::<Vec<_>>().into_iter().enumerate().map(|(at, entry)| async move {
            let nth = u32::try_from(at).unwrap_or(u32::MAX);
            tokio::time::sleep_until(begun + pace.stagger.saturating_mul(nth)).await;
            self.check_one(&entry).await
        });
        stream::iter(checks).buffered(pace.parallel.max(1)).collect().await
    }

    /// An account's cookies as the text of one header; `None` without cookies.
    pub fn cookies(self, id: &str) -> Result<Option<Secret>, AccountError> {
        let entry = self.0.registry.account(id).ok_or(AccountError::Unknown)?;
        Ok(self.0.runtime.upstream.cookie_header(&entry.account.id))
    }

    /// Replaces an account's cookies and returns how many were kept: only cookies of the backend's load balancers and of Cloudflare are.
    pub async fn put_cookies(self, id: &str, pairs: &[(String, Secret)]) -> Result<usize, AccountError> {
        let services = self.0;
        let entry = services.registry.account(id).ok_or(AccountError::Unknown)?;
        let id = &entry.account.id;
        let count = services.runtime.upstream.replace_cookies(id, pairs);
        match services.runtime.upstream.cookies(id) {
            Some(jar) => services.runtime.store.set_cookies(&[(id.clone(), jar)]).await?,
            None => services.runtime.store.clear_cookies(id).await?,
        }
        Ok(count)
    }

    /// Exports these accounts in clear text, all accounts without `ids`. Accounts with unreadable tokens are left out.
    pub async fn export(self, ids: &[String], format: Format) -> Result<Secret, AccountError> {
        let services = self.0;
        if let Some(_missing) = ids.iter().find(|id| services.registry.account(id).is_none()) {
            return Err(AccountError::Unknown);
        }
        let list = services.registry.accounts.list();
        let wanted = |entry: &&Arc<AccountEntry>| ids.is_empty() || ids.contains(&entry.account.id.0);
        let mut out = Vec::new();
        for entry in list.accounts().filter(wanted) {
            // The store has the newest tokens.
            if let Some(tokens) = services.runtime.store.tokens(&entry.account.id).await? {
                out.push(ExportedAccount {
                    account: entry.account.clone(),
                    tokens,
                    tags: services.registry.extras.tags(&entry.account.id),
                });
            }
        }
        Ok(write(format, &out, services.runtime.now()))
    }

    /// Seals an export under a passphrase.
    pub async fn seal_export(self, export: Secret, passphrase: Secret) -> Result<String, PortableError> {
        let permit = super::logins::PASSPHRASES.acquire().await.ok();
        let work = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            portable::seal(&export, &passphrase)
        });
        work.await.unwrap_or(Err(PortableError::DecryptionFailed))
    }

    /// An account for people, with the facts that its entry does not hold.
    pub(crate) fn view(self, entry: &AccountEntry, egress: &EgressTable, now: Millis) -> AccountView {
        let id = &entry.account.id;
        let mut view = entry.view(self.0.dispatch.limiter.in_flight_and_waiting(id), now);
        view.tags = self.0.registry.extras.tags(id);
        view.linked = self.0.registry.extras.link(id).map(|link| link.file.display().to_string());
        (view.egress_id, view.egress) = self.0.registry.egress_labels(id);
        view.why = view.why.or_else(|| egress.unavailable(id, now).map(|unavailable| unavailable.to_string()));
        view
    }

    /// As [`Self::refresh`], without the view.
    pub(super) async fn refresh_tokens(self, id: &str) -> Result<(), AccountError> {
        let entry = self.0.registry.account(id).ok_or(AccountError::Unknown)?;
        let not = |lasting, why: &str| AccountError::NotRefreshed { lasting, why: why.to_owned() };
        let tokens = entry.tokens.as_ref().ok_or_else(|| not(true, "it has no tokens"))?;
        let good = tokens.expires.is_some_and(|end| end > self.0.runtime.backend_now());
        if good && tokens.refresh.is_none() && self.0.registry.extras.link(&entry.account.id).is_none() {
            return Err(not(false, "it has no refresh token; its access token serves until it ends"));
        }
        let refresh = self
            .0
            .tokens
            .refresh(&entry.account.id, RefreshRequest::background(tokens, RefreshReason::ProactiveExpiry));
        match refresh.await {
            Ok(_) => Ok(()),
            Err(error) => Err(AccountError::NotRefreshed { lasting: error.lasting, why: error.why }),
        }
    }

    async fn check_one(self, entry: &AccountEntry) -> CheckedAccount {
        let account = &entry.account;
        let report = |result, error, duration_ms| CheckedAccount {
            id: account.id.0.clone(),
            email: account.email.clone(),
            label: account.label.clone(),
            previous_status: account.status.as_str(),
            result,
            error,
            duration_ms,
        };
        let now = self.0.runtime.backend_now();
        let Some(tokens) = entry.tokens.as_ref().filter(|tokens| tokens.expires.is_none_or(|end| end > now)) else {
            let why = "its access token has ended; it is refreshed when it is used".to_owned();
            return report(AccountHealth::Skipped, Some(why), None);
        };
        let begun = Instant::now();
        let answer = match self.0.dispatch.egress(&account.id) {
            Ok(upstream) => upstream.accounts_check(account, &tokens.access).await,
            Err(none) => return report(AccountHealth::Skipped, Some(none.to_string()), None),
        };
        let took = Some(u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX));
        let html = |body: &[u8]| body.trim_ascii_start().starts_with(b"<");
        match answer {
            Err(fault) => report(AccountHealth::Skipped, Some(fault.to_string()), took),
            Ok(answer) => match answer.status {
                200 => report(AccountHealth::Alive, None, took),
                401 => report(AccountHealth::Dead, Some("the backend refuses its access token (401)".to_owned()), took),
                403 if html(&answer.body) => {
                    report(AccountHealth::Skipped, Some("Cloudflare stopped the check (403)".to_owned()), took)
                }
                403 => report(AccountHealth::Dead, Some("the backend refuses the account (403)".to_owned()), took),
                status => report(AccountHealth::Skipped, Some(format!("the backend answered {status}")), took),
            },
        }
    }
}
