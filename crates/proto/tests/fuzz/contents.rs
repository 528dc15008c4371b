//! The contents of a reply as a client reads them, in any protocol and form. Two replies with the same contents are equal here.

mod gemini;
mod messages;
mod ollama;

use bytes::Bytes;
use proto::canon::{Channel, Finish, ItemKind, Part};
use proto::fold::Whole;
use proto::text::{Json, Text};

use super::legal::{Frame, frames};
pub(crate) use gemini::{stream as gemini_stream, whole as gemini_whole};
pub(crate) use messages::{stream as messages_stream, whole as messages_whole};
pub(crate) use ollama::{stream as ollama_stream, whole as ollama_whole};

/// The contents of one reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    pub(crate) text: String,
    pub(crate) refusal: String,
    /// Paragraphs joined by a blank line.
    pub(crate) reasoning: String,
    pub(crate) calls: Vec<Called>,
    pub(crate) images: Vec<String>,
    /// `stop`, `length` or `content_filter`; `None` when it failed.
    pub(crate) finish: Option<String>,
}

/// One call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Called {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) input: String,
}

/// Texts in progress, still escaped: a character may be cut in two.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    text: String,
    refusal: String,
    paragraphs: Vec<((u64, u8, u64), String)>,
    calls: Vec<(u64, Called)>,
    images: Vec<String>,
    finish: Option<String>,
}

impl Draft {
    /// A piece of text at output index, part and channel.
    pub(crate) fn add(&mut self, at: u64, part: u64, channel: Channel, piece: &str) {
        match channel {
            Channel::Text => self.text.push_str(piece),
            Channel::Refusal => self.refusal.push_str(piece),
            Channel::Reasoning | Channel::Summary => {
                let key = (at, u8::from(channel == Channel::Reasoning), part);
                match self.paragraphs.iter_mut().find(|paragraph| paragraph.0 == key) {
                    Some(paragraph) => paragraph.1.push_str(piece),
                    None => self.paragraphs.push((key, piece.to_owned())),
                }
            }
            Channel::Arguments => self.call(at).input.push_str(piece),
            Channel::Image => {}
        }
    }

    /// The call at an output index.
    pub(crate) fn call(&mut self, at: u64) -> &mut Called {
        let found = self.calls.iter().position(|call| call.0 == at);
        let index = found.unwrap_or_else(|| {
            self.calls.push((at, Called::default()));
            self.calls.len() - 1
        });
        &mut self.calls[index].1
    }

    /// Adds a generated image.
    pub(crate) fn image(&mut self, result: &str) {
        self.images.push(result.to_owned());
    }

    /// Sets the finish reason.
    pub(crate) fn finish(&mut self, finish: Finish) {
        let word = match finish {
            Finish::Stop | Finish::ToolCalls | Finish::Cancelled => "stop",
            Finish::Length => "length",
            Finish::Filter => "content_filter",
        };
        self.finish = Some(word.to_owned());
    }

    /// The complete contents, unescaped.
    pub(crate) fn contents(self) -> Contents {
        let paragraphs: Vec<String> = self.paragraphs.iter().map(|(_, text)| plain(text)).collect();
        let calls = self.calls.into_iter().map(|(_, call)| Called {
            id: plain(&call.id),
            name: plain(&call.name),
            input: plain(&call.input),
        });
        Contents {
            text: plain(&self.text),
            refusal: plain(&self.refusal),
            reasoning: paragraphs.join("\n\n"),
            calls: calls.collect(),
            images: self.images,
            finish: self.finish,
        }
    }
}

fn plain(escaped: &str) -> String {
    Text::from_escaped(Bytes::copy_from_slice(escaped.as_bytes())).plain().into_owned()
}

/// Replaces the input of a call whose pieces are not JSON.
const BROKEN: &str = "?";

/// A body of this kind cannot hold an incomplete value, so the value is closed there.
pub(crate) fn close(stream: &Contents, body: &mut Contents) {
    let broken = stream.calls.iter().zip(&mut body.calls).filter(|(call, _)| call.input == BROKEN);
    broken.for_each(|(_, call)| BROKEN.clone_into(&mut call.input));
}

/// The input of a call as a JSON value, escaped as string content: from its pieces, else from the block itself.
fn input(pieces: &str, value: &str) -> String {
    let whole = plain(pieces);
    let whole = whole.trim_matches([' ', '\t', '\r', '\n']);
    let value = match whole {
        "" => value,
        _ if proto::json::valid(whole.as_bytes()) => whole,
        _ => BROKEN,
    };
    Text::from_plain(value.trim_matches([' ', '\t', '\r', '\n'])).as_str().to_owned()
}

fn text(json: &Json, name: &str) -> String {
    json.text(name).map(|text| text.as_str().to_owned()).unwrap_or_default()
}

/// A chat stream.
pub(crate) fn chat_stream(out: &[u8]) -> Contents {
    let mut draft = Draft::default();
    for frame in frames(out) {
        let Frame::Data(_, json) = frame else { continue };
        let first = |choice: &Json| choice.get("index").and_then(|index| index.as_u64()).unwrap_or(0) == 0;
        let Some(choice) = json.get("choices").and_then(|choices| choices.elements().find(first)) else { continue };
        if let Some(delta) = choice.get("delta") {
            chat_message(&mut draft, &delta);
        }
        chat_finish(&mut draft, &choice);
    }
    draft.contents()
}

/// A chat completion.
pub(crate) fn chat_whole(body: &Bytes) -> Contents {
    let mut draft = Draft::default();
    let json = Json::from_valid(body.clone());
    let choice = json.get("choices").and_then(|choices| choices.elements().next()).expect("a completion has a choice");
    chat_message(&mut draft, &choice.get("message").expect("a choice has a message"));
    chat_finish(&mut draft, &choice);
    draft.contents()
}

fn chat_finish(draft: &mut Draft, choice: &Json) {
    let Some(reason) = choice.text("finish_reason") else { return };
    draft.finish(match reason.as_str() {
        "length" => Finish::Length,
        "content_filter" => Finish::Filter,
        _ => Finish::Stop,
    });
}

/// A message or a delta.
fn chat_message(draft: &mut Draft, message: &Json) {
    draft.add(0, 0, Channel::Text, &text(message, "content"));
    // Mistral's form: an array of parts, some of which are thinking.
    for part in message.get("content").iter().flat_map(Json::elements) {
        draft.add(0, 0, Channel::Text, &text(&part, "text"));
        for thought in part.get("thinking").iter().flat_map(Json::elements) {
            draft.add(0, 0, Channel::Reasoning, &text(&thought, "text"));
        }
    }
    draft.add(0, 0, Channel::Refusal, &text(message, "refusal"));
    if let Some(reasoning) = message.text("reasoning_content") {
        draft.add(0, 0, Channel::Reasoning, reasoning.as_str());
    }
    if let Some(called) = message.get("function_call") {
        let call = draft.call(0);
        call.name.push_str(&text(&called, "name"));
        call.input.push_str(&text(&called, "arguments"));
    }
    let calls = message.get("tool_calls");
    // The calls of a whole message have no numbers; the legacy call before them is the first.
    let first = u64::from(message.get("function_call").is_some());
    for (position, json) in (first..).zip(calls.iter().flat_map(Json::elements)) {
        let call = draft.call(json.get("index").and_then(|index| index.as_u64()).unwrap_or(position));
        let called = json.get("function").or_else(|| json.get("custom")).expect("a call says what is called");
        call.id.push_str(&text(&json, "id"));
        call.name.push_str(&text(&called, "name"));
        call.input.push_str(&(text(&called, "arguments") + &text(&called, "input")));
    }
    for image in message.get("images").iter().flat_map(Json::elements) {
        let url = image.get("image_url").map(|url| text(&url, "url")).unwrap_or_default();
        draft.image(url.split_once(";base64,").map_or("", |(_, data)| data));
    }
}

/// A responses stream.
pub(crate) fn responses_stream(out: &[u8]) -> Contents {
    let (mut draft, mut streamed) = (Draft::default(), Vec::new());
    for frame in frames(out) {
        let Frame::Data(event, json) = frame else { continue };
        let name = json.text("type").map_or(event, |name| name.plain().into_owned());
        let number = |name: &str| json.get(name).and_then(|value| value.as_u64()).unwrap_or(0);
        let at = number("output_index");
        let mut add = |channel, part: &str| {
            streamed.push((at, channel));
            draft.add(at, number(part), channel, &text(&json, "delta"));
        };
        match name.as_str() {
            "response.output_text.delta" => add(Channel::Text, "content_index"),
            "response.refusal.delta" => add(Channel::Refusal, "content_index"),
            "response.reasoning_text.delta" => add(Channel::Reasoning, "content_index"),
            "response.reasoning_summary_text.delta" => add(Channel::Summary, "summary_index"),
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                add(Channel::Arguments, "");
            }
            // An upstream may send only the finished item, and a garbled event has none.
            "response.output_item.added" => json.get("item").iter().for_each(|item| head(&mut draft, at, item)),
            "response.output_item.done" => {
                json.get("item").iter().for_each(|done| item(&mut draft, at, done, &streamed));
            }
            "response.completed" | "response.incomplete" | "response.cancelled" => {
                responses_finish(&mut draft, &json.get("response").unwrap_or_else(|| json.clone()));
            }
            _ => {}
        }
    }
    draft.contents()
}

fn head(draft: &mut Draft, at: u64, item: &Json) {
    if item.text("type").is_some_and(|kind| kind.is("function_call") || kind.is("custom_tool_call")) {
        let call = draft.call(at);
        call.id = text(item, "call_id");
        call.name = text(item, "name");
    }
}

/// A finished item, without the channels that were streamed.
fn item(draft: &mut Draft, at: u64, item: &Json, streamed: &[(u64, Channel)]) {
    let kind = item.text("type").unwrap_or_default();
    let parts = |name: &str| item.get(name).map(|parts| parts.elements().collect::<Vec<_>>()).unwrap_or_default();
    let mut add = |channel, part, piece: &str| {
        if !streamed.contains(&(at, channel)) {
            draft.add(at, part, channel, piece);
        }
    };
    for (index, part) in (0..).zip(parts("summary")) {
        add(Channel::Summary, index, &text(&part, "text"));
    }
    for (index, part) in (0..).zip(parts("content")) {
        match part.text("refusal") {
            Some(refusal) => add(Channel::Refusal, index, refusal.as_str()),
            None if kind.is("reasoning") => add(Channel::Reasoning, index, &text(&part, "text")),
            None => add(Channel::Text, index, &text(&part, "text")),
        }
    }
    if kind.is("function_call") || kind.is("custom_tool_call") {
        add(Channel::Arguments, 0, &(text(item, "arguments") + &text(item, "input")));
    }
    head(draft, at, item);
    if let Some(result) = item.text("result").filter(|result| kind.is("image_generation_call") && !result.is_empty()) {
        draft.image(result.as_str());
    }
}

/// A responses body.
pub(crate) fn responses_whole(body: &Bytes) -> Contents {
    let mut draft = Draft::default();
    let json = Json::from_valid(body.clone());
    let output = json.get("output").expect("a response has an output");
    for (at, json) in (0..).zip(output.elements()) {
        item(&mut draft, at, &json, &[]);
    }
    responses_finish(&mut draft, &json);
    draft.contents()
}

fn responses_finish(draft: &mut Draft, response: &Json) {
    let reason = response.get("incomplete_details").map(|details| text(&details, "reason")).unwrap_or_default();
    match (text(response, "status").as_str(), reason.as_str()) {
        ("failed", _) => {}
        ("incomplete", "content_filter") => draft.finish(Finish::Filter),
        ("incomplete", _) => draft.finish(Finish::Length),
        _ => draft.finish(Finish::Stop),
    }
}

/// A collected reply before a dialect writes it.
pub(crate) fn whole(whole: &Whole) -> Contents {
    let mut draft = Draft::default();
    for (at, item) in (0..).zip(&whole.items) {
        for (channel, part, text) in texts(&item.kind) {
            draft.add(at, part, channel, text.as_str());
        }
        match &item.kind {
            ItemKind::Call { call_id, name, .. } => {
                let call = draft.call(at);
                call_id.as_str().clone_into(&mut call.id);
                name.as_str().clone_into(&mut call.name);
            }
            ItemKind::Image { result, .. } if !result.is_empty() => draft.image(result.as_str()),
            _ => {}
        }
    }
    if let Some(finish) = whole.finish {
        draft.finish(finish);
    }
    draft.contents()
}

/// The texts of an item, with the channel and part index of their deltas.
pub(crate) fn texts(item: &ItemKind) -> Vec<(Channel, u64, &Text)> {
    match item {
        ItemKind::Message { parts, .. } => {
            let texts = (0..).zip(parts).filter_map(|(at, part)| match part {
                Part::Text { text, .. } => Some((Channel::Text, at, text)),
                Part::Refusal(text) => Some((Channel::Refusal, at, text)),
                _ => None,
            });
            texts.collect()
        }
        ItemKind::Reasoning { summary, text, .. } => {
            let summary = (0..).zip(summary).map(|(at, text)| (Channel::Summary, at, text));
            summary.chain((0..).zip(text).map(|(at, text)| (Channel::Reasoning, at, text))).collect()
        }
        ItemKind::Call { input, .. } => vec![(Channel::Arguments, 0, input)],
        _ => Vec::new(),
    }
}
