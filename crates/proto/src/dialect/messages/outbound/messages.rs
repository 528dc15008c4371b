//! Items to turns: user and assistant alternate, and the results of an assistant's calls come first in the turn after it.

use std::collections::{HashMap, VecDeque};

use super::super::reasoning_state::{self, Sealed};
use super::{blocks, refused};
use crate::canon::{CallKind, Item, ItemKind, Part, Request, Role};
use crate::dialect::{Dialect, RelayTarget};
use crate::failure::Failure;
use crate::json::emit::{self, ObjectWriter};
use crate::notes::{Notes, sanitized};
use crate::text::Text;

/// One content block.
pub(super) enum Block<'a> {
    /// A part of a message.
    Part(&'a Part),
    /// The model's thinking, which Anthropic signed.
    Thought { summary: &'a [Text], state: Sealed },
    /// A call.
    Call { kind: CallKind, id: &'a Text, name: &'a Text, input: &'a Text },
    /// The result of a call.
    Result { id: &'a Text, parts: &'a [Part], failed: bool },
}

/// The speaker of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaker {
    User,
    Assistant,
}

struct Message<'a> {
    speaker: Speaker,
    blocks: Vec<Block<'a>>,
}

/// A tool result and its position in the history.
struct PendingResult<'a> {
    position: usize,
    parts: &'a [Part],
    failed: bool,
}

/// The conversation in turns.
pub(super) struct Messages<'a> {
    /// The operator's messages at the front.
    system: Vec<&'a Part>,
    done: Vec<Message<'a>>,
    /// Calls of the open assistant turn.
    open: Vec<&'a Text>,
    /// Results that wait for their call, by call id.
    results: HashMap<&'a [u8], VecDeque<PendingResult<'a>>>,
}

impl<'a> Messages<'a> {
    /// The turns of a request. Errors: `Invalid` for parts that only another dialect knows.
    pub(super) fn of(request: &'a Request, relay: &RelayTarget, notes: &mut Notes) -> Result<Self, Failure> {
        if request.origin.is_some_and(|origin| origin != Dialect::Messages) && request.items.iter().any(has_other) {
            return Err(refused("a content part of an unknown type"));
        }
        let mut messages = Self { system: Vec::new(), done: Vec::new(), open: Vec::new(), results: HashMap::new() };
        for (position, item) in request.items.iter().enumerate() {
            if let ItemKind::Output { call_id, parts, failed, .. } = &item.kind {
                let waiting = PendingResult { position, parts, failed: *failed };
                messages.results.entry(call_id.escaped()).or_default().push_back(waiting);
            }
        }
        for item in &request.items {
            match &item.kind {
                ItemKind::Reasoning { encrypted: Some(_), .. } if relay.without_replay => {
                    notes.add("dropped reasoning state of another account");
                }
                kind => messages.push(kind, notes),
            }
        }
        messages.answer();
        Ok(messages)
    }

    /// Whether there is nothing to send.
    pub(super) fn is_empty(&self) -> bool {
        self.done.is_empty()
    }

    /// Whether the model continues a turn that does not begin with a thought, which rules out a thinking budget.
    pub(super) fn is_thoughtless(&self) -> bool {
        let is_result = |block: &Block<'_>| matches!(block, Block::Result { .. });
        let open = match &self.done[..] {
            [.., open] if open.speaker == Speaker::Assistant => open,
            [.., called, answered] if answered.blocks.iter().any(is_result) => called,
            _ => return false,
        };
        !matches!(open.blocks.first(), Some(Block::Thought { .. }))
    }

    fn push(&mut self, kind: &'a ItemKind, notes: &mut Notes) {
        match kind {
            ItemKind::Message { role: Role::Assistant, parts, .. } => {
                self.answer();
                self.add_text(Speaker::Assistant, parts, notes);
            }
            ItemKind::Message { role: Role::System | Role::Developer, parts, .. } if self.done.is_empty() => {
                if !parts.iter().all(Part::is_text) {
                    notes.add("dropped pictures and files of the operator");
                }
                self.system.extend(parts);
            }
            ItemKind::Message { role, parts, .. } => {
                if *role != Role::User {
                    notes.add("sent later system messages as the user's");
                }
                self.answer();
                self.add_text(Speaker::User, parts, notes);
            }
            ItemKind::Reasoning { summary, encrypted, .. } => self.thought(summary, encrypted.as_ref(), notes),
            ItemKind::Call { kind, call_id, name, namespace, input, .. } => {
                if namespace.is_some() {
                    notes.add("dropped the namespace of a call");
                }
                self.open.push(call_id);
                let call = Block::Call { kind: *kind, id: call_id, name, input };
                self.blocks_of(Speaker::Assistant).push(call);
            }
            ItemKind::Output { .. } => self.answer(),
            ItemKind::Search { .. } => notes.add("dropped a web search of the history"),
            ItemKind::Image { .. } => notes.add("dropped a generated image of the history"),
            ItemKind::Other { kind } => notes.add(format!("dropped an item of type {}", sanitized(kind))),
        }
    }

    fn add_text(&mut self, speaker: Speaker, parts: &'a [Part], notes: &mut Notes) {
        // The model's own turns cannot hold images and files in this dialect.
        let shown = |part: &&Part| speaker == Speaker::User || part.is_text() || matches!(part, Part::Other(_));
        if !parts.iter().all(|part| shown(&part)) {
            notes.add("dropped pictures and files of the assistant");
        }
        let mut blocks = parts.iter().filter(shown).filter(|part| !blank(part)).map(Block::Part).peekable();
        if blocks.peek().is_some() {
            self.blocks_of(speaker).extend(blocks);
        }
    }

    fn thought(&mut self, summary: &'a [Text], encrypted: Option<&Text>, notes: &mut Notes) {
        match encrypted.and_then(reasoning_state::bare) {
            Some(state) => {
                self.answer();
                self.blocks_of(Speaker::Assistant).push(Block::Thought { summary, state });
            }
            None => notes.add("dropped reasoning that another model signed"),
        }
    }

    /// The results of the open calls, in the order of the history.
    fn answer(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let mut found = Vec::new();
        for id in std::mem::take(&mut self.open) {
            let waiting = self.results.get_mut(&id.escaped()[..]).and_then(VecDeque::pop_front);
            found.extend(
                waiting
                    .map(|PendingResult { position, parts, failed }| (position, Block::Result { id, parts, failed })),
            );
        }
        found.sort_by_key(|(position, _)| *position);
        self.blocks_of(Speaker::User).extend(found.into_iter().map(|(_, block)| block));
    }

    /// The blocks of the speaker's turn; begins a new turn if the open turn has another speaker.
    fn blocks_of(&mut self, speaker: Speaker) -> &mut Vec<Block<'a>> {
        if self.done.last().is_none_or(|message| message.speaker != speaker) {
            self.done.push(Message { speaker, blocks: Vec::new() });
        }
        &mut self.done.last_mut().expect("invariant: pushed in the lines above").blocks
    }

    /// Writes `system` and `messages`. Errors: `Invalid` if a part has no form in this dialect and dropping it would change the
    /// question.
    pub(super) fn write(
        &self,
        writer: &mut ObjectWriter<'_>,
        request: &Request,
        notes: &mut Notes,
    ) -> Result<(), Failure> {
        self.operator(writer, request.instructions.as_ref());
        let began = self.done.first().is_some_and(|message| message.speaker == Speaker::User);
        if !began {
            notes.add("put a user turn before the first assistant turn");
        }
        let first = (!began).then_some(None);
        let messages = first.into_iter().chain(self.done.iter().map(Some));
        writer.try_array("messages", messages, |out, message| {
            emit::object(out, |writer| write_message(writer, message, notes))
        })
    }

    fn operator(&self, writer: &mut ObjectWriter<'_>, instructions: Option<&Text>) {
        let texts = self.system.iter().filter_map(|part| part.text());
        let texts: Vec<&Text> = instructions.into_iter().chain(texts).filter(|text| !text.is_empty()).collect();
        match texts[..] {
            [] => {}
            [one] => writer.text("system", one),
            _ => writer.array("system", &texts, |out, text| {
                emit::object(out, |writer| {
                    writer.string("type", "text");
                    writer.text("text", text);
                });
            }),
        }
    }
}

/// One message; `None` is the turn that must come before an assistant turn.
fn write_message(
    writer: &mut ObjectWriter<'_>,
    message: Option<&Message<'_>>,
    notes: &mut Notes,
) -> Result<(), Failure> {
    let assistant = message.is_some_and(|message| message.speaker == Speaker::Assistant);
    writer.string("role", if assistant { "assistant" } else { "user" });
    let Some(message) = message else {
        writer.string("content", "...");
        return Ok(());
    };
    writer.try_array("content", &message.blocks, |out, block| blocks::write(out, block, notes))
}

/// Whether an item has a part that only its own dialect knows.
fn has_other(item: &Item) -> bool {
    let (ItemKind::Message { parts, .. } | ItemKind::Output { parts, .. }) = &item.kind else { return false };
    parts.iter().any(|part| matches!(part, Part::Other(_)))
}

/// Whether a part is empty text; Anthropic refuses such blocks.
fn blank(part: &Part) -> bool {
    part.text().is_some_and(|text| text.plain().trim().is_empty())
}
