//! Messages streams.

use proto::text::Json;

use super::Frame;

/// Checks the frames of one reply.
pub(super) fn check(frames: &[Frame], own: bool) {
    let (mut ends, mut reply) = (0, Reply::default());
    for frame in frames {
        let Frame::Data(event, json) = frame else {
            assert!(!own, "[DONE] and half frames are not ours");
            continue;
        };
        let name = json.text("type").map_or_else(|| event.clone(), |name| name.plain().into_owned());
        assert_eq!(ends, 0, "{name} after the end");
        ends += usize::from(name == "message_stop" || name == "error");
        if own {
            assert_eq!(&name, event, "the event is called as its type");
            reply.read(&name, json);
        }
    }
    assert_eq!(ends, 1, "ends of {} frames", frames.len());
}

/// A reply of our own.
#[derive(Default)]
struct Reply {
    started: bool,
    /// How many blocks began.
    blocks: u64,
    /// The type of the open block.
    open: Option<String>,
    reasoned: bool,
}

impl Reply {
    fn read(&mut self, name: &str, json: &Json) {
        assert!(self.started != (name == "message_start") || name == "error", "{name} before or after the start");
        match name {
            "message_start" => {
                self.started = true;
                let message = json.get("message").expect("a start has a message");
                for field in ["id", "type", "role", "model", "content", "usage"] {
                    assert!(message.get(field).is_some(), "a message without {field}");
                }
            }
            "ping" => {}
            "content_block_start" => self.begin(json),
            "content_block_delta" => self.delta(json),
            "content_block_stop" => {
                self.number(json);
                assert!(self.open.take().is_some(), "a block ends twice");
            }
            "message_delta" => {
                assert!(self.open.is_none() && !self.reasoned, "a late message_delta");
                self.reasoned = json.get("delta").is_some_and(|delta| delta.text("stop_reason").is_some());
                assert!(self.reasoned && json.get("usage").is_some(), "no reason or no usage");
            }
            "message_stop" => assert!(self.open.is_none() && self.reasoned, "an early message_stop"),
            "error" => {
                assert!(self.open.is_none(), "an open block before the error");
                let error = json.get("error").expect("an error event has an error");
                assert!(error.text("type").is_some() && error.text("message").is_some());
            }
            other => panic!("{other}"),
        }
    }

    fn begin(&mut self, json: &Json) {
        assert!(self.open.is_none() && !self.reasoned, "a block in a block");
        assert_eq!(json.get("index").and_then(|index| index.as_u64()), Some(self.blocks), "blocks count up");
        self.blocks += 1;
        let block = json.get("content_block").expect("a block");
        let kind = block.text("type").expect("a block has a type").plain().into_owned();
        let fields: &[&str] = match kind.as_str() {
            "text" => &["text"],
            "thinking" => &["thinking", "signature"],
            "redacted_thinking" => &["data"],
            "tool_use" | "server_tool_use" => &["id", "name", "input"],
            "web_search_tool_result" => &["tool_use_id", "content"],
            other => panic!("{other}"),
        };
        assert!(fields.iter().all(|field| block.get(field).is_some()), "{kind} lacks a field");
        self.open = Some(kind);
    }

    fn delta(&self, json: &Json) {
        self.number(json);
        let delta = json.get("delta").expect("a delta");
        let kind = delta.text("type").expect("a delta has a type").plain().into_owned();
        let fits = match self.open.as_deref() {
            Some("text") => ["text_delta", "citations_delta"].contains(&kind.as_str()),
            Some("thinking") => ["thinking_delta", "signature_delta"].contains(&kind.as_str()),
            Some("tool_use" | "server_tool_use") => kind == "input_json_delta",
            _ => false,
        };
        assert!(fits, "{kind} in {:?}", self.open);
    }

    fn number(&self, json: &Json) {
        let index = json.get("index").and_then(|index| index.as_u64());
        assert_eq!(index.map(|index| index + 1), Some(self.blocks), "another block's number");
    }
}
