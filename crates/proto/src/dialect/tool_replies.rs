//! Restores the client's tools in the calls of an answer: reverses the changes of [`crate::dialect::Wire::write_request`] while the answer
//! streams.
//!
//! A call of a tool that the service itself runs, such as xAI's `x_search`, is not a call for a client that did not offer the tool: the
//! call becomes a note, and the answer does not end as one that waits for results.

mod input;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use self::input::Input;
use super::{Dialect, Rules, Target, Wire};
use crate::canon::{CallKind, Carrier, Channel, Event, Finish, Head, Item, ItemKind, Request, ToolKind, What};
use crate::json::emit;
use crate::json::patch::set;
use crate::notes::sanitized;
use crate::text::{Json, Text};

/// The tools of one request, and the calls of its answer so far.
#[derive(Clone, Debug)]
pub struct ToolReplies {
    /// The client's tool names, by the names that were sent.
    names: HashMap<String, Text>,
    /// Sent names of free-text tools that were sent as functions.
    custom: HashSet<String>,
    /// Sent names of all tools, where the service may call others itself.
    offered: Option<HashSet<String>>,
    /// Calls in progress, by output index.
    calls: HashMap<u32, Call>,
    /// Whether the answer has a call for the client.
    called: bool,
    /// Whether a call of a service's own tool was left out.
    dropped: bool,
    /// Whether the event that carried the current frame was edited.
    frame_edited: bool,
}

#[derive(Clone, Debug)]
enum Call {
    /// A free-text call that arrives as a function call.
    Custom(Input),
    /// A call of a service's own tool.
    Service,
}

impl ToolReplies {
    /// The converter for the answer to a request for this target; `None` when its calls need no change.
    pub fn new(request: &Request, wire: Wire, target: &Target) -> Option<Self> {
        let rules = Rules::of(request, wire, target)?;
        let (mut names, mut custom) = (HashMap::new(), HashSet::new());
        for tool in &request.tools {
            let (ToolKind::Function { name, .. } | ToolKind::Custom { name, .. }) = &tool.kind else { continue };
            let renamed = rules.renamed(name);
            let sent = renamed.as_ref().unwrap_or(name).plain().into_owned();
            if rules.functions_only && matches!(tool.kind, ToolKind::Custom { .. }) {
                custom.insert(sent.clone());
            }
            if renamed.is_some() {
                names.insert(sent, name.clone());
            }
        }
        // A client of this protocol sees the calls of the service's own tools unchanged.
        let foreign = wire == Wire::Responses && request.origin.is_some_and(|origin| origin != Dialect::Responses);
        let offered = (foreign && matches!(target, Target::Relay(_))).then(|| offered(request, rules));
        let active = !names.is_empty() || !custom.is_empty() || offered.is_some();
        let (calls, called, dropped) = (HashMap::new(), false, false);
        active.then_some(Self { names, custom, offered, calls, called, dropped, frame_edited: false })
    }

    /// The events that replace one upstream event: a note, if there is one, and the event.
    pub fn event(&mut self, mut event: Event) -> [Option<Event>; 2] {
        let carries = event.carrier.frame().is_some();
        // In these dialects the first event of a frame carries it: after an edit of that event the frame is gone and cannot cover the
        // others.
        let follows = matches!(event.carrier, Carrier::Covered(Dialect::Chat | Dialect::Gemini));
        if self.frame_edited && follows {
            event.carrier = Carrier::Ours;
        }
        let events = self.rewrite(event);
        if carries {
            self.frame_edited = !events.iter().flatten().any(|event| event.carrier.frame().is_some());
        }
        events
    }

    fn rewrite(&mut self, event: Event) -> [Option<Event>; 2] {
        let Event { what, carrier } = event;
        match what {
            What::ItemOpen { at, head: Head::Call { kind, call_id, name, namespace } } => {
                if self.is_service(kind, &name) {
                    let note = self.drop(at, &name, &carrier);
                    return [note, Some(Event { what: What::ItemOpen { at, head: Head::Other }, carrier })];
                }
                let (same, kind, name) = self.turned(at, kind, name);
                let head = Head::Call { kind, call_id, name, namespace };
                [None, Some(Event { what: What::ItemOpen { at, head }, carrier: carrier_after(carrier, same) })]
            }
            What::Delta { at, part, channel: Channel::Arguments, data } => {
                [None, self.delta((at, part), data, carrier)]
            }
            What::ItemDone { at, item } if matches!(item.kind, ItemKind::Call { .. }) => self.done(at, item, carrier),
            What::End { finish, response } => [None, Some(self.end(finish, response, carrier))],
            what => [None, Some(Event { what, carrier })],
        }
    }

    /// Whether the service made and answered the call itself.
    fn is_service(&self, kind: CallKind, name: &Text) -> bool {
        let offered = self.offered.as_ref();
        kind == CallKind::Custom && offered.is_some_and(|offered| !offered.contains(name.plain().as_ref()))
    }

    /// Leaves out a call of a service's own tool; the note is made once.
    fn drop(&mut self, at: u32, name: &Text, carrier: &Carrier) -> Option<Event> {
        self.dropped = true;
        let name = sanitized(&name.plain());
        let new = self.calls.insert(at, Call::Service).is_none();
        new.then(|| Event {
            what: What::Note(format!("the upstream ran its own tool {name}")),
            carrier: covered(carrier),
        })
    }

    /// A call with the client's kind and name, and whether both are unchanged.
    fn turned(&mut self, at: u32, kind: CallKind, name: Text) -> (bool, CallKind, Text) {
        self.called = true;
        let plain = name.plain().into_owned();
        let custom = self.custom.contains(&plain);
        if custom {
            self.calls.entry(at).or_insert_with(|| Call::Custom(Input::default()));
        }
        let original = self.names.get(&plain).cloned();
        let kind = if custom { CallKind::Custom } else { kind };
        (!custom && original.is_none(), kind, original.unwrap_or(name))
    }

    fn delta(&mut self, (at, part): (u32, u32), data: Text, carrier: Carrier) -> Option<Event> {
        let data = match self.calls.get_mut(&at) {
            None => return Some(Event { what: What::Delta { at, part, channel: Channel::Arguments, data }, carrier }),
            Some(Call::Service) => return Some(Event { what: What::Other, carrier }),
            Some(Call::Custom(input)) => input.feed(&data.plain()),
        };
        let what = What::Delta { at, part, channel: Channel::Arguments, data };
        matches!(&what, What::Delta { data, .. } if !data.is_empty()).then(|| Event::new(what))
    }

    fn done(&mut self, at: u32, item: Item, carrier: Carrier) -> [Option<Event>; 2] {
        let Item { kind: ItemKind::Call { kind, id, call_id, name, namespace, input }, raw: json } = item else {
            return [None, Some(Event { what: What::ItemDone { at, item }, carrier })];
        };
        if self.is_service(kind, &name) {
            let note = self.drop(at, &name, &carrier);
            let item = Item { kind: ItemKind::Other { kind: "custom_tool_call".to_owned() }, raw: json };
            return [note, Some(Event { what: What::ItemDone { at, item }, carrier })];
        }
        let custom = kind == CallKind::Function;
        let (same, kind, name) = self.turned(at, kind, name);
        let (input, missing) =
            if custom && kind == CallKind::Custom { self.custom_input(at, &input) } else { (input, None) };
        let kind = ItemKind::Call { kind, id, call_id, name, namespace, input };
        let item = Item { kind, raw: json.filter(|_| same) };
        [missing, Some(Event { what: What::ItemDone { at, item }, carrier: carrier_after(carrier, same) })]
    }

    /// The text of a free-text tool's call, and a delta with the text if none was sent.
    fn custom_input(&self, at: u32, arguments: &Text) -> (Text, Option<Event>) {
        let data = input::whole(arguments);
        let is_sent = matches!(self.calls.get(&at), Some(Call::Custom(input)) if input.has_begun());
        let delta = What::Delta { at, part: 0, channel: Channel::Arguments, data: data.clone() };
        let missing = (!is_sent && !data.is_empty()).then(|| Event::new(delta));
        (data, missing)
    }

    fn end(&mut self, finish: Finish, response: Option<Json>, carrier: Carrier) -> Event {
        let alone = finish == Finish::ToolCalls && self.dropped && !self.called;
        let finish = if alone { Finish::Stop } else { finish };
        let named = response.as_ref().filter(|_| !self.names.is_empty()).and_then(|response| self.response(response));
        match named {
            Some(response) => Event::new(What::End { finish, response: Some(response) }),
            None => Event { what: What::End { finish, response }, carrier },
        }
    }

    /// A terminal object with the client's names in it; `None` when nothing changes.
    fn response(&self, response: &Json) -> Option<Json> {
        let items: Vec<Json> = response.get("output")?.elements().collect();
        let named: Vec<Json> = items.iter().map(|item| self.named(item)).collect();
        (items != named).then(|| set(response, "output", &emit::list(&named)))
    }

    fn named(&self, item: &Json) -> Json {
        let name = item.text("name").and_then(|name| self.names.get(name.plain().as_ref()));
        name.map_or_else(|| item.clone(), |name| set(item, "name", &name.quoted()))
    }
}

/// The carrier of an event that is unchanged (`same`) or edited.
fn carrier_after(carrier: Carrier, same: bool) -> Carrier {
    if same { carrier } else { Carrier::Ours }
}

/// The carrier of an event next to the one that has `carrier`.
fn covered(carrier: &Carrier) -> Carrier {
    carrier.dialect().map_or(Carrier::Ours, Carrier::Covered)
}

/// The sent names of all tools, including those in lists of tools.
fn offered(request: &Request, rules: Rules) -> HashSet<String> {
    let mut names = HashSet::new();
    for tool in &request.tools {
        match &tool.kind {
            ToolKind::Function { name, .. } | ToolKind::Custom { name, .. } => {
                names.insert(rules.renamed(name).as_ref().unwrap_or(name).plain().into_owned());
            }
            ToolKind::Hosted { .. } => {
                let inner = tool.raw.iter().filter_map(|raw| raw.get("tools")).flat_map(|tools| tools.elements());
                names.extend(inner.filter_map(|tool| tool.text("name")).map(|name| name.plain().into_owned()));
            }
        }
    }
    names
}
