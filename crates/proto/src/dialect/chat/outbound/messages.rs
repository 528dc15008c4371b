//! Turns items into chat messages: the calls of one turn in one assistant message, their results directly after it.

use std::collections::{HashMap, VecDeque};

use bytes::{BufMut, BytesMut};

use crate::canon::{CallKind, Item, ItemKind, Part, Request, Role, Source};
use crate::dialect::request_values::joined;
use crate::failure::{Failure, Kind};
use crate::json::emit::{self, ObjectWriter};
use crate::notes::{Notes, sanitized};
use crate::text::Text;

/// Writes `messages`; with `thoughts`, a call's message has the reasoning before it. Errors: `Invalid` where a part has no form in chat and
/// its omission would change the question, or no message remains.
pub(super) fn write(
    writer: &mut ObjectWriter<'_>,
    request: &Request,
    thoughts: bool,
    notes: &mut Notes,
) -> Result<(), Failure> {
    let messages = Messages::of(&request.items, thoughts, notes);
    if messages.done.is_empty() && request.instructions.is_none() {
        let message = "nothing in this conversation can be sent to an upstream that speaks Chat Completions";
        return Err(Failure::new(Kind::Invalid, message).at("input").code("invalid_value"));
    }
    let instructions = request.instructions.iter().map(Message::Instructions);
    writer.try_array("messages", instructions.chain(messages.done), |out, entry| message(out, &entry))
}

/// One chat message.
enum Message<'a> {
    Instructions(&'a Text),
    Content { role: &'static str, parts: Vec<&'a Part> },
    Assistant(Answer<'a>),
    Result { call_id: &'a Text, parts: Vec<&'a Part>, failed: bool },
}

#[derive(Default)]
struct Answer<'a> {
    thoughts: Vec<&'a Text>,
    parts: Vec<&'a Part>,
    calls: Vec<Call<'a>>,
}

struct Call<'a> {
    kind: CallKind,
    id: &'a Text,
    name: &'a Text,
    input: &'a Text,
}

/// A tool result and its index in the history.
struct PendingResult<'a> {
    at: usize,
    call_id: &'a Text,
    parts: &'a [Part],
    failed: bool,
}

/// The conversion of items into messages.
struct Messages<'a> {
    done: Vec<Message<'a>>,
    open: Option<Answer<'a>>,
    /// Reasoning that waits for a call; `None` where the upstream does not accept it.
    thoughts: Option<Vec<&'a Text>>,
    /// Results that wait for their call's message, by call id.
    results: HashMap<&'a [u8], VecDeque<PendingResult<'a>>>,
}

impl<'a> Messages<'a> {
    fn of(items: &'a [Item], thoughts: bool, notes: &mut Notes) -> Self {
        let (done, thoughts) = (Vec::with_capacity(items.len()), thoughts.then(Vec::new));
        let mut messages = Self { done, open: None, thoughts, results: HashMap::new() };
        for (at, item) in items.iter().enumerate() {
            if let ItemKind::Output { call_id, parts, failed, .. } = &item.kind {
                let waiting = PendingResult { at, call_id, parts, failed: *failed };
                messages.results.entry(call_id.escaped()).or_default().push_back(waiting);
            }
        }
        for item in items {
            messages.push(&item.kind, notes);
        }
        messages.flush(notes);
        messages.forget(notes);
        messages
    }

    fn push(&mut self, kind: &'a ItemKind, notes: &mut Notes) {
        match kind {
            ItemKind::Message { role: Role::Assistant, parts, .. } => {
                if self.open.as_ref().is_some_and(|open| !open.parts.is_empty()) {
                    self.flush(notes);
                }
                let parts = without_media(parts, "dropped pictures and files of the assistant", notes);
                self.open.get_or_insert_default().parts.extend(parts);
            }
            ItemKind::Message { role, parts, .. } => {
                self.flush(notes);
                self.forget(notes);
                let parts = match role {
                    Role::User => parts.iter().collect(),
                    _ => without_media(parts, "dropped pictures and files of the operator", notes),
                };
                self.done.push(Message::Content { role: speaker(role, notes), parts });
            }
            ItemKind::Call { kind, call_id, name, namespace, input, .. } => {
                if namespace.is_some() {
                    notes.add("dropped the namespace of a call");
                }
                let answer = self.open.get_or_insert_default();
                answer.thoughts.append(self.thoughts.as_mut().unwrap_or(&mut Vec::new()));
                answer.calls.push(Call { kind: *kind, id: call_id, name, input });
            }
            ItemKind::Output { failed, .. } => {
                if *failed {
                    notes.add("said that a tool failed in words");
                }
                self.flush(notes);
            }
            ItemKind::Reasoning { summary, text, .. } => {
                self.thought(if text.is_empty() { summary } else { text }, notes);
            }
            ItemKind::Search { .. } => notes.add("dropped a web search of the history"),
            ItemKind::Image { .. } => notes.add("dropped a generated image of the history"),
            ItemKind::Other { kind } => notes.add(format!("dropped an item of type {}", sanitized(kind))),
        }
    }

    fn thought(&mut self, texts: &'a [Text], notes: &mut Notes) {
        match &mut self.thoughts {
            Some(thoughts) if !texts.is_empty() => thoughts.extend(texts),
            _ => notes.add("dropped reasoning"),
        }
    }

    /// Drops reasoning that led to no call.
    fn forget(&mut self, notes: &mut Notes) {
        if let Some(thoughts) = self.thoughts.as_mut().filter(|thoughts| !thoughts.is_empty()) {
            thoughts.clear();
            notes.add("dropped reasoning");
        }
    }

    fn flush(&mut self, notes: &mut Notes) {
        let Some(answer) = self.open.take() else { return };
        if answer.parts.is_empty() && answer.calls.is_empty() {
            return notes.add("dropped an empty assistant message");
        }
        let ids: Vec<&[u8]> = answer.calls.iter().map(|call| call.id.escaped().as_ref()).collect();
        self.done.push(Message::Assistant(answer));
        self.answer(&ids, notes);
    }

    /// Writes the results of these calls, in the order of the history; images follow in a user message, since tool messages have no field
    /// for them.
    fn answer(&mut self, ids: &[&'a [u8]], notes: &mut Notes) {
        let mut next = |id: &&'a [u8]| self.results.get_mut(id).and_then(VecDeque::pop_front);
        let mut found: Vec<PendingResult<'a>> = ids.iter().filter_map(&mut next).collect();
        found.sort_by_key(|waiting| waiting.at);
        let mut shown = Vec::new();
        for PendingResult { call_id, parts, failed, .. } in found {
            let (text, other): (Vec<&Part>, Vec<&Part>) = parts.iter().partition(|part| part.is_text());
            shown.extend(other);
            self.done.push(Message::Result { call_id, parts: text, failed });
        }
        if !shown.is_empty() {
            notes.add("moved images of a tool result into a user message");
            self.done.push(Message::Content { role: "user", parts: shown });
        }
    }
}

/// All parts except images and files, which only user messages may have.
fn without_media<'a>(parts: &'a [Part], note: &'static str, notes: &mut Notes) -> Vec<&'a Part> {
    let shown = |part: &&Part| matches!(part, Part::Image { .. } | Part::File { .. });
    if parts.iter().any(|part| shown(&part)) {
        notes.add(note);
    }
    parts.iter().filter(|part| !shown(part)).collect()
}

fn speaker(role: &Role, notes: &mut Notes) -> &'static str {
    match role {
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::System => "system",
        Role::Developer => {
            // Every chat server accepts `system`; OpenAI's treat it as `developer` where the model wants that.
            notes.add("sent developer messages as system");
            "system"
        }
    }
}

fn message(out: &mut BytesMut, message: &Message<'_>) -> Result<(), Failure> {
    emit::object(out, |writer| match message {
        Message::Instructions(text) => {
            writer.string("role", "system");
            writer.text("content", text);
            Ok(())
        }
        Message::Content { role, parts } => {
            writer.string("role", role);
            content(writer, parts)
        }
        Message::Result { call_id, parts, failed } => {
            writer.string("role", "tool");
            writer.text("tool_call_id", call_id);
            if *failed { failure(writer, parts) } else { content(writer, parts) }
        }
        Message::Assistant(answer) => assistant(writer, answer),
    })
}

fn assistant(writer: &mut ObjectWriter<'_>, answer: &Answer<'_>) -> Result<(), Failure> {
    writer.string("role", "assistant");
    let refusal = answer.parts.iter().find_map(|part| match part {
        Part::Refusal(refusal) => Some(refusal),
        _ => None,
    });
    let parts: Vec<&Part> = answer.parts.iter().copied().filter(|part| !matches!(part, Part::Refusal(_))).collect();
    if parts.is_empty() {
        writer.literal("content", "null");
    } else {
        content(writer, &parts)?;
    }
    writer.optional_text("refusal", refusal);
    writer.optional_text("reasoning_content", joined(answer.thoughts.iter().copied()).as_ref());
    if !answer.calls.is_empty() {
        writer.array("tool_calls", &answer.calls, |out, call| emit::object(out, |writer| call_member(writer, call)));
    }
    Ok(())
}

fn call_member(writer: &mut ObjectWriter<'_>, call: &Call<'_>) {
    let (kind, input) = match call.kind {
        CallKind::Function => ("function", "arguments"),
        CallKind::Custom => ("custom", "input"),
    };
    writer.text("id", call.id);
    writer.string("type", kind);
    writer.object(kind, |writer| {
        writer.text("name", call.name);
        writer.text(input, call.input);
    });
}

/// The result of a tool that failed. Chat has no flag for a failure, so the text says it.
fn failure(writer: &mut ObjectWriter<'_>, parts: &[&Part]) -> Result<(), Failure> {
    if let [Part::Text { text, .. }] = parts {
        let out = writer.key("content");
        out.put_slice(b"\"Error: ");
        out.put_slice(text.escaped());
        out.put_slice(b"\"");
        return Ok(());
    }
    let mark = Part::from(Text::from("Error:"));
    let all: Vec<&Part> = [&mark].into_iter().chain(parts.iter().copied()).collect();
    content(writer, &all)
}

/// A single text as a string, all other parts as an array.
fn content(writer: &mut ObjectWriter<'_>, parts: &[&Part]) -> Result<(), Failure> {
    match parts {
        [] => writer.string("content", ""),
        [Part::Text { text, .. }] => writer.text("content", text),
        parts => {
            return writer.try_array("content", parts, |out, part| emit::object(out, |writer| one(writer, part)));
        }
    }
    Ok(())
}

fn one(writer: &mut ObjectWriter<'_>, part: &Part) -> Result<(), Failure> {
    match part {
        Part::Text { text, .. } => {
            writer.string("type", "text");
            writer.text("text", text);
        }
        Part::Refusal(refusal) => {
            writer.string("type", "refusal");
            writer.text("refusal", refusal);
        }
        Part::Image { source: Source::Url(url), detail } => {
            writer.string("type", "image_url");
            writer.object("image_url", |writer| {
                writer.text("url", url);
                writer.optional_text("detail", detail.as_ref());
            });
        }
        Part::Image { source: Source::Id(_), .. } => return Err(refused("an image by file id")),
        Part::File { source, name } => file(writer, source, name.as_ref())?,
        Part::Other(_) => return Err(refused("a content part of an unknown type")),
    }
    Ok(())
}

fn file(writer: &mut ObjectWriter<'_>, source: &Source, name: Option<&Text>) -> Result<(), Failure> {
    let inline = |url: &Text| url.escaped().starts_with(b"data:");
    let (key, value) = match source {
        Source::Id(id) => ("file_id", id),
        Source::Url(url) if inline(url) => ("file_data", url),
        Source::Url(_) => return Err(refused("a file by URL")),
    };
    writer.string("type", "file");
    writer.object("file", |writer| {
        writer.text(key, value);
        writer.optional_text("filename", name);
    });
    Ok(())
}

fn refused(what: &str) -> Failure {
    Failure::new(Kind::Invalid, format!("{what} cannot be sent to an upstream that speaks Chat Completions"))
        .code("unsupported_value")
}
