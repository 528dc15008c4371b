//! The items of an answer: reasoning if the request asks for it, then the responder's output.

use serde_json::{Value, json};

use super::check::encrypted;
use super::item::{ItemContent, OutputItem, ToolCall};
use super::read::CheckedRequest;
use crate::responder::{self, Citation, ModelOutput, PAGE, PIXEL};

/// The items of the answer.
pub(super) fn items(ask: &CheckedRequest<'_>) -> Vec<OutputItem> {
    if ask.items.last().is_some_and(|item| item["type"] == "compaction_trigger") {
        return vec![ItemContent::Compaction { encrypted: encrypted::mint(ask.account) }.into()];
    }
    let answers = responder::answer(&ask.topic).into_iter().map(item_content);
    reasoning(ask).into_iter().chain(answers).map(OutputItem::from).collect()
}

/// A reasoning item, if the request has `reasoning` with an effort above minimal.
fn reasoning(ask: &CheckedRequest<'_>) -> Option<ItemContent> {
    let asked = ask.body.get("reasoning").is_some_and(Value::is_object);
    if !asked || matches!(ask.reasoning("effort"), Some("none" | "minimal")) {
        return None;
    }
    let summary = match ask.reasoning("summary") {
        None | Some("none") => Vec::new(),
        Some(_) => vec![responder::THOUGHT.to_owned()],
    };
    let wanted = ask.body.get("include").and_then(Value::as_array);
    let wanted = wanted.is_some_and(|list| list.iter().any(|name| name == "reasoning.encrypted_content"));
    Some(ItemContent::Reasoning { summary, encrypted: wanted.then(|| encrypted::mint(ask.account)) })
}

fn item_content(say: ModelOutput) -> ItemContent {
    match say {
        ModelOutput::Text { text, cite } => {
            ItemContent::Message { text, annotations: cite.into_iter().map(annotation).collect() }
        }
        ModelOutput::Function { namespace, name, arguments } => {
            ItemContent::Function { call: ToolCall::new(namespace, name), arguments: arguments.to_string() }
        }
        ModelOutput::Custom { namespace, name, input } => {
            ItemContent::Custom { call: ToolCall::new(namespace, name), input }
        }
        ModelOutput::Search { query } => ItemContent::Search { query },
        ModelOutput::Image { prompt } => ItemContent::Image { prompt, result: PIXEL },
    }
}

/// A citation in this API's format.
fn annotation(cite: Citation) -> Value {
    let (url, title) = PAGE;
    json!({ "type": "url_citation", "start_index": cite.start, "end_index": cite.end, "url": url, "title": title })
}
