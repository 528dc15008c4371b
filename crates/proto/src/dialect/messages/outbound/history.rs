//! The client's own messages: the content that another upstream cannot read, and whether the messages let a model think.

use bytes::Bytes;
use memchr::memmem;

use super::super::{encode, reasoning_state};
use crate::dialect::RelayTarget;
use crate::json::emit::list;
use crate::json::patch::{Edit, patch};
use crate::notes::Notes;
use crate::text::{Json, Text};

/// Marks, one of which is in every body with possibly unreadable content: the prefix of an envelope of foreign state with its
/// opening quote, and the fields for the parts of a search that Anthropic encrypts.
const MARKS: [&[u8]; 3] = [b"\"pg1.", b"\"encrypted_content\"", b"\"encrypted_index\""];

/// Whether a body must be searched for unreadable content.
pub(super) fn is_suspect(raw: &Bytes, relay: &RelayTarget) -> bool {
    relay.without_replay || MARKS.iter().any(|mark| memmem::find(raw, mark).is_some())
}

/// The messages without another model's signed thoughts and searches, which the upstream would refuse.
pub(super) fn readable(messages: &Json, relay: &RelayTarget, notes: &mut Notes) -> Json {
    let mut remaining = Vec::new();
    for message in messages.elements() {
        let blocks: Vec<Json> = message.get("content").iter().flat_map(Json::elements).collect();
        // A single model made all blocks of a reply.
        let strange = blocks.iter().any(is_strange);
        let stay: Vec<Json> = blocks.iter().filter_map(|block| legible(block, strange, relay, notes)).collect();
        if stay == blocks {
            remaining.push(message);
        } else if !stay.is_empty() {
            let content = list(&stay);
            let edit = |key: &Text, _: &Json| if key.is("content") { Edit::Set(content.clone()) } else { Edit::Keep };
            remaining.push(patch(&message, edit, []));
        }
    }
    list(&remaining)
}

/// The block in a form that this upstream can read, if there is one; `strange` when another model made the message's searches.
fn legible(block: &Json, strange: bool, relay: &RelayTarget, notes: &mut Notes) -> Option<Json> {
    match block.text("type").unwrap_or_default().plain().as_ref() {
        "thinking" => signed(block, "signature", relay, notes),
        "redacted_thinking" => signed(block, "data", relay, notes),
        "text" => Some(uncited(block, notes)),
        "server_tool_use" | encode::RESULTS if strange => {
            notes.add("dropped a web search that another model made");
            None
        }
        _ => Some(block.clone()),
    }
}

/// A thought, unless the state in this field is another model's.
fn signed(block: &Json, field: &str, relay: &RelayTarget, notes: &mut Notes) -> Option<Json> {
    if relay.without_replay || block.text(field).is_some_and(|state| reasoning_state::foreign(&state)) {
        notes.add("dropped reasoning that another model signed");
        return None;
    }
    Some(block.clone())
}

/// Text without citations that another model made.
fn uncited(block: &Json, notes: &mut Notes) -> Json {
    let Some(citations) = block.get("citations") else { return block.clone() };
    let all: Vec<Json> = citations.elements().collect();
    let stay: Vec<&Json> = all.iter().filter(|citation| !is_blank(citation, "encrypted_index")).collect();
    if stay.len() == all.len() {
        return block.clone();
    }
    notes.add("dropped citations that another model made");
    let rest = if stay.is_empty() { Edit::Drop } else { Edit::Set(list(stay)) };
    patch(block, |key, _| if key.is("citations") { rest.clone() } else { Edit::Keep }, [])
}

/// Whether a block holds results of a search that `encode` wrote.
fn is_strange(block: &Json) -> bool {
    let results = block.text("type").is_some_and(|kind| kind.is(encode::RESULTS));
    let content = block.get("content");
    results && content.iter().flat_map(Json::elements).any(|result| is_blank(&result, "encrypted_content"))
}

fn is_blank(object: &Json, field: &str) -> bool {
    object.text(field).is_some_and(|text| text.is_empty())
}

/// Whether the model continues a turn, after results or a prefix of its own, that does not begin with a thought. Consecutive
/// messages of one role are one turn.
pub(super) fn is_thoughtless(messages: &Json) -> bool {
    let (mut called, mut last) = (None, None::<MessageFacts>);
    for message in messages.elements() {
        let next = MessageFacts::of(&message);
        match &mut last {
            // The operator's reminders come between the turns.
            _ if next.speaker == Speaker::Operator => {}
            Some(message) if message.speaker == next.speaker => message.results |= next.results,
            _ => called = last.replace(next),
        }
    }
    let open = if last.as_ref().is_some_and(|message| message.results) { called } else { last };
    open.is_some_and(|message| message.speaker == Speaker::Assistant && !message.thinks)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Speaker {
    User,
    Assistant,
    Operator,
}

/// The facts of a message that decide about thinking.
struct MessageFacts {
    speaker: Speaker,
    /// Whether the message begins with a thought.
    thinks: bool,
    /// Whether the message answers calls.
    results: bool,
}

impl MessageFacts {
    fn of(message: &Json) -> Self {
        let speaker = match message.text("role").unwrap_or_default().plain().as_ref() {
            "user" => Speaker::User,
            "assistant" => Speaker::Assistant,
            _ => Speaker::Operator,
        };
        let content = message.get("content");
        let mut kinds = content.iter().flat_map(Json::elements).filter_map(|block| block.text("type"));
        let first = kinds.next();
        let thinks = first.as_ref().is_some_and(|kind| kind.is("thinking") || kind.is("redacted_thinking"));
        let results = speaker == Speaker::User && first.into_iter().chain(kinds).any(|kind| kind.is("tool_result"));
        Self { speaker, thinks, results }
    }
}
