//! The request body of an attempt: written for the protocol of its account or relay, and reused while it fits the next attempt.

use std::sync::Arc;

use bytes::Bytes;
use pool::AccountId;
use pool::catalog::Resolved;
use pool::hosted::Hosted;
use pool::learned::ModelKey;
use proto::canon::Limits;
use proto::dialect::responses::Echo;
use proto::dialect::{CodexTarget, RelayTarget, Target, Undo, Wire, Written};
use proto::{Failure, Kind};
use upstream::TurnMetadata;
use wire_body::{INLINE, offload};

use super::super::call::RequestPlan;
use super::super::replay;
use super::ModelAttempt;
use crate::dispatch::affinity::AffinityRecord;
use crate::registry::accounts::AccountEntry;

/// Largest written request, in bytes, that is not charged to the memory budget.
const UNCHARGED: usize = INLINE;

/// A request body.
pub(super) struct WrittenBody {
    /// The relay that the body is for.
    relay: Option<AccountId>,
    /// The account that the body names; `None` if all accounts share the body.
    account: Option<AccountId>,
    /// The protocol of the body.
    wire: Wire,
    /// Whether replay-only items are left out.
    pub(super) without_replay: bool,
    /// The hosted tools that were added.
    tools: Vec<Hosted>,
    written: Written,
    /// The turn metadata in the body.
    metadata: Option<Arc<TurnMetadata>>,
}

impl ModelAttempt {
    /// The body for this account or relay, without replay-only items of another one, because only the account that made them can read
    /// them.
    pub(super) async fn body(&mut self, entry: &AccountEntry) -> Result<Bytes, Failure> {
        let without_replay = self.state.history.stripped || self.foreign(entry);
        let served_by = entry.relay.as_ref().map(|relay| &relay.relay);
        let relay = served_by.map(|relay| relay.id.clone());
        let account = self.turn_record.filter(|_| served_by.is_none()).map(|_| entry.account.id.clone());
        let tools = self.tools_for(entry);
        if let Some(body) = &self.body
            && (&body.relay, &body.account, body.without_replay, &body.tools)
                == (&relay, &account, without_replay, &tools)
        {
            return Ok(body.written.body.clone());
        }
        let (target, metadata) = if let Some(relay) = served_by {
            (Target::Relay(self.relay_target(relay, without_replay)), None)
        } else {
            let mut codex = self.target(without_replay, &tools);
            let metadata = self.turn_metadata(&entry.account.id, &codex).map(Arc::new);
            if let Some(metadata) = &metadata {
                codex.metadata.clone_from(&metadata.fields);
            }
            (Target::Codex(codex), metadata)
        };
        let wire = entry.wire();
        let written = self.write(wire, target).await?;
        let bytes = written.body.clone();
        self.body = Some(Box::new(WrittenBody { relay, account, wire, without_replay, tools, written, metadata }));
        Ok(bytes)
    }

    /// The request in this protocol.
    async fn write(&mut self, wire: Wire, target: Target) -> Result<Written, Failure> {
        // The body stays in memory beside the client's body until it is sent. A small body is not counted.
        let reservation = match self.size {
            0..=UNCHARGED => None,
            size => self.call.memory.part(size).ok_or_else(over_memory)?,
        };
        let request = std::mem::take(&mut self.call.request);
        let work = move || {
            let written = wire.write_request(&request, &target);
            (request, written)
        };
        let (request, written) = offload(self.size, work).await;
        self.call.request = request;
        let mut written = written?;
        if let Some(reservation) = reservation {
            written.body = reservation.seal(written.body);
        }
        Ok(written)
    }

    /// The last written body.
    pub(super) fn written(&self) -> Bytes {
        self.body.as_ref().map(|body| body.written.body.clone()).unwrap_or_default()
    }

    /// The work that the last written body leaves for its reply: the limits to apply and the changes to undo.
    pub(super) fn left_and_undo(&self) -> (Limits, Undo) {
        let written = self.body.as_ref().map(|body| &body.written);
        written.map(|written| (written.left.clone(), written.undo.clone())).unwrap_or_default()
    }

    /// The turn metadata of the last written body.
    pub(super) fn metadata(&self) -> Option<Arc<TurnMetadata>> {
        self.body.as_ref().and_then(|body| body.metadata.clone())
    }

    /// Adopts the notes of the last written body. Notes of earlier bodies do not count.
    pub(super) fn note_body(&mut self) {
        if let Some(body) = &mut self.body {
            self.state.head.notes.extend(std::mem::take(&mut body.written.notes));
        }
    }

    /// Whether the history holds replay-only items that this account or relay cannot read.
    fn foreign(&self, entry: &AccountEntry) -> bool {
        match &self.affinity {
            Some(record) if record.account == entry.account.id && !record.away => {
                self.last_foreign_item(record).is_some()
            }
            Some(_) => true,
            // The origin is unknown; most likely it is the intended account.
            None => self.state.head.fallback.is_some() && entry.relay.is_some(),
        }
    }

    /// The last earlier item that the conversation's account cannot read and the client still sends.
    fn last_foreign_item(&self, record: &AffinityRecord) -> Option<u64> {
        record.foreign.filter(|mark| replay::has_item(&self.call.request, *mark))
    }

    /// The items that the conversation's account will not be able to read in later turns.
    pub(super) fn foreign_mark(&self, id: &AccountId) -> Option<u64> {
        if !self.body.as_ref().is_some_and(|body| body.without_replay) {
            return None;
        }
        let own = self
            .affinity
            .as_ref()
            .filter(|record| record.account == *id && !record.away && !self.state.history.stripped);
        own.and_then(|record| self.last_foreign_item(record)).or_else(|| replay::last_fingerprint(&self.call.request))
    }

    fn relay_target(&self, relay: &pool::relay::Relay, without_replay: bool) -> RelayTarget {
        let resolved = &self.plan.resolved;
        let model = self.plan.model_for(&relay.id).to_owned();
        let of = || ModelKey { relay: Some(relay.id.clone()), model: model.clone() };
        let ceiling =
            self.state.services.registry.accounts.learned_limits(of, self.state.services.runtime.now()).output;
        RelayTarget {
            model,
            effort: resolved.effort.clone(),
            max_output: resolved.model.max_output,
            ceiling,
            without_replay,
            strict: relay.strict(),
            functions_only: relay.functions_only(),
        }
    }

    fn target(&self, without_replay: bool, tools: &[Hosted]) -> CodexTarget {
        let RequestPlan { resolved, conversation, .. } = &*self.plan;
        let model = &resolved.model;
        CodexTarget {
            model: model.slug.clone(),
            lite: model.lite,
            effort: resolved.effort.clone().or_else(|| self.state.services.runtime.settings.effort.clone()),
            default_effort: model.default_effort.clone(),
            efforts: model.efforts.clone(),
            priority_tier: lists_priority(resolved),
            tier: resolved.tier.clone().or_else(|| self.default_tier()),
            tools: tools.iter().map(|tool| tool.name()).collect(),
            cache_key: conversation.session.clone(),
            metadata: vec![
                ("session_id".into(), conversation.session.clone()),
                ("thread_id".into(), conversation.thread.clone()),
            ],
            without_replay,
        }
    }

    /// The service tier of requests that name none; `None` if the model does not list it.
    fn default_tier(&self) -> Option<String> {
        let fast = self.state.services.runtime.settings.fast && lists_priority(&self.plan.resolved);
        fast.then(|| "fast".to_owned())
    }

    /// The request's fields that the gateway's response objects repeat; empty if the upstream writes the objects.
    pub(super) fn echo(&self) -> Echo {
        let own = self.body.as_ref().is_some_and(|body| body.wire != Wire::Responses);
        if own { Echo::of(&self.call.request) } else { Echo::default() }
    }
}

fn over_memory() -> Failure {
    let failure = Failure::new(Kind::Overloaded, "too many request bodies are in flight");
    failure.code("overloaded").retry_after(1)
}

pub(super) fn lists_priority(resolved: &Resolved) -> bool {
    resolved.model.tiers.iter().any(|tier| tier == "priority")
}
