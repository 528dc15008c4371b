//! Repairs calls without results and results without calls: every upstream answers 400 to such a history, and a client that was interrupted
//! between a call and its result has one.
//!
//! A call without a result gets one that states this. A result without its call becomes a user message. The repair runs on the whole
//! conversation, after the turns of `previous_response_id` are put before the new input.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use bytes::Bytes;

use super::{Target, Wire};
use crate::canon::{CallKind, Item, ItemKind, Part, Request, Role};
use crate::notes::Notes;
use crate::text::Text;

/// The text in place of a missing result.
const NO_RESULT: &str = "The tool gave no result.";

/// The request with a result for every call and a call for every result; `None` when there is nothing to repair. The client's own body is
/// left to the service that it was written for.
pub(super) fn repair(request: &Request, wire: Wire, target: &Target, notes: &mut Notes) -> Option<Request> {
    let own = request.own_body(wire.into()).is_some();
    if own && wire != Wire::Responses {
        return None;
    }
    let broken = Broken::of(&request.items, wire, target.without_replay());
    if broken.unanswered.is_empty() && broken.orphans.is_empty() {
        return None;
    }
    let mut repaired = request.clone();
    repaired.items = broken.mend(std::mem::take(&mut repaired.items), notes);
    Some(repaired)
}

/// Indices of the items without a counterpart.
#[derive(Debug, Default)]
struct Broken {
    /// Calls without a result.
    unanswered: HashSet<usize>,
    /// Results without a call.
    orphans: HashSet<usize>,
}

impl Broken {
    fn of(items: &[Item], wire: Wire, without_replay: bool) -> Self {
        let mut pairs = Pairs::default();
        for (at, item) in items.iter().enumerate() {
            match &item.kind {
                ItemKind::Call { call_id, .. } => pairs.call(call_id, at),
                ItemKind::Output { call_id, .. } => pairs.result(call_id, at),
                ItemKind::Other { .. } if wire == Wire::Responses => pairs.other(item, without_replay),
                _ => {}
            }
        }
        pairs.broken(wire)
    }

    fn mend(&self, items: Vec<Item>, notes: &mut Notes) -> Vec<Item> {
        let mut mended = Vec::with_capacity(items.len() + self.unanswered.len());
        let mut missing = Vec::new();
        for (at, item) in items.into_iter().enumerate() {
            let is_exchange = matches!(item.kind, ItemKind::Call { .. } | ItemKind::Output { .. });
            if !is_exchange || self.orphans.contains(&at) {
                mended.append(&mut missing);
            }
            match &item.kind {
                ItemKind::Call { kind, call_id, .. } if self.unanswered.contains(&at) => {
                    notes.add("said that a tool call had no result");
                    missing.push(no_result(*kind, call_id.clone()));
                    mended.push(item);
                }
                ItemKind::Output { parts, .. } if self.orphans.contains(&at) => {
                    notes.add("sent a tool result without its call as text");
                    mended.extend(result_message(parts));
                }
                _ => mended.push(item),
            }
        }
        mended.append(&mut missing);
        mended
    }
}

/// Calls and results, joined by their ids.
#[derive(Debug, Default)]
struct Pairs<'a> {
    ids: HashMap<&'a [u8], Pair>,
    /// Ids of calls whose kinds only the responses dialect has. Their results may come as function outputs, and the gateway cannot invent a
    /// screenshot or a patch result.
    others: HashSet<Bytes>,
    /// Whether there is an item that may represent calls which are not listed: a reference to a stored item, or a compaction.
    opaque: bool,
}

/// The calls and results of one id. An id may be used again in a later turn.
#[derive(Debug, Default)]
struct Pair {
    /// Calls that wait for a result.
    open: Vec<usize>,
    /// Results that came while no call was open.
    early: Vec<usize>,
    /// Whether a call and a result were matched.
    joined: bool,
}

impl<'a> Pairs<'a> {
    fn call(&mut self, id: &'a Text, at: usize) {
        self.ids.entry(id.escaped()).or_default().open.push(at);
    }

    /// A result answers the last open call of its id.
    fn result(&mut self, id: &'a Text, at: usize) {
        let pair = self.ids.entry(id.escaped()).or_default();
        match pair.open.pop() {
            Some(_) => pair.joined = true,
            None => pair.early.push(at),
        }
    }

    fn other(&mut self, item: &Item, without_replay: bool) {
        let Some(raw) = &item.raw else { return };
        let is_replay = raw.get("encrypted_content").is_some();
        // The item is not sent, so nothing can refer to it.
        if is_replay && without_replay {
            return;
        }
        self.others.extend(raw.text("call_id").map(|id| id.escaped().clone()));
        let kind = raw.text("type").unwrap_or_default();
        self.opaque |= kind.is("item_reference") || is_replay;
    }

    fn broken(self, wire: Wire) -> Broken {
        let mut broken = Broken::default();
        for (id, mut pair) in self.ids {
            // A result may precede its call.
            let met = pair.open.len().min(pair.early.len());
            pair.open.truncate(pair.open.len() - met);
            pair.early.truncate(pair.early.len() - met);
            // Responses upstreams match calls and results by the id alone.
            if wire == Wire::Responses && (pair.joined || met > 0) {
                continue;
            }
            broken.unanswered.extend(pair.open);
            if !self.opaque && !self.others.contains(id) {
                broken.orphans.extend(pair.early);
            }
        }
        broken
    }
}

fn no_result(kind: CallKind, call_id: Text) -> Item {
    let parts = vec![Part::from(Text::from(NO_RESULT))];
    ItemKind::Output { kind, call_id, parts, failed: true }.into()
}

/// The content of a result as a message; `None` where it is empty.
fn result_message(parts: &[Part]) -> Option<Item> {
    let blank = parts.iter().all(Part::is_empty);
    (!blank).then(|| ItemKind::message(Role::User, parts.to_vec()).into())
}
