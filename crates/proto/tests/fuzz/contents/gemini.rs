//! Gemini streams and bodies.

use bytes::Bytes;
use proto::canon::{Channel, Finish};
use proto::text::{Json, Text};

use super::super::legal::gemini_replies;
use super::{Contents, Draft, text};

/// A Gemini stream.
pub(crate) fn stream(out: &[u8]) -> Contents {
    let (replies, _) = gemini_replies(out);
    of_replies(&replies)
}

/// A Gemini body.
pub(crate) fn whole(body: &Bytes) -> Contents {
    of_replies(&[Json::from_valid(body.clone())])
}

fn of_replies(replies: &[Json]) -> Contents {
    let mut draft = Draft::default();
    let mut calls = 0;
    for reply in replies {
        let Some(candidate) = reply.get("candidates").and_then(|list| list.elements().next()) else { continue };
        let parts = candidate.get("content").and_then(|content| content.get("parts"));
        for part in parts.iter().flat_map(Json::elements) {
            add(&mut draft, &part, &mut calls);
        }
        if let Some(reason) = candidate.text("finishReason") {
            draft.finish(match reason.plain().as_ref() {
                "MAX_TOKENS" => Finish::Length,
                "SAFETY" => Finish::Filter,
                _ => Finish::Stop,
            });
        }
    }
    draft.contents()
}

fn add(draft: &mut Draft, part: &Json, calls: &mut u64) {
    if part.get("thought").and_then(|thought| thought.as_bool()) == Some(true) {
        // The paragraphs are joined already.
        draft.add(0, 0, Channel::Summary, &text(part, "text"));
    } else if part.get("text").is_some() {
        draft.add(0, 0, Channel::Text, &text(part, "text"));
    }
    if let Some(data) = part.get("inlineData") {
        draft.image(&text(&data, "data"));
    }
    if let Some(call) = part.get("functionCall") {
        let entry = draft.call(*calls);
        *calls += 1;
        (entry.id, entry.name) = (text(&call, "id"), text(&call, "name"));
        let args = call.get("args").map(|args| Text::from_plain(args.as_str()));
        entry.input = args.map(|args| args.as_str().to_owned()).unwrap_or_default();
    }
}
