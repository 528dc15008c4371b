//! The turn metadata of the Codex profiles, for clients that send none.

use pool::AccountId;
use proto::dialect::CodexTarget;
use proto::dialect::responses::compact::is_compaction_request;
use proto::json::Shape;
use upstream::{TurnFacts, TurnKind, TurnMetadata};
use uuid::{Builder, Uuid};

use super::ModelAttempt;
use crate::dispatch::affinity::AffinityRecord;
use crate::dispatch::affinity::TurnRecord;
use crate::request::call::Call;
use crate::request::conversation::{self, Conversation};
use crate::request::services::Services;

/// The fields in which official clients send the turn metadata.
const METADATA_FIELDS: (&str, &str) = ("x-codex-turn-metadata", "client_metadata");

/// The turn of a request; `None` under the profile `polygate`, and where the client sends the metadata itself.
pub(super) fn turn_of_call(
    services: &Services,
    call: &Call,
    conversation: &Conversation,
    record: Option<&AffinityRecord>,
) -> Option<TurnRecord> {
    let (header, member) = METADATA_FIELDS;
    let is_sent_by_client = call.client.headers.iter().any(|(name, _)| *name == header)
        || call.request.rest.iter().any(|(name, value)| name == member && value.shape() == Shape::Object);
    let last = record.map_or(&[][..], |record| &record.turns);
    let speaks = services.runtime.upstream.profile().sends_turn_metadata && !is_sent_by_client;
    speaks.then(|| conversation::turn_of(&call.request, conversation, last, services.runtime.now()))
}

/// The recent turns of a conversation, including this one: several may run at once, because subagents run under their parent's name.
pub(super) fn recent_turns(turn: Option<TurnRecord>, last: &[TurnRecord]) -> Vec<TurnRecord> {
    const MOST: usize = 8;
    let others = last.iter().copied().filter(|last| Some(*last) != turn);
    turn.into_iter().chain(others).take(MOST).collect()
}

impl ModelAttempt {
    /// The metadata in a body for this account.
    pub(super) fn turn_metadata(&self, account: &AccountId, target: &CodexTarget) -> Option<TurnMetadata> {
        let (turn, conversation) = (self.turn_record?, &self.plan.conversation);
        let kind = match (self.plan.prewarm, is_compaction_request(&self.call.request)) {
            (true, _) => TurnKind::Prewarm,
            (false, true) => TurnKind::Compaction,
            (false, false) => TurnKind::Turn,
        };
        let (installation, context) = (installation_id(account).to_string(), conversation.context().to_string());
        let (id, effort) = (turn.id().to_string(), target.effort_of(&self.call.request));
        self.state.services.runtime.upstream.profile().turn_metadata(&TurnFacts {
            installation: &installation,
            session: &conversation.session,
            thread: &conversation.thread,
            context: &context,
            id: &id,
            begun: turn.begun,
            kind,
            model: &target.model,
            effort: effort.as_deref(),
            lite: target.lite,
        })
    }
}

/// An account's installation id: the same on every node, and different for each account.
fn installation_id(account: &AccountId) -> Uuid {
    let name = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("installation {account}").as_bytes());
    Builder::from_random_bytes(*name.as_bytes()).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installation_is_one_accounts() {
        let id = |account: &str| installation_id(&AccountId(account.into()));
        assert_eq!((id("a"), id("a").get_version_num()), (id("a"), 4));
        assert_ne!(id("a"), id("b"));
    }
}
