//! The result of writing a request, and the work that remains for its reply.

#[cfg(test)]
mod tests;

use bytes::Bytes;

use super::tool_replies::ToolReplies;
use super::{Target, Wire, chat, gemini, messages, responses};
use crate::canon::{Limits, Request, SchemaEnvelope};
use crate::notes::Notes;

/// A request as the upstream receives it.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// The body.
    pub body: Bytes,
    /// Notes about changes and omissions.
    pub notes: Notes,
    /// The limits that the body does not carry; [`crate::trim`] applies them to the reply.
    pub left: Limits,
    /// How to restore the client's view of the reply.
    pub undo: Undo,
}

/// Restores the client's view of a reply. Calls are restored before limits are applied, because limits must see the client's own tools; the
/// envelope is opened after that, by [`super::Writer`] and [`super::Dialect::whole`].
#[derive(Clone, Debug, Default)]
pub struct Undo {
    /// The calls of tools that were sent in another form; `None` when all calls pass unchanged.
    pub tools: Option<ToolReplies>,
    /// The envelope of the text.
    pub envelope: SchemaEnvelope,
}

impl Undo {
    /// For the reply to `request`, written for `target`.
    pub(super) fn of(request: &Request, wire: Wire, target: &Target) -> Self {
        Self { tools: ToolReplies::new(request, wire, target), envelope: request.envelope }
    }
}

/// The limits of `request` that its body for `target` does not carry. A client's own body carries every limit that its protocol has.
pub(super) fn left(request: &Request, wire: Wire, target: &Target) -> Limits {
    let limits = &request.limits;
    if matches!(target, Target::Codex(_)) {
        return limits.clone();
    }
    let own = request.own_body(wire.into()).is_some();
    let stops = |is_left: &dyn Fn(&str) -> bool| limits.stop.iter().filter(|stop| is_left(stop)).cloned().collect();
    // A list of stop sequences that is too long is not sent at all.
    let too_many = |most| !own && limits.stop.len() > most;
    match wire {
        // A limit below the minimum was raised.
        Wire::Responses => {
            let max_tokens = limits.max_tokens.filter(|limit| !own && *limit < responses::LEAST_OUTPUT);
            Limits { max_tokens, stop: limits.stop.clone() }
        }
        Wire::Chat => Limits { max_tokens: None, stop: stops(&|_| too_many(chat::MOST_STOPS)) },
        Wire::Gemini => Limits { max_tokens: None, stop: stops(&|_| too_many(gemini::MOST_STOPS)) },
        Wire::Messages => Limits { max_tokens: None, stop: stops(&|stop| !messages::takes_stop(stop)) },
    }
}
