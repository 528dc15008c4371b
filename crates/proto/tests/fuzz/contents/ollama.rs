//! Ollama streams and bodies.

use bytes::Bytes;
use proto::canon::{Channel, Finish};
use proto::text::{Json, Text};

use super::super::legal::ollama_lines;
use super::{Contents, Draft, text};

/// An Ollama stream.
pub(crate) fn stream(out: &[u8]) -> Contents {
    of_lines(&ollama_lines(out))
}

/// An Ollama body.
pub(crate) fn whole(body: &Bytes) -> Contents {
    of_lines(&[Json::from_valid(body.clone())])
}

fn of_lines(lines: &[Json]) -> Contents {
    let mut draft = Draft::default();
    let mut calls = 0;
    for line in lines {
        draft.add(0, 0, Channel::Text, &text(line, "response"));
        draft.add(0, 0, Channel::Summary, &text(line, "thinking"));
        if let Some(message) = line.get("message") {
            draft.add(0, 0, Channel::Text, &text(&message, "content"));
            draft.add(0, 0, Channel::Summary, &text(&message, "thinking"));
            message.get("images").iter().flat_map(Json::elements).for_each(|image| {
                draft.image(image.as_text().expect("a picture is a string").as_str());
            });
            for call in message.get("tool_calls").iter().flat_map(Json::elements) {
                add(&mut draft, &call, calls);
                calls += 1;
            }
        }
        if let Some(reason) = line.text("done_reason") {
            draft.finish(match reason.as_str() {
                "length" => Finish::Length,
                "content_filter" => Finish::Filter,
                _ => Finish::Stop,
            });
        }
    }
    draft.contents()
}

fn add(draft: &mut Draft, call: &Json, at: u64) {
    let called = call.get("function").expect("a call says what is called");
    let arguments = called.get("arguments").expect("a call has arguments");
    let entry = draft.call(at);
    (entry.id, entry.name) = (text(call, "id"), text(&called, "name"));
    Text::from_plain(arguments.as_str()).as_str().clone_into(&mut entry.input);
}
