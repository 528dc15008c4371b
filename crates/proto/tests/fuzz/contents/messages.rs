//! Messages streams and bodies.

use bytes::Bytes;
use proto::canon::{Channel, Finish};
use proto::text::Json;

use super::super::legal::{Frame, frames};
use super::{Contents, Draft, text};

/// The prefix of a generated image, which this protocol writes as Markdown.
const PICTURE: &str = "![image](data:image/";

/// A content block so far: index, first form, text from its deltas, still escaped.
struct Block {
    index: u64,
    first: Json,
    grown: String,
}

/// A messages stream.
pub(crate) fn stream(out: &[u8]) -> Contents {
    let (mut blocks, mut reason): (Vec<Block>, _) = (Vec::new(), None);
    for frame in frames(out) {
        let Frame::Data(event, json) = frame else { continue };
        let name = json.text("type").map_or(event, |name| name.plain().into_owned());
        let index = json.get("index").and_then(|index| index.as_u64()).unwrap_or(0);
        match name.as_str() {
            "content_block_start" => {
                if let Some(first) = json.get("content_block") {
                    blocks.push(Block { index, first, grown: String::new() });
                }
            }
            "content_block_delta" => {
                let block = blocks.iter_mut().rev().find(|block| block.index == index);
                if let (Some(block), Some(delta)) = (block, json.get("delta")) {
                    grow(block, &delta);
                }
            }
            "message_delta" => reason = json.get("delta").and_then(|delta| delta.text("stop_reason")).or(reason),
            _ => {}
        }
    }
    let mut draft = Draft::default();
    for (at, block) in (0..).zip(&blocks) {
        add(&mut draft, at, &block.first, &block.grown);
    }
    if let Some(reason) = reason {
        finish(&mut draft, reason.plain().as_ref());
    }
    draft.contents()
}

/// A messages body.
pub(crate) fn whole(body: &Bytes) -> Contents {
    let mut draft = Draft::default();
    let json = Json::from_valid(body.clone());
    let content = json.get("content");
    for (at, block) in (0..).zip(content.iter().flat_map(Json::elements)) {
        add(&mut draft, at, &block, "");
    }
    if let Some(reason) = json.text("stop_reason") {
        finish(&mut draft, reason.plain().as_ref());
    }
    draft.contents()
}

fn grow(block: &mut Block, delta: &Json) {
    let fields = [("text_delta", "text"), ("thinking_delta", "thinking"), ("input_json_delta", "partial_json")];
    let kind = delta.text("type").unwrap_or_default();
    if let Some((_, field)) = fields.iter().find(|(name, _)| kind.is(name)) {
        block.grown.push_str(&text(delta, field));
    }
}

fn add(draft: &mut Draft, at: u64, block: &Json, grown: &str) {
    match text(block, "type").as_str() {
        "text" => {
            let all = text(block, "text") + grown;
            match all.strip_prefix(PICTURE).and_then(|rest| rest.split_once(";base64,")) {
                Some((_, data)) => draft.image(data.trim_end_matches(')')),
                None => draft.add(at, 0, Channel::Text, &all),
            }
        }
        "thinking" => {
            let all = text(block, "thinking") + grown;
            if !all.is_empty() {
                draft.add(at, 0, Channel::Summary, &all);
            }
        }
        "tool_use" => {
            let call = draft.call(at);
            (call.id, call.name) = (text(block, "id"), text(block, "name"));
            // Streams have pieces of JSON text, bodies have the value; a limit may have cut the pieces.
            let value = block.get("input").map(|input| input.as_str().to_owned()).unwrap_or_default();
            call.input = super::input(grown, &value);
        }
        _ => {}
    }
}

fn finish(draft: &mut Draft, reason: &str) {
    draft.finish(match reason {
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "refusal" => Finish::Filter,
        _ => Finish::Stop,
    });
}
