//! The state of one reply: the open items and their content so far.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::super::encode;
use super::super::wire::{Choice, Message, Reply};
use super::calls::Calls;
use super::scan::TextChunks;
use crate::canon::{Channel, Finish, Head, ItemKind, Open, Usage, What};
use crate::dialect::sink::EventSink;
use crate::failure::{Failure, Kind};
use crate::fold::ItemDraft;
use crate::notes::sanitized;
use crate::text::{Json, Text};
use crate::upstream_error;

/// One reply in progress. Reasoning and message items close when another item begins; calls stay open to the end, because servers
/// interleave them.
#[derive(Debug, Default)]
pub(in crate::dialect) struct ChatAnswer {
    opened: bool,
    /// The next output index.
    next: u32,
    message: Option<OpenMessage>,
    thought: Option<(u32, ItemDraft)>,
    calls: Calls,
    finish: Option<Finish>,
    text_chunks: TextChunks,
}

/// The open message.
#[derive(Debug)]
struct OpenMessage {
    at: u32,
    /// The channel of each part.
    parts: Vec<Channel>,
    draft: ItemDraft,
}

impl ChatAnswer {
    /// Whether the reply has begun.
    pub(super) fn opened(&self) -> bool {
        self.opened
    }

    /// Whether the server sent a finish reason.
    pub(super) fn finished(&self) -> bool {
        self.finish.is_some()
    }

    /// The text of a chunk that only continues the open text.
    pub(super) fn text_of_chunk(&mut self, data: &Bytes) -> Option<Text> {
        let text_is_open = self.message.as_ref().is_some_and(|message| message.parts.first() == Some(&Channel::Text));
        if text_is_open { self.text_chunks.content(data) } else { None }
    }

    /// Reads one chunk or whole body; `data` is its buffer.
    pub(super) fn read(&mut self, data: &Bytes, reply: &Reply<'_>, sink: &mut EventSink<'_>) -> Result<(), Failure> {
        let choices = reply.choices.iter().flatten();
        // There is only one choice, because the gateway never requests more.
        for choice in choices.filter(|choice| choice.index.unwrap_or(0) == 0) {
            self.open(data, reply, sink);
            self.choice(data, choice, sink)?;
            // The usage of a frame with a choice comes second, and so does not carry the frame.
            sink.finish();
        }
        if let Some(usage) = reply.usage.and_then(|usage| read_usage(&Json::slice(data, usage))) {
            sink.push(What::Usage(usage));
        }
        Ok(())
    }

    /// Ends the reply; `frame` is the terminal frame, if there is one.
    pub(super) fn end(&mut self, sink: &mut EventSink<'_>, frame: Option<Bytes>) {
        self.close_items(sink);
        let finish = match self.finish {
            // Calls that the client forced end with `stop`, and some servers always send `stop`.
            None | Some(Finish::Stop) if self.calls.any() => Finish::ToolCalls,
            finish => finish.unwrap_or(Finish::Stop),
        };
        if let Some(frame) = frame {
            sink.next(frame);
        }
        sink.push(What::End { finish, response: None });
    }

    fn open(&mut self, data: &Bytes, reply: &Reply<'_>, sink: &mut EventSink<'_>) {
        if std::mem::replace(&mut self.opened, true) {
            return;
        }
        let word = |raw: Option<&RawValue>| raw.and_then(|raw| Json::slice(data, raw).as_text());
        let id = word(reply.id).unwrap_or_default();
        let created = reply.created.and_then(|raw| Json::slice(data, raw).as_u64()).unwrap_or(0);
        self.calls.name_after(&id);
        sink.push(What::Open(Open { id, model: word(reply.model).filter(|model| !model.is_empty()), created }));
    }

    fn choice(&mut self, data: &Bytes, choice: &Choice<'_>, sink: &mut EventSink<'_>) -> Result<(), Failure> {
        if let Some(error) = choice.error {
            return Err(upstream_error::from_object(&Json::slice(data, error)));
        }
        if let Some(message) = choice.delta.as_ref().or(choice.message.as_ref()) {
            self.message(data, message, sink);
        }
        // Ollama and SGLang send an empty reason until there is one.
        let Some(reason) = choice.finish_reason.and_then(|raw| text_of(data, raw)) else { return Ok(()) };
        self.finish = Some(finish(&reason.plain(), sink)?);
        self.calls.settle()?;
        self.close_items(sink);
        Ok(())
    }

    fn message(&mut self, data: &Bytes, message: &Message<'_>, sink: &mut EventSink<'_>) {
        // Servers that send both fields send the same text in them.
        let thought = message.reasoning_content.or(message.reasoning);
        if let Some(text) = thought.and_then(|raw| text_of(data, raw)) {
            self.thought(text, sink);
        }
        for (channel, raw) in [(Channel::Text, message.content), (Channel::Refusal, message.refusal)] {
            for (thinking, text) in raw.into_iter().flat_map(|raw| pieces(data, raw)) {
                if thinking { self.thought(text, sink) } else { self.text_delta(channel, text, sink) }
            }
        }
        for citation in message.annotations.iter().flatten() {
            self.cite(&Json::slice(data, citation), sink);
        }
        for (position, call) in (0..).zip(message.tool_calls.iter().flatten()) {
            self.close_text(sink);
            self.calls.read(data, position, call, &mut self.next, sink);
        }
        if let Some(called) = &message.function_call {
            self.close_text(sink);
            self.calls.legacy(data, called, &mut self.next, sink);
        }
        for image in message.images.iter().flatten() {
            self.image(&Json::slice(data, image), sink);
        }
    }

    fn thought(&mut self, text: Text, sink: &mut EventSink<'_>) {
        self.close_message(sink);
        if self.thought.is_none() {
            let at = self.take_index();
            sink.push(What::ItemOpen { at, head: Head::Reasoning });
            self.thought = Some((at, ItemDraft::begun(&Head::Reasoning)));
        }
        if let Some((at, draft)) = &mut self.thought {
            draft.delta(0, Channel::Reasoning, &text);
            sink.push(What::Delta { at: *at, part: 0, channel: Channel::Reasoning, data: text });
        }
    }

    /// Adds a piece of text to the open text.
    pub(super) fn text(&mut self, text: Text, sink: &mut EventSink<'_>) {
        self.text_delta(Channel::Text, text, sink);
    }

    fn text_delta(&mut self, channel: Channel, text: Text, sink: &mut EventSink<'_>) {
        let message = self.open_message(sink);
        let part = message.part(channel);
        message.draft.delta(part, channel, &text);
        let at = message.at;
        sink.push(What::Delta { at, part, channel, data: text });
    }

    fn cite(&mut self, citation: &Json, sink: &mut EventSink<'_>) {
        let data = encode::flat_citation(citation);
        let message = self.open_message(sink);
        let part = message.part(Channel::Text);
        message.draft.annotation(part, &data);
        let at = message.at;
        sink.push(What::Annotation { at, part, data });
    }

    /// The open message; a new one when there is none.
    fn open_message(&mut self, sink: &mut EventSink<'_>) -> &mut OpenMessage {
        self.close_thought(sink);
        if self.message.is_none() {
            let at = self.take_index();
            let head = Head::Message { phase: None };
            let draft = ItemDraft::begun(&head);
            sink.push(What::ItemOpen { at, head });
            self.message = Some(OpenMessage { at, parts: Vec::new(), draft });
        }
        self.message.as_mut().expect("invariant: set in the lines above")
    }

    /// Reads a generated image from its data URL. An image by address reaches Chat clients as the upstream's own frame.
    fn image(&mut self, image: &Json, sink: &mut EventSink<'_>) {
        let Some(url) = image.get("image_url").and_then(|url| url.text("url")) else { return };
        let Some((format, start)) = encode::data_url(url.as_str()) else {
            return sink.aside(What::Note("only Chat clients get an image by its address".to_owned()));
        };
        self.close_text(sink);
        let at = self.take_index();
        let kind = ItemKind::Image {
            id: None,
            result: Text::from_escaped(url.escaped().slice(start..)),
            format: Some(Text::from_plain(format)),
            prompt: None,
        };
        sink.item(at, kind);
    }

    fn take_index(&mut self) -> u32 {
        self.next += 1;
        self.next - 1
    }

    fn close_items(&mut self, sink: &mut EventSink<'_>) {
        self.close_text(sink);
        self.calls.close(sink);
    }

    fn close_text(&mut self, sink: &mut EventSink<'_>) {
        self.close_thought(sink);
        self.close_message(sink);
    }

    fn close_thought(&mut self, sink: &mut EventSink<'_>) {
        let Some((at, draft)) = self.thought.take() else { return };
        sink.push(What::ItemDone { at, item: draft.item().expect("invariant: the draft was opened as reasoning") });
    }

    fn close_message(&mut self, sink: &mut EventSink<'_>) {
        let Some(message) = self.message.take() else { return };
        let item = message.draft.item().expect("invariant: the draft was opened as a message");
        sink.push(What::ItemDone { at: message.at, item });
    }
}

impl OpenMessage {
    fn part(&mut self, channel: Channel) -> u32 {
        let index = self.parts.iter().position(|part| *part == channel).unwrap_or_else(|| {
            self.parts.push(channel);
            self.parts.len() - 1
        });
        u32::try_from(index).expect("invariant: a message has a text and a refusal at most")
    }
}

/// The meaning of a finish reason; other services document theirs (Z.ai, `DeepSeek`). An unknown reason ends a complete answer, so it
/// counts as a stop, with a note.
fn finish(reason: &str, sink: &mut EventSink<'_>) -> Result<Finish, Failure> {
    match reason {
        "length" | "max_tokens" | "model_context_window_exceeded" => Ok(Finish::Length),
        "content_filter" | "sensitive" => Ok(Finish::Filter),
        "tool_calls" | "function_call" => Ok(Finish::ToolCalls),
        "error" | "network_error" | "insufficient_system_resource" => {
            Err(Failure::new(Kind::Upstream, "The upstream failed while it answered.").code("upstream_error"))
        }
        reason => {
            if !encode::is_stop(reason) {
                sink.push(What::Note(format!("unknown finish reason {} taken as stop", sanitized(reason))));
            }
            Ok(Finish::Stop)
        }
    }
}

/// A non-empty string.
pub(super) fn text_of(data: &Bytes, raw: &RawValue) -> Option<Text> {
    Json::slice(data, raw).as_text().filter(|text| !text.is_empty())
}

/// Content as a string or, from servers that put thinking into it, as an array of parts; `true` marks thinking.
fn pieces(data: &Bytes, raw: &RawValue) -> Vec<(bool, Text)> {
    let json = Json::slice(data, raw);
    if let Some(text) = json.as_text() {
        return if text.is_empty() { Vec::new() } else { vec![(false, text)] };
    }
    let mut pieces = Vec::new();
    for part in json.elements() {
        pieces.extend(part.text("text").map(|text| (false, text)));
        let thinking = part.get("thinking").into_iter().flat_map(|list| list.elements());
        pieces.extend(thinking.filter_map(|part| Some((true, part.text("text")?))));
    }
    pieces.retain(|(_, text)| !text.is_empty());
    pieces
}

fn read_usage(usage: &Json) -> Option<Usage> {
    let input = usage.get("prompt_tokens")?.as_u64()?;
    let count = |json: Option<Json>, name| json.and_then(|json| json.get(name)).and_then(|count| count.as_u64());
    let direct = |name| count(Some(usage.clone()), name);
    let prompt = || usage.get("prompt_tokens_details");
    // DeepSeek sends the cached part next to the sum.
    let cached = count(prompt(), "cached_tokens").or_else(|| direct("prompt_cache_hit_tokens"));
    let output = direct("completion_tokens").unwrap_or(0);
    let reasoning = count(usage.get("completion_tokens_details"), "reasoning_tokens").unwrap_or(0);
    // xAI does not include reasoning in the completion tokens; its total has both (vercel/ai#12425).
    let sum = input.saturating_add(output).saturating_add(reasoning);
    let beside = reasoning > 0 && direct("total_tokens") == Some(sum);
    Some(Usage {
        input,
        cached: cached.unwrap_or(0),
        cache_write: count(prompt(), "cache_write_tokens").unwrap_or(0),
        output: if beside { output.saturating_add(reasoning) } else { output },
        reasoning,
        estimated: false,
    })
}
