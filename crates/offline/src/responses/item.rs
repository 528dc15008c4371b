//! The output items of an answer, and their JSON in the events that open and close them.

use serde_json::{Value, json};

use crate::token;

/// One item, with its id.
#[derive(Clone, Debug)]
pub(super) struct OutputItem {
    pub(super) id: String,
    pub(super) what: ItemContent,
    /// Whether a limit cut the item's text.
    pub(super) cut: bool,
}

#[derive(Clone, Debug)]
pub(super) enum ItemContent {
    Reasoning { summary: Vec<String>, encrypted: Option<String> },
    Message { text: String, annotations: Vec<Value> },
    Function { call: ToolCall, arguments: String },
    Custom { call: ToolCall, input: String },
    Search { query: String },
    Image { prompt: String, result: &'static str },
    Compaction { encrypted: String },
}

/// The fields that function and custom calls share.
#[derive(Clone, Debug)]
pub(super) struct ToolCall {
    /// `call_id`.
    pub(super) call_id: String,
    pub(super) namespace: Option<String>,
    pub(super) name: String,
}

impl ToolCall {
    pub(super) fn new(namespace: Option<String>, name: String) -> Self {
        Self { call_id: format!("call_{}", &token::hex()[..24]), namespace, name }
    }
}

impl ItemContent {
    /// The text that comes in deltas.
    pub(super) fn text_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::Message { text, .. } => Some(text),
            Self::Reasoning { summary, .. } => summary.first_mut(),
            Self::Function { arguments, .. } => Some(arguments),
            Self::Custom { input, .. } => Some(input),
            Self::Search { .. } | Self::Image { .. } | Self::Compaction { .. } => None,
        }
    }
}

impl From<ItemContent> for OutputItem {
    fn from(what: ItemContent) -> Self {
        let prefix = match &what {
            ItemContent::Reasoning { .. } => "rs",
            ItemContent::Message { .. } => "msg",
            ItemContent::Function { .. } => "fc",
            ItemContent::Custom { .. } => "ctc",
            ItemContent::Search { .. } => "ws",
            ItemContent::Image { .. } => "ig",
            ItemContent::Compaction { .. } => "cmp",
        };
        Self { id: format!("{prefix}_{}", token::hex()), what, cut: false }
    }
}

impl OutputItem {
    /// The item of `response.output_item.added`.
    pub(super) fn opened(&self) -> Value {
        let id = &self.id;
        match &self.what {
            ItemContent::Reasoning { encrypted, .. } => {
                with(json!({ "id": id, "type": "reasoning", "summary": [] }), "encrypted_content", encrypted.as_ref())
            }
            ItemContent::Message { .. } => {
                json!({ "id": id, "type": "message", "status": "in_progress", "role": "assistant",
                "content": [], "phase": "final_answer" })
            }
            ItemContent::Function { call, .. } => called(
                call,
                json!({ "id": id, "type": "function_call",
                "status": "in_progress", "arguments": "", "call_id": call.call_id, "name": call.name }),
            ),
            ItemContent::Custom { call, .. } => called(
                call,
                json!({ "id": id, "type": "custom_tool_call",
                "status": "in_progress", "input": "", "call_id": call.call_id, "name": call.name }),
            ),
            ItemContent::Search { .. } => json!({ "id": id, "type": "web_search_call", "status": "in_progress" }),
            ItemContent::Image { .. } => json!({ "id": id, "type": "image_generation_call", "status": "in_progress" }),
            ItemContent::Compaction { .. } => json!({ "id": id, "type": "compaction", "encrypted_content": "" }),
        }
    }

    /// The item of `response.output_item.done`.
    pub(super) fn closed(&self) -> Value {
        let id = &self.id;
        match &self.what {
            ItemContent::Reasoning { summary, encrypted } => {
                let summary: Vec<Value> =
                    summary.iter().map(|text| json!({ "type": "summary_text", "text": text })).collect();
                with(
                    json!({ "id": id, "type": "reasoning", "summary": summary }),
                    "encrypted_content",
                    encrypted.as_ref(),
                )
            }
            ItemContent::Message { text, annotations } => json!({ "id": id, "type": "message",
                "status": if self.cut { "incomplete" } else { "completed" }, "role": "assistant", "phase": "final_answer",
                "content": [{ "type": "output_text", "annotations": annotations, "logprobs": [], "text": text }] }),
            ItemContent::Function { call, arguments } => called(
                call,
                json!({ "id": id, "type": "function_call",
                "status": "completed", "arguments": arguments, "call_id": call.call_id, "name": call.name }),
            ),
            ItemContent::Custom { call, input } => called(
                call,
                json!({ "id": id, "type": "custom_tool_call",
                "status": "completed", "input": input, "call_id": call.call_id, "name": call.name }),
            ),
            ItemContent::Search { query } => json!({ "id": id, "type": "web_search_call", "status": "completed",
                "action": { "type": "search", "query": query } }),
            ItemContent::Image { prompt, result } => json!({ "id": id, "type": "image_generation_call",
                "status": "completed", "result": result, "revised_prompt": prompt, "background": "opaque",
                "output_format": "png", "quality": "low", "size": "1024x1024", "action": "generate" }),
            ItemContent::Compaction { encrypted } => {
                json!({ "id": id, "type": "compaction", "encrypted_content": encrypted })
            }
        }
    }
}

fn called(call: &ToolCall, item: Value) -> Value {
    with(item, "namespace", call.namespace.as_ref())
}

fn with(mut item: Value, key: &str, value: Option<&String>) -> Value {
    if let Some(value) = value {
        item[key] = json!(value);
    }
    item
}
