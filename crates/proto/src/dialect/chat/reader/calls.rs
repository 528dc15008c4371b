//! The calls of one reply. Servers number them, repeat ids and names, and send arguments in pieces or whole.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::super::wire::{Call, Called};
use super::answer::text_of;
use crate::canon::{CallKind, Channel, Head, Item, ItemKind, What};
use crate::dialect::sink::EventSink;
use crate::failure::{Failure, Kind};
use crate::text::{Json, Text};

/// The calls in order of their start.
#[derive(Debug, Default)]
pub(super) struct Calls {
    list: Vec<Known>,
    /// Part of the ids that the gateway makes for servers that send none.
    seed: String,
}

/// One call so far.
#[derive(Debug)]
struct Known {
    /// The server's number for the call.
    number: u32,
    kind: CallKind,
    call_id: Text,
    name: Text,
    state: State,
    input: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The name has not arrived yet.
    Nameless,
    /// Open at this output index.
    Open(u32),
    Done,
}

impl Calls {
    /// Sets the seed of generated ids.
    pub(super) fn name_after(&mut self, id: &Text) {
        self.seed = id.plain().chars().filter(char::is_ascii_alphanumeric).take(40).collect();
    }

    /// Whether there are calls.
    pub(super) fn any(&self) -> bool {
        !self.list.is_empty()
    }

    /// Reads a call or a piece of one; `position` is its index in the list, for servers that do not number calls.
    pub(super) fn read(
        &mut self,
        data: &Bytes,
        position: u32,
        call: &Call<'_>,
        next: &mut u32,
        sink: &mut EventSink<'_>,
    ) {
        let (kind, called) = match (&call.custom, &call.function) {
            (Some(custom), _) => (CallKind::Custom, Some(custom)),
            (None, function) => (CallKind::Function, function.as_ref()),
        };
        let number = call.index.unwrap_or(position);
        let id = call.id.and_then(|raw| text_of(data, raw));
        let name = called.and_then(|called| called.name).and_then(|raw| text_of(data, raw));
        let known = self.known(number, kind, id, name.is_some());
        if let Some(name) = name.filter(|_| known.state == State::Nameless && known.name.is_empty()) {
            known.name = name;
            known.open(next, sink);
        }
        if let Some(input) = called.and_then(|called| called.arguments.or(called.input)) {
            known.add(data, input, sink);
        }
    }

    /// Reads a legacy `function_call`.
    pub(super) fn legacy(&mut self, data: &Bytes, called: &Called<'_>, next: &mut u32, sink: &mut EventSink<'_>) {
        let call = Call {
            index: Some(0),
            id: None,
            function: Some(Called { name: called.name, arguments: called.arguments, input: None }),
            custom: None,
        };
        self.read(data, 0, &call, next, sink);
    }

    /// The last call with this number, or a new one. Some servers number all calls 0 and give each its own id; others send a new id with
    /// each piece, but then no name.
    fn known(&mut self, number: u32, kind: CallKind, id: Option<Text>, named: bool) -> &mut Known {
        let same = |known: &Known| {
            let other = named && id.as_ref().is_some_and(|id| *id != known.call_id);
            known.number == number && known.state != State::Done && !other
        };
        let found = self.list.iter().rposition(same);
        let index = found.unwrap_or_else(|| {
            let made = || Text::from_plain(&format!("call_{}_{}", self.seed, self.list.len()));
            let call_id = id.unwrap_or_else(made);
            let (name, state, input) = (Text::default(), State::Nameless, Vec::new());
            self.list.push(Known { number, kind, call_id, name, state, input });
            self.list.len() - 1
        });
        &mut self.list[index]
    }

    /// Checks that every call has its name when the reply is complete.
    pub(super) fn settle(&mut self) -> Result<(), Failure> {
        if self.list.iter().any(|known| known.state == State::Nameless) {
            return Err(Failure::new(Kind::Upstream, "The upstream sent a tool call without a name.").code("bad_chunk"));
        }
        Ok(())
    }

    /// Closes all open calls.
    pub(super) fn close(&mut self, sink: &mut EventSink<'_>) {
        for known in &mut self.list {
            known.close(sink);
        }
    }
}

impl Known {
    fn open(&mut self, next: &mut u32, sink: &mut EventSink<'_>) {
        let at = *next;
        *next += 1;
        self.state = State::Open(at);
        let (kind, call_id, name) = (self.kind, self.call_id.clone(), self.name.clone());
        sink.push(What::ItemOpen { at, head: Head::Call { kind, call_id, name, namespace: None } });
        if !self.input.is_empty() {
            let data = Text::from_escaped(Bytes::copy_from_slice(&self.input));
            sink.push(What::Delta { at, part: 0, channel: Channel::Arguments, data });
        }
    }

    fn add(&mut self, data: &Bytes, input: &RawValue, sink: &mut EventSink<'_>) {
        let json = Json::slice(data, input);
        // Some servers send the arguments as an object.
        let text = json.as_text().or_else(|| input.get().starts_with('{').then(|| Text::from_plain(input.get())));
        let Some(text) = text.filter(|text| !text.is_empty()) else { return };
        self.input.extend_from_slice(text.escaped());
        if let State::Open(at) = self.state {
            sink.push(What::Delta { at, part: 0, channel: Channel::Arguments, data: text });
        }
    }

    fn close(&mut self, sink: &mut EventSink<'_>) {
        let State::Open(at) = self.state else { return };
        self.state = State::Done;
        let mut input = std::mem::take(&mut self.input);
        if input.is_empty() && self.kind == CallKind::Function {
            // A function without parameters; clients parse the arguments, so they must be JSON.
            input.extend_from_slice(b"{}");
            let data = Text::from_escaped(Bytes::from_static(b"{}"));
            sink.aside(What::Delta { at, part: 0, channel: Channel::Arguments, data });
        }
        let (call_id, name) = (self.call_id.clone(), self.name.clone());
        let input = Text::from_escaped(Bytes::from(input));
        let kind = ItemKind::Call { kind: self.kind, id: None, call_id, name, namespace: None, input };
        sink.push(What::ItemDone { at, item: Item::from(kind) });
    }
}
