//! A call that is handed on to an account's backend.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName};
use pool::Tokens;
use pool::attempt::Outcome;
use pool::relay::Service;
use tokio::time::timeout;
use upstream::oauth::RefreshReason;
use upstream::{Answer, Fault, ServiceCall};
use uuid::Uuid;

use super::ForwardAttempt;
use crate::dispatch::head;
use crate::registry::accounts::Entry;
use crate::request::run::call::{CallError, account_refusal};
use crate::request::services::Services;
use crate::tokens::{RefreshFailed, RefreshRequest};

/// Headers of the backend's answer that a client may see, beside those of every answer.
const PASSED: [HeaderName; 2] = [CONTENT_TYPE, CONTENT_LENGTH];

impl ForwardAttempt {
    /// One call: tokens, body, and the head of an answer that serves.
    pub(super) async fn errand(&mut self, entry: &Entry, refresh: bool) -> Result<Answer, CallError> {
        let id = &entry.account.id;
        let tokens = self.tokens(entry, refresh).await?;
        self.call.0 = self.services.runtime.now();
        self.usage.call_started(id, 0);
        self.head.account = Some(id.clone());
        let (services, service, body) = (Arc::clone(&self.services), self.service, self.load.json());
        let mut answer = AccountCall { services, service, body, passed: self.turn.clone() }.go(entry, &tokens).await?;
        if answer.status != 200 {
            return Err(account_refusal(&self.services, id, answer).await);
        }
        head::served(&self.services.dispatch, id, &answer.headers);
        self.services.dispatch.mark_answering(id);
        answer.headers = seen(&answer.headers);
        Ok(answer)
    }

    /// Tokens that can be sent; others than the refused ones when those are to be refreshed.
    async fn tokens(&mut self, entry: &Entry, refresh: bool) -> Result<Arc<Tokens>, CallError> {
        let refused = self.services.runtime.backend_now();
        let fresh = async {
            match &self.sent {
                Some(sent) if refresh => {
                    let wish = RefreshRequest::waiting(sent, RefreshReason::UnauthorizedRecovery);
                    self.services.tokens.refresh(&entry.account.id, wish).await
                }
                _ => self.services.tokens.usable_tokens(entry, RefreshRequest::waiting).await,
            }
        };
        // The refresh goes on beside us: that we cannot wait for it says nothing about the account.
        let late = || RefreshFailed::passing("the account's tokens were not refreshed in time");
        let fresh = timeout(self.services.runtime.settings.commit, fresh).await.unwrap_or_else(|_| Err(late()));
        let tokens = fresh.map_err(Outcome::from)?;
        if refresh && tokens.refreshed < refused {
            self.history.adopt();
        }
        self.sent = Some(Arc::clone(&tokens));
        Ok(tokens)
    }
}

/// What is sent, whoever's it is.
struct AccountCall {
    services: Arc<Services>,
    service: Service,
    body: Bytes,
    passed: Vec<(&'static str, String)>,
}

impl AccountCall {
    async fn go(self, entry: &Entry, tokens: &Tokens) -> Result<Answer, Fault> {
        let (account, access) = (&entry.account, &tokens.access);
        let turn = Uuid::now_v7().to_string();
        let mut outing = self.services.dispatch.egress_attempts(&account.id);
        loop {
            let (service, body) = (self.service, self.body.clone());
            let errand = ServiceCall { account, access, service, body, turn: &turn, passed: &self.passed };
            match outing.next()?.call_service(errand).await {
                Err(fault) if outing.may_try_another(fault.sent) => {
                    tracing::debug!(why = %fault, "another way is tried");
                }
                sent => return sent,
            }
        }
    }
}

/// The headers that a client may see.
fn seen(headers: &HeaderMap) -> HeaderMap {
    let mut seen = head::passed(headers, false);
    let own = headers.iter().filter(|(name, _)| PASSED.contains(name));
    seen.extend(own.map(|(name, value)| (name.clone(), value.clone())));
    seen
}
