//! Context windows: the figures in a refusal are learned, and a prompt that would certainly be refused again is not sent.

use pool::AccountId;
use pool::attempt::Outcome;
use pool::learned::RefusedRequest;
use proto::dialect::responses::compact::is_compaction_request;
use proto::tokens::Words;
use proto::upstream_error::{bounds, from_body};
use proto::{Failure, Kind, tokens};
use wire_body::offload_always;

use super::ModelAttempt;
use crate::registry::accounts::AccountEntry;
use crate::request::estimate;

impl ModelAttempt {
    /// Learns the limits that a refusal names.
    pub(super) async fn learn_limits(&self, id: &AccountId, outcome: &Outcome) {
        let Some(failure) = refusal(outcome) else { return };
        let bounds = bounds::read(&failure);
        let Some(entry) = self.state.services.registry.accounts.get(id).filter(|_| !bounds.is_empty()) else { return };
        if self.may_quote_client(failure).await {
            return;
        }
        let of = entry.model_key(self.plan.model_for(id));
        let model = &self.plan.resolved.model;
        let output = self.call.request.limits.max_tokens.or(model.max_output);
        let request = RefusedRequest { bytes: self.written().len() as u64, output, listed: model.context };
        self.state.services.registry.accounts.learn_from_refusal(
            &of,
            &bounds,
            request,
            self.state.services.runtime.now(),
        );
        let window = self
            .state
            .services
            .registry
            .accounts
            .learned_limits(|| of.clone(), self.state.services.runtime.now())
            .window;
        // Counting takes time, so it comes last.
        if bounds.prompt.is_some() && window == bounds.window {
            self.state.services.registry.accounts.learn_token_scale(&of, &bounds, self.words().await);
        }
    }

    /// Refuses a prompt that the upstream is sure to refuse, with the message at which clients compact their conversations. A compaction
    /// request is the remedy, so it is sent.
    pub(super) async fn check_window(&mut self, entry: &AccountEntry, size: usize) -> Result<(), Failure> {
        let of = || entry.model_key(self.plan.model_for(&entry.account.id));
        let Some(window) =
            self.state.services.registry.accounts.learned_limits(of, self.state.services.runtime.now()).window
        else {
            return Ok(());
        };
        // No text has two tokens in four bytes: most requests are not counted.
        let near = estimate::input(&self.call.request, size).saturating_mul(2) > window;
        if !near || is_compaction_request(&self.call.request) {
            return Ok(());
        }
        let ours = self.words().await;
        let of = entry.model_key(self.plan.model_for(&entry.account.id));
        let Some(tokens) =
            self.state.services.registry.accounts.over_learned_window(&of, ours, self.state.services.runtime.now())
        else {
            return Ok(());
        };
        self.state.head.notes.add(format!("not sent: the upstream has refused more than {window} tokens"));
        let message = format!(
            "This model's maximum context length is {window} tokens. However, your messages resulted in about {tokens} tokens."
        );
        Err(Failure::new(Kind::ContextLength, message).code("context_length_exceeded"))
    }

    /// Whether the refusal may only quote the client's text. This runs off the runtime's threads, like [`Self::words`].
    async fn may_quote_client(&self, failure: Failure) -> bool {
        let body = self.written();
        offload_always(move || bounds::repeats(&failure, &body)).await
    }

    /// The token counts of the request's texts, counted off the runtime's threads, because a long text takes long.
    async fn words(&self) -> Words {
        let request = self.call.request.clone();
        offload_always(move || tokens::words(&request)).await
    }
}

/// The figures in a refusal of the request.
fn refusal(outcome: &Outcome) -> Option<Failure> {
    match outcome {
        Outcome::Status { code: code @ (400 | 413 | 422), body, .. } => Some(from_body(*code, body)),
        Outcome::Refused { code: 400 | 413 | 422, failure, .. } => Some((**failure).clone()),
        Outcome::EarlyFail(failure) => Some(failure.clone()),
        _ => None,
    }
}
