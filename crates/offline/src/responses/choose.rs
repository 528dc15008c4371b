//! The items of an answer: reasoning where it is asked for, then what the mind says.

use serde_json::{Value, json};

use super::check::encrypted;
use super::item::{Call, Out, What};
use super::read::Ask;
use crate::mind::{self, Cite, PAGE, PIXEL, Say};

/// The items of the answer.
pub(super) fn items(ask: &Ask<'_>) -> Vec<Out> {
    if ask.items.last().is_some_and(|item| item["type"] == "compaction_trigger") {
        return vec![What::Compaction { encrypted: encrypted::mint(ask.account) }.into()];
    }
    let said = mind::answer(&ask.topic).into_iter().map(what);
    reasoning(ask).into_iter().chain(said).map(Out::from).collect()
}

/// A reasoning item when the request speaks of reasoning.
fn reasoning(ask: &Ask<'_>) -> Option<What> {
    let asked = ask.body.get("reasoning").is_some_and(Value::is_object);
    if !asked || matches!(ask.reasoning("effort"), Some("none" | "minimal")) {
        return None;
    }
    let summary = match ask.reasoning("summary") {
        None | Some("none") => Vec::new(),
        Some(_) => vec![mind::THOUGHT.to_owned()],
    };
    let wanted = ask.body.get("include").and_then(Value::as_array);
    let wanted = wanted.is_some_and(|list| list.iter().any(|name| name == "reasoning.encrypted_content"));
    Some(What::Reasoning { summary, encrypted: wanted.then(|| encrypted::mint(ask.account)) })
}

fn what(say: Say) -> What {
    match say {
        Say::Text { text, cite } => What::Message { text, annotations: cite.into_iter().map(annotation).collect() },
        Say::Function { namespace, name, arguments } => {
            What::Function { call: Call::new(namespace, name), arguments: arguments.to_string() }
        }
        Say::Custom { namespace, name, input } => What::Custom { call: Call::new(namespace, name), input },
        Say::Search { query } => What::Search { query },
        Say::Image { prompt } => What::Image { prompt, result: PIXEL },
    }
}

/// A citation as this API has it.
fn annotation(cite: Cite) -> Value {
    let (url, title) = PAGE;
    json!({ "type": "url_citation", "start_index": cite.start, "end_index": cite.end, "url": url, "title": title })
}
