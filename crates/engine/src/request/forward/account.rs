//! Forwarded calls to an account's backend.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName};
use pool::Tokens;
use upstream::{Answer, ServiceCall, Upstream};
use uuid::Uuid;

use super::ForwardAttempt;
use crate::dispatch::head;
use crate::registry::accounts::AccountEntry;
use crate::request::attempt::CallError;
use crate::request::attempt::refusal::account_refusal;

/// Headers of the backend's answer that a client may see, in addition to those of every answer.
const PASSED: [HeaderName; 2] = [CONTENT_TYPE, CONTENT_LENGTH];

impl ForwardAttempt {
    /// One call to an account, up to the head of a usable answer.
    pub(super) async fn call_account(&mut self, entry: &AccountEntry, tokens: &Tokens) -> Result<Answer, CallError> {
        self.state.call_started(entry, 0);
        let id = &entry.account.id;
        let (service, body, passed) = (self.service, self.load.json_or_empty(), &self.turn);
        let (account, access, turn) = (&entry.account, &tokens.access, Uuid::now_v7().to_string());
        let call = |upstream: Upstream| {
            let call =
                ServiceCall { account, access, service, body: body.clone(), turn: &turn, client_headers: passed };
            async move { upstream.call_service(call).await }
        };
        let services = &self.state.services;
        let mut answer = services.dispatch.egress_attempts(id).run(call).await?;
        if answer.status != 200 {
            return Err(account_refusal(services, id, answer).await);
        }
        head::served(&services.dispatch, id, &answer.headers);
        services.dispatch.mark_answering(id);
        answer.headers = passed_headers(&answer.headers);
        Ok(answer)
    }
}

/// The headers that a client may see.
fn passed_headers(headers: &HeaderMap) -> HeaderMap {
    let mut passed = head::client_headers(headers, false);
    let own = headers.iter().filter(|(name, _)| PASSED.contains(name));
    passed.extend(own.map(|(name, value)| (name.clone(), value.clone())));
    passed
}
