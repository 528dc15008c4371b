//! Legal replies made of arbitrary bytes: each byte is one step of a model that writes, reasons and calls tools.

use bytes::Bytes;
use proto::canon::{CallKind, Channel, Event, Finish, Head, Item, ItemKind, Open, Part, Role, Usage, What};
use proto::text::{Json, Text};
use proto::{Failure, Kind};

use super::contents::{Contents, Draft};

/// Pieces of text, escaped: quotes, line ends, characters cut in two, stop sequences of the tests.
const PIECES: [&str; 15] = [
    "a", "b ", "hello", "\\n", "\\\"q\\\"", "é", "\\u00e9", "\u{1f600}", "\\ud83d\\ude00", HALF, " stop", "END",
    "\\\\", "don't   ", "{\\\"k\\\":[1,2]}",
];
/// A character that an upstream cuts in two; the halves directly follow each other.
const HALF: &str = "\\ud83d";
const OTHER_HALF: &str = "\\ude00";
/// Most calls in a reply.
const CALLS: usize = 4;

/// A reply.
#[derive(Debug, Default)]
pub(crate) struct Script {
    /// The events; without a terminal one when the upstream was cut.
    pub(crate) events: Vec<Event>,
    /// The contents of these events.
    pub(crate) contents: Contents,
}

/// The message or reasoning that is open.
struct OpenItem {
    at: u32,
    thinks: bool,
    parts: Vec<(Channel, String)>,
    /// Whether the next piece begins another part.
    fresh: bool,
}

struct Call {
    at: u32,
    kind: CallKind,
    input: String,
}

struct Maker<'b> {
    bytes: std::slice::Iter<'b, u8>,
    events: Vec<Event>,
    draft: Draft,
    next: u32,
    open: Option<OpenItem>,
    calls: Vec<Call>,
    called: usize,
    over: bool,
}

/// Runs the steps in `bytes`.
pub(crate) fn script(bytes: &[u8]) -> Script {
    let mut maker = Maker {
        bytes: bytes.iter(),
        events: Vec::new(),
        draft: Draft::default(),
        next: 0,
        open: None,
        calls: Vec::new(),
        called: 0,
        over: false,
    };
    maker.push(What::Open(Open { id: "resp_up".into(), model: Some("up".into()), created: 5 }));
    while let Some(step) = maker.bytes.next().copied().filter(|_| !maker.over) {
        maker.step(step % 16);
    }
    Script { events: maker.events, contents: maker.draft.contents() }
}

impl Maker<'_> {
    fn push(&mut self, what: What) {
        self.events.push(Event::new(what));
    }

    fn byte(&mut self) -> usize {
        self.bytes.next().copied().unwrap_or(0).into()
    }

    fn index(&mut self) -> u32 {
        self.next += 1;
        self.next - 1
    }

    fn step(&mut self, step: u8) {
        match step {
            0 | 1 => self.open(step == 1),
            2 | 3 => self.call(if step == 2 { CallKind::Function } else { CallKind::Custom }),
            4..=7 => self.add_text(),
            8 => drop(self.open.as_mut().map(|open| open.fresh = true)),
            9 => self.add_arguments(),
            10 => self.close(),
            11 => self.end_call(),
            12 => self.cite(),
            13 => self.picture(),
            14 => self.aside(),
            _ => self.end(),
        }
    }

    fn open(&mut self, thinks: bool) {
        self.close();
        let at = self.index();
        let head = if thinks { Head::Reasoning } else { Head::Message { phase: None } };
        self.push(What::ItemOpen { at, head });
        self.open = Some(OpenItem { at, thinks, parts: Vec::new(), fresh: true });
    }

    fn add_text(&mut self) {
        let (piece, other) = (PIECES[self.byte() % PIECES.len()], self.byte().is_multiple_of(3));
        let Some(open) = &mut self.open else { return };
        if std::mem::take(&mut open.fresh) {
            let thought = open.parts.last().is_some_and(|part| part.0 == Channel::Reasoning);
            let channel = match (open.thinks, other || thought) {
                (true, true) => Channel::Reasoning,
                (true, false) => Channel::Summary,
                (false, true) => Channel::Refusal,
                (false, false) => Channel::Text,
            };
            open.parts.push((channel, String::new()));
        }
        let (at, part) = (open.at, open.part());
        let Some(channel) = open.parts.last().map(|part| part.0) else { return };
        for piece in halves(piece) {
            self.open.iter_mut().filter_map(|open| open.parts.last_mut()).for_each(|(_, text)| text.push_str(piece));
            self.draft.add(at.into(), part.into(), channel, piece);
            self.push(What::Delta { at, part, channel, data: escaped(piece) });
        }
    }

    fn call(&mut self, kind: CallKind) {
        if self.called == CALLS {
            return;
        }
        self.called += 1;
        let (at, n) = (self.index(), self.called);
        let called = self.draft.call(at.into());
        (called.id, called.name) = (format!("call_{n}"), format!("f{n}"));
        let (call_id, name) = (Text::from_plain(&called.id), Text::from_plain(&called.name));
        self.push(What::ItemOpen { at, head: Head::Call { kind, call_id, name, namespace: None } });
        self.calls.push(Call { at, kind, input: String::new() });
    }

    fn add_arguments(&mut self) {
        let (which, piece) = (self.byte(), PIECES[self.byte() % PIECES.len()]);
        let count = self.calls.len().max(1);
        let Some(call) = self.calls.get_mut(which % count) else { return };
        let at = call.at;
        for piece in halves(piece) {
            self.calls.iter_mut().filter(|call| call.at == at).for_each(|call| call.input.push_str(piece));
            self.draft.add(at.into(), 0, Channel::Arguments, piece);
            self.push(What::Delta { at, part: 0, channel: Channel::Arguments, data: escaped(piece) });
        }
    }

    /// Completes the message or reasoning.
    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        let text = |channel| {
            let parts = open.parts.iter().filter(move |part| part.0 == channel);
            parts.map(|part| escaped(&part.1)).collect()
        };
        let part = |(channel, text): &(Channel, String)| match channel {
            Channel::Refusal => Part::Refusal(escaped(text)),
            _ => Part::Text { text: escaped(text), annotations: None },
        };
        let kind = if open.thinks {
            ItemKind::Reasoning {
                id: None,
                summary: text(Channel::Summary),
                text: text(Channel::Reasoning),
                encrypted: None,
            }
        } else {
            ItemKind::Message {
                id: None,
                role: Role::Assistant,
                parts: open.parts.iter().map(part).collect(),
                phase: None,
            }
        };
        self.push(What::ItemDone { at: open.at, item: Item { kind, raw: None } });
    }

    /// Completes a call.
    fn end_call(&mut self) {
        let which = self.byte() % self.calls.len().max(1);
        if self.calls.is_empty() {
            return;
        }
        let Call { at, kind, input } = self.calls.remove(which);
        let called = self.draft.call(at.into());
        let (call_id, name) = (Text::from_plain(&called.id), Text::from_plain(&called.name));
        let kind = ItemKind::Call { kind, id: None, call_id, name, namespace: None, input: escaped(&input) };
        self.push(What::ItemDone { at, item: Item { kind, raw: None } });
    }

    fn cite(&mut self) {
        let Some(open) = self.open.as_ref().filter(|open| !open.fresh) else { return };
        if open.parts.last().is_some_and(|part| part.0 == Channel::Text) {
            let citation =
                r#"{"type":"url_citation","url":"https://e.example/","title":"t","start_index":0,"end_index":1}"#;
            let data = Json::from_valid(Bytes::from_static(citation.as_bytes()));
            self.push(What::Annotation { at: open.at, part: open.part(), data });
        }
    }

    fn picture(&mut self) {
        self.close();
        let (at, search) = (self.index(), self.byte().is_multiple_of(2));
        let (head, kind) = if search {
            (Head::Search, ItemKind::Search { id: None, action: None })
        } else {
            self.draft.image("aGk=");
            let kind = ItemKind::Image { id: None, result: "aGk=".into(), format: Some("png".into()), prompt: None };
            (Head::Image, kind)
        };
        self.push(What::ItemOpen { at, head });
        self.push(What::ItemDone { at, item: Item { kind, raw: None } });
    }

    fn aside(&mut self) {
        let json = || Json::from_valid(Bytes::from_static(b"{}"));
        let what = match self.byte() % 4 {
            0 => What::Usage(Usage { input: 3, output: 2, ..Usage::default() }),
            1 => What::Limits(json()),
            2 => What::Metadata(json()),
            _ => What::Other,
        };
        self.push(what);
    }

    fn end(&mut self) {
        self.over = true;
        let finish = match self.byte() % 6 {
            0 => return self.push(What::Fail(Failure::new(Kind::Overloaded, "busy").code("server_is_overloaded"))),
            1 => Finish::Length,
            2 => Finish::Filter,
            3 => Finish::Cancelled,
            _ if self.called > 0 => Finish::ToolCalls,
            _ => Finish::Stop,
        };
        self.draft.finish(finish);
        self.push(What::End { finish, response: None });
    }
}

impl OpenItem {
    /// Index of the last part among the parts that share its numbering.
    fn part(&self) -> u32 {
        let Some(last) = self.parts.last() else { return 0 };
        let counted = self.parts.iter().filter(|part| !self.thinks || part.0 == last.0).count();
        u32::try_from(counted - 1).expect("a reply is short")
    }
}

/// A piece, or the two deltas of a character that was cut.
fn halves(piece: &'static str) -> impl Iterator<Item = &'static str> {
    std::iter::once(piece).chain((piece == HALF).then_some(OTHER_HALF))
}

fn escaped(text: &str) -> Text {
    Text::from_escaped(Bytes::copy_from_slice(text.as_bytes()))
}
