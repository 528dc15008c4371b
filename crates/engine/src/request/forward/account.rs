//! Forwarded calls to an account's backend.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName};
use pool::Tokens;
use pool::relay::Service;
use upstream::{Answer, Fault, ServiceCall, Upstream};
use uuid::Uuid;

use super::ForwardAttempt;
use crate::dispatch::head;
use crate::registry::accounts::Entry;
use crate::request::attempt::CallError;
use crate::request::attempt::refusal::account_refusal;
use crate::request::services::Services;

/// Headers of the backend's answer that a client may see, beside those of every answer.
const PASSED: [HeaderName; 2] = [CONTENT_TYPE, CONTENT_LENGTH];

impl ForwardAttempt {
    /// One call at an account, up to the head of an answer that serves.
    pub(super) async fn call_account(&mut self, entry: &Entry, tokens: &Tokens) -> Result<Answer, CallError> {
        self.state.call_started(entry, 0);
        let id = &entry.account.id;
        let (services, service, body) = (Arc::clone(&self.state.services), self.service, self.load.json());
        let mut answer = AccountCall { services, service, body, passed: self.turn.clone() }.go(entry, tokens).await?;
        let services = &self.state.services;
        if answer.status != 200 {
            return Err(account_refusal(services, id, answer).await);
        }
        head::served(&services.dispatch, id, &answer.headers);
        services.dispatch.mark_answering(id);
        answer.headers = passed_headers(&answer.headers);
        Ok(answer)
    }
}

/// The parts of one call that do not depend on the account.
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
        let call = |upstream: Upstream| {
            let (service, body) = (self.service, self.body.clone());
            let call = ServiceCall { account, access, service, body, turn: &turn, passed: &self.passed };
            async move { upstream.call_service(call).await }
        };
        self.services.dispatch.egress_attempts(&account.id).run(call).await
    }
}

/// The headers that a client may see.
fn passed_headers(headers: &HeaderMap) -> HeaderMap {
    let mut seen = head::passed(headers, false);
    let own = headers.iter().filter(|(name, _)| PASSED.contains(name));
    seen.extend(own.map(|(name, value)| (name.clone(), value.clone())));
    seen
}
