//! Uses one refresh token of an import, once. Its successor is stored whatever fails afterwards.

use std::sync::Arc;
use std::time::Duration;

use pool::egress::Egress;
use pool::{AccountId, Secret};
use store::PutOutcome;
use upstream::jwt::Claims;
use upstream::oauth::{Grant, RefreshError, RefreshReason};
use upstream::transfer::LoginEntry;
use upstream::{Sent, Upstream};

use super::import::{ImportOutcome, ImportResult, failed, import_result, with_entry_facts};
use super::{issued_account, store_login, store_unnamed_tokens};
use crate::dispatch::egress_attempts::{CallFailure, EgressAttempts, NoEgress};
use crate::request::services::Services;

/// Calls for one token: the first, and one after a transient failure.
const TRIES: usize = 2;
/// Pause before the second call, and between tries to store new tokens.
const PAUSE: Duration = Duration::from_secs(1);
/// Tries to store new tokens; fewer when the engine stops.
const STORES: usize = 60;

/// Uses an entry's refresh token and stores the new tokens.
pub(super) async fn spend_token(
    services: &Arc<Services>,
    entry: &LoginEntry,
    refresh: Secret,
    egress: Option<&Egress>,
) -> ImportResult {
    let refused = |why: &str| failed(entry.line, &entry.label, ImportOutcome::Refused, why);
    let (mut token, mut rotated, mut why) = (refresh, false, String::new());
    for attempt in 0..TRIES {
        if attempt > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        if services.runtime.stop.is_cancelled() {
            "the gateway is stopping; import it again".clone_into(&mut why);
            break;
        }
        match call(services, routes(services, entry, egress), &token).await {
            Ok(grant) => return store_grant(services, entry, (grant, token), egress).await,
            Err(CallError::NoEgress(none)) if attempt == 0 => {
                return failed(entry.line, &entry.label, ImportOutcome::NoEgress, &none.to_string());
            }
            // The token may have rotated since the first call, so the loop goes on to store it.
            Err(CallError::NoEgress(none)) => why = none.to_string(),
            Err(CallError::Refresh(RefreshError::Permanent { message, .. })) => {
                why = message;
                break;
            }
            Err(CallError::Refresh(RefreshError::Transient { rotated: next, message, .. })) => {
                rotated |= next.is_some();
                token = next.unwrap_or(token);
                why = message;
            }
        }
    }
    if rotated
        && let Err(error) =
            retry_store(services, || store_unnamed_tokens(services, entry, (Secret::from(""), Some(token.clone()))))
                .await
    {
        why = format!("{why}; and its new refresh token could not be stored: {error}");
    }
    refused(&why)
}

/// Why a call gave no tokens.
#[derive(Debug, thiserror::Error)]
enum CallError {
    #[error(transparent)]
    NoEgress(#[from] NoEgress),
    #[error(transparent)]
    Refresh(#[from] RefreshError),
}

impl CallFailure for CallError {
    fn sent(&self) -> Sent {
        if let Self::Refresh(error) = self { error.sent() } else { Sent::No }
    }
}

/// One call of the token endpoint, by one of the routes.
async fn call(services: &Services, routes: EgressAttempts, token: &Secret) -> Result<Grant, CallError> {
    let call = |upstream: Upstream| async move {
        let _permit = services.tokens.endpoint_permit().await;
        Ok(upstream.refresh(token, RefreshReason::ProactiveExpiry).await?)
    };
    routes.run(call).await
}

/// The routes of the given egress, else those of the entry's account, if known.
fn routes(services: &Arc<Services>, entry: &LoginEntry, egress: Option<&Egress>) -> EgressAttempts {
    let known = if egress.is_none() { account_of(services, entry) } else { None };
    known.map_or_else(|| services.dispatch.egress_attempts_by(egress), |id| services.dispatch.egress_attempts(&id))
}

/// The known account of an entry. Members of one workspace share its id, so an entry without a user matches only a workspace with one
/// account.
fn account_of(services: &Services, entry: &LoginEntry) -> Option<AccountId> {
    let claims = match (&entry.access, &entry.id) {
        (Some(access), id) => Claims::from_tokens(access, id.as_ref()),
        (None, id) => id.as_ref().and_then(Claims::read).unwrap_or_default(),
    };
    let claimed = Some(&claims.account_id).filter(|id| !id.is_empty());
    let workspace = claimed.or(entry.account.as_ref()).filter(|id| !id.is_empty())?;
    let list = services.registry.accounts.list();
    let whose = |user: &str| claims.user.is_empty() || user == claims.user;
    let mut members =
        list.accounts().filter(|known| known.account.upstream_id == *workspace && whose(&known.account.user));
    let member = members.next()?;
    members.next().is_none().then(|| member.account.id.clone())
}

/// Stores a grant. Without a refresh token in it, the old one stays valid.
async fn store_grant(
    services: &Services,
    entry: &LoginEntry,
    (grant, used_token): (Grant, Secret),
    egress: Option<&Egress>,
) -> ImportResult {
    let grant = Grant { refresh: grant.refresh.or(Some(used_token)), ..grant };
    let mut claims = Claims::from_tokens(&grant.access, grant.id.as_ref());
    if claims.account_id.is_empty() {
        claims.account_id = entry.account.clone().unwrap_or_default();
    }
    if claims.account_id.is_empty() {
        let stored = retry_store(services, || {
            store_unnamed_tokens(services, entry, (grant.access.clone(), grant.refresh.clone()))
        })
        .await;
        let why = match stored {
            Ok(()) => "its tokens name no ChatGPT account; they are kept in an account that needs a login".to_owned(),
            Err(error) => format!("its tokens name no ChatGPT account and could not be stored: {error}"),
        };
        return failed(entry.line, &entry.label, ImportOutcome::Refused, &why);
    }
    let new = with_entry_facts(entry, egress, issued_account(claims, grant, services.runtime.now()));
    let stored: Result<PutOutcome, store::Error> = retry_store(services, || store_login(services, new.clone())).await;
    import_result(services, entry, stored).await
}

/// Repeats a store operation until it succeeds, for a minute at most, or until the engine stops.
pub(super) async fn retry_store<T, F>(services: &Services, store: impl Fn() -> F) -> Result<T, store::Error>
where
    F: Future<Output = Result<T, store::Error>>,
{
    let mut result = store().await;
    for _ in 1..STORES {
        let Err(error) = &result else { break };
        tracing::error!(%error, "tokens that were just issued are not stored yet");
        if services.runtime.stop.is_cancelled() {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        result = store().await;
    }
    result
}
