//! Responses streams.

use std::collections::BTreeMap;

use bytes::Bytes;
use proto::text::{Json, Text};

use super::Frame;

/// Checks the frames of one reply.
pub(super) fn check(frames: &[Frame], own: bool) {
    let (mut ends, mut reply, mut names) = (0, Reply::default(), Vec::new());
    for (position, frame) in frames.iter().enumerate() {
        let Frame::Data(event, json) = frame else {
            assert!(!own, "[DONE] and half frames are not ours");
            continue;
        };
        let name = json.text("type").map_or_else(|| event.clone(), |name| name.plain().into_owned());
        assert_eq!(ends, 0, "{name} after the end: {names:?}");
        if position == 0 {
            assert_eq!(name, "response.created", "the first event");
        }
        ends += usize::from(is_end(&name, json));
        if own {
            assert_eq!(&name, event, "the event is called as its type");
            assert_eq!(json.get("sequence_number").and_then(|number| number.as_u64()), Some(position as u64));
            reply.read(position, &name, json);
        }
        names.push(name);
    }
    assert_eq!(ends, 1, "ends of {names:?}");
}

fn is_end(name: &str, json: &Json) -> bool {
    let named =
        ["completed", "done", "incomplete", "failed", "cancelled"].iter().any(|end| name == format!("response.{end}"));
    named || name == "error" || (name.is_empty() && json.get("error").is_some())
}

/// A reply of our own.
#[derive(Default)]
struct Reply {
    items: BTreeMap<u64, Item>,
}

#[derive(Default)]
struct Item {
    id: Text,
    kind: String,
    /// Family (`content`, `summary`, or none for a call), index, escaped text.
    parts: Vec<Part>,
    /// The finished item.
    done: Option<Json>,
}

struct Part {
    family: &'static str,
    index: u64,
    text: String,
    state: State,
}

#[derive(PartialEq)]
enum State {
    Open,
    /// Its text is complete.
    TextDone,
    Closed,
}

impl Reply {
    fn read(&mut self, position: usize, name: &str, json: &Json) {
        let name = name.strip_prefix("response.").expect("our events have names of the protocol");
        match name {
            "created" | "in_progress" => assert!(position < 2, "{name} at {position}"),
            "completed" | "incomplete" | "failed" | "cancelled" => self.end(name, json),
            "output_item.added" => {
                let item = json.get("item").expect("an item event has an item");
                let kind = item.text("type").expect("an item has a type").plain().into_owned();
                let new = Item { id: item.text("id").expect("an item has an id"), kind, ..Item::default() };
                assert!(
                    !new.id.is_empty() && self.items.insert(at(json), new).is_none(),
                    "an output index comes twice"
                );
            }
            "output_item.done" => self.item(json).finish(json.get("item").expect("an item event has an item")),
            _ => self.item(json).event(name, json),
        }
    }

    fn item(&mut self, json: &Json) -> &mut Item {
        let item = self.items.get_mut(&at(json)).expect("an item begins before its events");
        assert!(item.done.is_none(), "an event of a finished item");
        if let Some(id) = json.text("item_id") {
            assert_eq!(id, item.id, "an event names another item");
        }
        item
    }

    fn end(&self, name: &str, json: &Json) {
        let response = json.get("response").expect("a terminal event has a response");
        let status = response.text("status").expect("a response has a status");
        assert!(status.is(name) || (name == "incomplete" && status.is("cancelled")), "{name} with status {status:?}");
        let output: Vec<Json> = response.get("output").expect("a response has an output").elements().collect();
        let done: Vec<Json> = self.items.values().filter_map(|item| item.done.clone()).collect();
        assert_eq!(output, done, "the output is what was said");
        assert!(name == "failed" || done.len() == self.items.len(), "an item never ends");
    }
}

impl Item {
    fn event(&mut self, name: &str, json: &Json) {
        let index = |field: &str| json.get(field).and_then(|index| index.as_u64()).expect("a part has an index");
        let (subject, verb) = name.rsplit_once('.').expect("an event has a verb");
        let (family, index) = match subject {
            "content_part" | "output_text" | "refusal" | "reasoning_text" => ("content", index("content_index")),
            "reasoning_summary_part" | "reasoning_summary_text" => ("summary", index("summary_index")),
            "function_call_arguments" | "custom_tool_call_input" => ("", 0),
            "output_text.annotation" => {
                return assert!(self.part("content", index("content_index")).state == State::Open);
            }
            "image_generation_call" => return assert_eq!(self.kind, "image_generation_call"),
            other => panic!("an event of no kind: {other}"),
        };
        let text = |json: &Json, fields: &[&str]| {
            fields.iter().find_map(|field| json.text(field)).expect("an event has its text")
        };
        match (subject.ends_with("_part"), verb) {
            (true, "added") => {
                assert!(
                    self.parts.iter().all(|part| (part.family, part.index) != (family, index)),
                    "a part comes twice"
                );
                self.parts.push(Part { family, index, text: String::new(), state: State::Open });
            }
            (true, _) => {
                let part = self.part(family, index);
                assert!(part.state == State::TextDone, "a part ends before its text");
                let whole = text(&json.get("part").expect("a part event has a part"), &["text", "refusal"]);
                assert_eq!(whole.plain(), plain(&part.text));
                part.state = State::Closed;
            }
            (false, "delta") => {
                let piece = text(json, &["delta"]);
                let part = self.part(family, index);
                assert!(part.state == State::Open && !piece.is_empty());
                part.text.push_str(piece.as_str());
            }
            (false, _) => {
                let whole = text(json, &["text", "refusal", "arguments", "input"]);
                let part = self.part(family, index);
                assert!(
                    part.state == State::Open && whole.plain() == plain(&part.text),
                    "{whole:?} is not {:?}",
                    part.text
                );
                part.state = if family.is_empty() { State::Closed } else { State::TextDone };
            }
        }
    }

    /// A part that began; calls have one part, which needs no beginning.
    fn part(&mut self, family: &'static str, index: u64) -> &mut Part {
        let found = self.parts.iter().position(|part| (part.family, part.index) == (family, index));
        if found.is_none() && family.is_empty() {
            self.parts.push(Part { family, index, text: String::new(), state: State::Open });
        }
        let found = found.or(family.is_empty().then(|| self.parts.len() - 1));
        &mut self.parts[found.expect("a part begins before its text")]
    }

    /// The finished item holds the texts of its events.
    fn finish(&mut self, json: Json) {
        assert_eq!(json.text("id"), Some(self.id.clone()), "an item changes its id");
        assert!(json.text("type").is_some_and(|kind| kind.is(&self.kind)), "an item changes its type");
        for part in &self.parts {
            assert!(part.state == State::Closed, "an item ends before its parts");
            let holder = if part.family.is_empty() {
                Some(json.clone())
            } else {
                let list = json.get(part.family).expect("an item has its parts");
                list.elements().nth(usize::try_from(part.index).expect("a small index"))
            };
            let texts = ["text", "refusal", "arguments", "input"];
            let text = holder.and_then(|holder| texts.iter().find_map(|name| holder.text(name)));
            assert_eq!(
                text.map(|text| text.plain().into_owned()),
                Some(plain(&part.text)),
                "an item says something else"
            );
        }
        self.done = Some(json);
    }
}

/// A lone half of a character may be replaced on the way; both become U+FFFD when unescaped.
fn plain(escaped: &str) -> String {
    Text::from_escaped(Bytes::copy_from_slice(escaped.as_bytes())).plain().into_owned()
}

fn at(json: &Json) -> u64 {
    json.get("output_index").and_then(|index| index.as_u64()).expect("an event of an item has an output index")
}
