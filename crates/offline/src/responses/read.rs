//! A request as the answering side sees it.

use serde_json::{Map, Value};

use crate::account::Person;
use crate::models::Model;

/// A checked request, with what answers are made from picked out.
pub(crate) struct Ask<'a> {
    pub(super) model: &'static Model,
    pub(super) account: &'a str,
    pub(super) body: &'a Map<String, Value>,
    pub(super) items: &'a [Value],
    pub(super) tools: Vec<Tool<'a>>,
    /// The last user message.
    pub(super) prompt: String,
}

/// An offered tool, out of its namespace.
#[derive(Clone, Debug)]
pub(super) struct Tool<'a> {
    pub(super) kind: ToolKind,
    pub(super) namespace: Option<&'a str>,
    pub(super) name: &'a str,
    pub(super) schema: Option<&'a Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ToolKind {
    Function,
    Custom,
    Search,
    Image,
    Other,
}

impl<'a> Ask<'a> {
    pub(crate) fn new(model: &'static Model, person: &'a Person, body: &'a Map<String, Value>) -> Self {
        let items = body.get("input").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let top = body.get("tools").and_then(Value::as_array).into_iter().flatten();
        let inside = items.iter().filter(|item| item["type"] == "additional_tools");
        let inside = inside.filter_map(|item| item["tools"].as_array()).flatten();
        let mut tools = Vec::new();
        top.chain(inside).for_each(|tool| flatten(tool, None, &mut tools));
        // A free plan has no image tool; the backend drops it without a word.
        tools.retain(|tool| tool.kind != ToolKind::Image || person.plan != "free");
        Self { model, account: &person.account_id, body, items, tools, prompt: prompt(items) }
    }

    /// A member of `reasoning`.
    pub(super) fn reasoning(&self, key: &str) -> Option<&'a str> {
        self.body.get("reasoning")?.get(key)?.as_str()
    }

    /// The schema that the text must fit, or an empty one for "any JSON".
    pub(super) fn format(&self) -> Option<&'a Value> {
        static ANY: Value = Value::Bool(true);
        let format = self.body.get("text")?.get("format")?;
        match format["type"].as_str()? {
            "json_schema" => format.get("schema"),
            "json_object" => Some(&ANY),
            _ => None,
        }
    }

    /// Tool outputs at the end of the input, as text.
    pub(super) fn outputs(&self) -> Vec<String> {
        let is_output = |item: &&Value| item["type"].as_str().is_some_and(|kind| kind.ends_with("_output"));
        let mut outputs: Vec<String> =
            self.items.iter().rev().take_while(is_output).map(|item| text(item.get("output"))).collect();
        outputs.reverse();
        outputs
    }

    /// Images in the last user message: bytes of a data URL, or the address of any other.
    pub(super) fn images(&self) -> Vec<Result<usize, &'a str>> {
        let parts = last_user(self.items).and_then(|item| item["content"].as_array()).into_iter().flatten();
        let urls = parts.filter(|part| part["type"] == "input_image").filter_map(|part| part["image_url"].as_str());
        urls.map(|url| match url.split_once(";base64,") {
            Some((_, data)) => Ok(data.trim_end_matches('=').len() * 3 / 4),
            None => Err(url),
        })
        .collect()
    }
}

fn flatten<'a>(tool: &'a Value, namespace: Option<&'a str>, to: &mut Vec<Tool<'a>>) {
    let kind = match tool["type"].as_str().unwrap_or_default() {
        "namespace" => {
            let name = tool["name"].as_str();
            return tool["tools"].as_array().into_iter().flatten().for_each(|tool| flatten(tool, name, to));
        }
        "function" => ToolKind::Function,
        "custom" => ToolKind::Custom,
        "image_generation" => ToolKind::Image,
        search if search.starts_with("web_search") => ToolKind::Search,
        _ => ToolKind::Other,
    };
    let name = tool["name"].as_str().or(tool["type"].as_str()).unwrap_or_default();
    to.push(Tool { kind, namespace, name, schema: tool.get("parameters") });
}

fn last_user(items: &[Value]) -> Option<&Value> {
    items.iter().rev().find(|item| item["role"] == "user")
}

fn prompt(items: &[Value]) -> String {
    last_user(items).map_or_else(String::new, |item| text(item.get("content")))
}

/// The text of the last user message of a request that may be anything.
pub(crate) fn last_prompt(body: &Value) -> String {
    match &body["input"] {
        Value::Array(items) => prompt(items),
        Value::String(text) => text.clone(),
        _ => String::new(),
    }
}

/// The text of a content that is a string or a list of parts.
fn text(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            let texts = parts.iter().filter_map(|part| match part["type"].as_str() {
                Some("input_image") => Some("[image]"),
                Some("input_file") => part["filename"].as_str().or(Some("[file]")),
                _ => part["text"].as_str(),
            });
            // An image is no text of a prompt; it is reported by its size.
            texts.filter(|text| *text != "[image]").collect::<Vec<_>>().join("\n")
        }
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}
