//! The calls of one reply. Each arrives whole, or in pieces of its arguments until a piece does not announce another.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::super::wire::Call;
use super::partial::Partial;
use crate::canon::{CallKind, Channel, Head, Item, ItemKind, What};
use crate::dialect::sink::EventSink;
use crate::failure::{Failure, Kind};
use crate::text::{Json, Text};

/// The calls so far.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// Number of calls so far.
    count: usize,
    /// The call in progress.
    open: Option<Open>,
    /// Part of the ids that the gateway makes.
    seed: String,
}

#[derive(Debug)]
struct Open {
    at: u32,
    id: Text,
    name: Text,
    args: Partial,
    /// Complete arguments that came with the name.
    whole: Option<Json>,
}

impl Calls {
    /// Sets the seed of generated ids.
    pub(super) fn name_after(&mut self, id: &Text) {
        self.seed = id.plain().chars().filter(char::is_ascii_alphanumeric).take(40).collect();
    }

    /// Whether there are calls.
    pub(super) fn any(&self) -> bool {
        self.count > 0
    }

    /// Whether a call is in progress.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Reads a call or a piece of one.
    pub(super) fn read(
        &mut self,
        data: &Bytes,
        call: &Call<'_>,
        next: &mut u32,
        sink: &mut EventSink<'_>,
    ) -> Result<(), Failure> {
        let text = |raw: Option<&RawValue>| {
            raw.and_then(|raw| Json::slice(data, raw).as_text()).filter(|text| !text.is_empty())
        };
        if let Some(name) = text(call.name) {
            self.close(sink);
            let id = text(call.id).unwrap_or_else(|| Text::from_plain(&format!("call_{}_{}", self.seed, self.count)));
            let at = *next;
            *next += 1;
            self.count += 1;
            let head =
                Head::Call { kind: CallKind::Function, call_id: id.clone(), name: name.clone(), namespace: None };
            sink.push(What::ItemOpen { at, head });
            self.open = Some(Open { at, id, name, args: Partial::default(), whole: None });
        }
        let Some(open) = &mut self.open else {
            return Err(Failure::new(Kind::Upstream, "The upstream sent a tool call without a name.").code("bad_chunk"));
        };
        let args = call.args.map(|raw| Json::slice(data, raw)).filter(|args| !args.is_null());
        open.whole = args.or(open.whole.take());
        if let Some(pieces) = call.partial_args {
            open.args.add(&Json::slice(data, pieces));
        }
        if call.will_continue != Some(true) {
            self.close(sink);
        }
        Ok(())
    }

    /// Ends the call in progress.
    pub(super) fn close(&mut self, sink: &mut EventSink<'_>) {
        let Some(open) = self.open.take() else { return };
        let args = match open.whole {
            Some(whole) if open.args.is_empty() => whole,
            _ => open.args.json(),
        };
        let input = Text::from_plain(args.as_str());
        sink.push(What::Delta { at: open.at, part: 0, channel: Channel::Arguments, data: input.clone() });
        let (call_id, name) = (open.id, open.name);
        let kind = ItemKind::Call { kind: CallKind::Function, id: None, call_id, name, namespace: None, input };
        sink.push(What::ItemDone { at: open.at, item: Item::from(kind) });
    }
}
