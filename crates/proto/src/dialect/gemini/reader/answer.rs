//! The state of one reply: the open items and their content so far.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::super::reasoning_state;
use super::super::wire::{Candidate, Part, Reply};
use super::calls::Calls;
use super::scan::TextDelta;
use super::sources;
use crate::canon::{Channel, Finish, Head, ItemKind, Open, Usage, What};
use crate::dialect::sink::EventSink;
use crate::failure::{Failure, Kind};
use crate::fold::ItemDraft;
use crate::text::{Json, Text};

/// One reply in progress. One item is open at a time.
#[derive(Debug, Default)]
pub(in crate::dialect) struct GeminiAnswer {
    opened: bool,
    closed: bool,
    /// The next output index.
    next: u32,
    open: Option<OpenMessage>,
    calls: Calls,
    /// State without a following part so far, and the id of its item.
    state: Option<ReasoningState>,
    grounding: Option<Json>,
    citations: Option<Json>,
    usage: Option<Json>,
    finish: Option<Finish>,
}

/// Id and state of a reasoning item.
type ReasoningState = (Option<Text>, Text);

/// The open message or thought.
#[derive(Debug)]
struct OpenMessage {
    at: u32,
    channel: Channel,
    draft: ItemDraft,
}

impl GeminiAnswer {
    /// Whether the reply has begun.
    pub(super) fn opened(&self) -> bool {
        self.opened
    }

    /// Whether the upstream sent a finish reason.
    pub(super) fn finished(&self) -> bool {
        self.finish.is_some()
    }

    /// Whether the terminal event was emitted.
    pub(super) fn closed(&self) -> bool {
        self.closed
    }

    /// Whether a piece of text can be added directly: an item is open, and there is no state, finish reason or open call.
    pub(super) fn speaking(&self) -> bool {
        self.open.is_some() && self.state.is_none() && self.finish.is_none() && !self.calls.is_open()
    }

    /// Reads a frame that is only a piece of text.
    pub(super) fn text_delta(&mut self, delta: TextDelta, sink: &mut EventSink<'_>) {
        self.usage = delta.usage.or(self.usage.take());
        self.open(if delta.thought { Channel::Summary } else { Channel::Text }, delta.text, sink);
    }

    /// Reads one chunk or whole body; `data` is its buffer.
    pub(super) fn read(&mut self, data: &Bytes, reply: &Reply<'_>, sink: &mut EventSink<'_>) -> Result<(), Failure> {
        self.begin(data, reply, sink);
        self.usage = reply.usage_metadata.map(|raw| Json::slice(data, raw)).or(self.usage.take());
        // There is only one candidate, because the gateway never requests more.
        let candidates = reply.candidates.iter().flatten();
        for candidate in candidates.filter(|candidate| candidate.index.unwrap_or(0) == 0) {
            self.candidate(data, candidate, sink)?;
        }
        let feedback = reply.prompt_feedback.map(|raw| Json::slice(data, raw));
        if feedback.is_some_and(|feedback| feedback.text("blockReason").is_some()) {
            self.finish = Some(Finish::Filter);
        }
        // The token totals come with the end of a reply or directly after it; earlier counts are not totals.
        if self.finish.is_some() && reply.usage_metadata.is_some() {
            self.end(sink);
        }
        Ok(())
    }

    /// Ends the reply.
    pub(super) fn end(&mut self, sink: &mut EventSink<'_>) {
        self.calls.close(sink);
        self.settle(sink);
        let grounding = self.grounding.take();
        self.search(grounding.as_ref(), sink);
        self.remember(sink);
        self.meter(sink);
        self.closed = true;
        let finish = match self.finish {
            None | Some(Finish::Stop) if self.calls.any() => Finish::ToolCalls,
            finish => finish.unwrap_or(Finish::Stop),
        };
        sink.push(What::End { finish, response: None });
    }

    /// Emits the token counts so far.
    pub(super) fn meter(&mut self, sink: &mut EventSink<'_>) {
        if let Some(usage) = self.usage.take().and_then(|usage| read_usage(&usage)) {
            sink.push(What::Usage(usage));
        }
    }

    fn begin(&mut self, data: &Bytes, reply: &Reply<'_>, sink: &mut EventSink<'_>) {
        if std::mem::replace(&mut self.opened, true) {
            return;
        }
        let word = |raw: Option<&RawValue>| raw.and_then(|raw| Json::slice(data, raw).as_text());
        let id = word(reply.response_id).unwrap_or_default();
        self.calls.name_after(&id);
        let model = word(reply.model_version).filter(|model| !model.is_empty());
        sink.push(What::Open(Open { id, model, created: 0 }));
    }

    fn candidate(&mut self, data: &Bytes, candidate: &Candidate<'_>, sink: &mut EventSink<'_>) -> Result<(), Failure> {
        for part in candidate.content.iter().flat_map(|content| content.parts.iter().flatten()) {
            self.part(data, part, sink)?;
        }
        let json = |raw: Option<&RawValue>| raw.map(|raw| Json::slice(data, raw)).filter(|json| !json.is_null());
        self.grounding = json(candidate.grounding_metadata).or(self.grounding.take());
        self.citations = json(candidate.citation_metadata).or(self.citations.take());
        let Some(reason) = json(candidate.finish_reason).and_then(|json| json.as_text()) else { return Ok(()) };
        let message = json(candidate.finish_message).and_then(|json| json.as_text()).unwrap_or_default();
        self.finish = finish(&reason, &message)?.or(self.finish);
        Ok(())
    }

    fn part(&mut self, data: &Bytes, part: &Part<'_>, sink: &mut EventSink<'_>) -> Result<(), Failure> {
        let string = |raw: Option<&RawValue>| {
            raw.and_then(|raw| Json::slice(data, raw).as_text()).filter(|text| !text.is_empty())
        };
        let (text, signature) = (string(part.text), string(part.thought_signature));
        let thought = part.thought == Some(true);
        if let Some(text) = text.clone().filter(|_| thought) {
            self.open(Channel::Summary, text, sink);
        }
        let goes_on = self.open.as_ref().is_some_and(|open| open.channel == Channel::Text);
        let mut text = text.filter(|_| !thought);
        if let Some(text) = text.take_if(|_| goes_on) {
            self.open(Channel::Text, text, sink);
        }
        if let Some(signature) = signature {
            self.sign(&signature, sink);
        }
        if let Some(call) = &part.function_call {
            self.settle(sink);
            self.remember(sink);
            return self.calls.read(data, call, &mut self.next, sink);
        }
        if let Some(text) = text {
            self.open(Channel::Text, text, sink);
        }
        if let Some(image) = part.inline_data.map(|raw| Json::slice(data, raw)) {
            self.image(&image, sink);
        }
        Ok(())
    }

    /// Reads state: of the open thought, else of hidden thoughts.
    fn sign(&mut self, signature: &Text, sink: &mut EventSink<'_>) {
        let state = reasoning_state::read(signature);
        if self.open.as_ref().is_some_and(|open| open.channel == Channel::Summary) {
            self.state = Some(state);
            return self.settle(sink);
        }
        self.remember(sink);
        self.state = Some(state);
    }

    fn open(&mut self, channel: Channel, data: Text, sink: &mut EventSink<'_>) {
        if self.calls.is_open() {
            self.calls.close(sink);
        }
        if self.open.as_ref().is_none_or(|open| open.channel != channel) || self.state.is_some() {
            self.settle(sink);
            self.remember(sink);
            let at = self.take_index();
            let head = if channel == Channel::Summary { Head::Reasoning } else { Head::Message { phase: None } };
            let draft = ItemDraft::begun(&head);
            sink.push(What::ItemOpen { at, head });
            self.open = Some(OpenMessage { at, channel, draft });
        }
        if let Some(open) = &mut self.open {
            open.draft.delta(0, channel, &data);
            sink.push(What::Delta { at: open.at, part: 0, channel, data });
        }
    }

    /// Ends the open message or thought.
    fn settle(&mut self, sink: &mut EventSink<'_>) {
        let Some(mut open) = self.open.take() else { return };
        let at = open.at;
        let is_text = open.channel == Channel::Text;
        let (grounding, cited) = if is_text { (self.grounding.take(), self.citations.take()) } else { (None, None) };
        let cites = grounding.is_some() || cited.is_some();
        if cites && open.draft.is_forgotten() {
            sink.push(What::Note("citations of a text over 64 KiB not placed".to_owned()));
        } else if cites {
            let text = open.draft.text(0, Channel::Text);
            for data in sources::citations(grounding.as_ref(), cited.as_ref(), &text) {
                open.draft.annotation(0, &data);
                sink.push(What::Annotation { at, part: 0, data });
            }
        }
        let mut item = open.draft.item().expect("invariant: the draft was opened");
        if let ItemKind::Reasoning { id, encrypted, .. } = &mut item.kind
            && let Some((made, state)) = self.state.take()
        {
            (*id, *encrypted) = (made, Some(state));
        }
        sink.push(What::ItemDone { at, item });
        self.search(grounding.as_ref(), sink);
    }

    fn search(&mut self, grounding: Option<&Json>, sink: &mut EventSink<'_>) {
        let Some(action) = grounding.and_then(sources::search) else { return };
        sink.item(self.take_index(), ItemKind::Search { id: None, action: Some(action) });
    }

    /// State without a visible thought becomes a separate item.
    fn remember(&mut self, sink: &mut EventSink<'_>) {
        let Some((id, state)) = self.state.take() else { return };
        let (summary, text) = (Vec::new(), Vec::new());
        sink.item(self.take_index(), ItemKind::Reasoning { id, summary, text, encrypted: Some(state) });
    }

    fn image(&mut self, data: &Json, sink: &mut EventSink<'_>) {
        let (Some(kind), Some(result)) = (data.text("mimeType"), data.text("data")) else { return };
        let kind = kind.plain();
        let Some(format) = kind.strip_prefix("image/") else { return };
        self.settle(sink);
        self.remember(sink);
        let format = Some(Text::from_plain(format));
        sink.item(self.take_index(), ItemKind::Image { id: None, result, format, prompt: None });
    }

    fn take_index(&mut self) -> u32 {
        self.next += 1;
        self.next - 1
    }
}

/// The meaning of a finish reason; `None` for an unspecified one.
fn finish(reason: &Text, message: &Text) -> Result<Option<Finish>, Failure> {
    Ok(Some(match reason.plain().as_ref() {
        "FINISH_REASON_UNSPECIFIED" | "" => return Ok(None),
        "MAX_TOKENS" => Finish::Length,
        "SAFETY"
        | "RECITATION"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => Finish::Filter,
        word @ ("MALFORMED_FUNCTION_CALL"
        | "UNEXPECTED_TOOL_CALL"
        | "TOO_MANY_TOOL_CALLS"
        | "MISSING_THOUGHT_SIGNATURE"
        | "MALFORMED_RESPONSE") => {
            let more = message.plain();
            let why = if more.is_empty() { String::new() } else { format!(": {}", cut(&more)) };
            let text = format!("The upstream ended its answer with {word}{why}.");
            return Err(Failure::new(Kind::Upstream, text).code(word.to_ascii_lowercase()));
        }
        _ => Finish::Stop,
    }))
}

fn cut(message: &str) -> &str {
    message[..message.floor_char_boundary(500)].trim_end_matches('.')
}

/// Token counts; `None` when `usage` has none.
fn read_usage(usage: &Json) -> Option<Usage> {
    let count = |name| usage.get(name).and_then(|count| count.as_u64());
    let prompt = count("promptTokenCount")?;
    let reasoning = count("thoughtsTokenCount").unwrap_or(0);
    Some(Usage {
        input: prompt.saturating_add(count("toolUsePromptTokenCount").unwrap_or(0)),
        cached: count("cachedContentTokenCount").unwrap_or(0),
        cache_write: 0,
        output: count("candidatesTokenCount").unwrap_or(0).saturating_add(reasoning),
        reasoning,
        estimated: false,
    })
}
