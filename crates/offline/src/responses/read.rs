//! Reads a Responses request into the responder's input.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::responder::{self, ModelInput, Tool, ToolChoice, ToolKind};

/// A checked request, with the fields that answers depend on.
pub(crate) struct CheckedRequest<'a> {
    pub(super) slug: &'a str,
    /// The effort if the request sets none.
    pub(super) default_effort: &'a str,
    /// The account that owns the encrypted reasoning.
    pub(super) account: &'a str,
    pub(super) body: &'a Map<String, Value>,
    pub(super) items: &'a [Value],
    pub(super) topic: ModelInput<'a>,
}

/// The properties of the model and the account that a request depends on.
#[derive(Clone, Copy)]
pub(crate) struct Requester<'a> {
    pub(crate) slug: &'a str,
    pub(crate) default_effort: &'a str,
    pub(crate) account: &'a str,
    /// Whether the account's plan has the image tool; other plans ignore the tool silently.
    pub(crate) draws: bool,
}

impl<'a> CheckedRequest<'a> {
    /// The checked request; `whole` is the request body, an object.
    pub(crate) fn new(who: Requester<'a>, whole: &'a Value) -> Self {
        let body = members(whole);
        let items = body.get("input").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let topic = ModelInput {
            prompt: responder::plain(&last_prompt(whole)),
            outputs: outputs(items),
            images: images(items),
            tools: tools(body, items, who.draws),
            choice: choice(body.get("tool_choice")),
            format: format(body),
            parallel: body.get("parallel_tool_calls") != Some(&Value::Bool(false)),
            body: whole,
        };
        Self { slug: who.slug, default_effort: who.default_effort, account: who.account, body, items, topic }
    }

    /// A member of `reasoning`.
    pub(super) fn reasoning(&self, key: &str) -> Option<&'a str> {
        self.body.get("reasoning")?.get(key)?.as_str()
    }
}

/// The members of a body, which is an object.
pub(crate) fn members(body: &Value) -> &Map<String, Value> {
    static NOTHING: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
    body.as_object().unwrap_or(&NOTHING)
}

/// The offered tools, with their namespaces flattened.
fn tools<'a>(body: &'a Map<String, Value>, items: &'a [Value], draws: bool) -> Vec<Tool<'a>> {
    let top = body.get("tools").and_then(Value::as_array).into_iter().flatten();
    let inside = items.iter().filter(|item| item["type"] == "additional_tools");
    let inside = inside.filter_map(|item| item["tools"].as_array()).flatten();
    let mut tools = Vec::new();
    top.chain(inside).for_each(|tool| flatten(tool, None, &mut tools));
    tools.retain(|tool| tool.kind != ToolKind::Image || draws);
    tools
}

fn flatten<'a>(tool: &'a Value, namespace: Option<&'a str>, to: &mut Vec<Tool<'a>>) {
    let kind = match tool["type"].as_str().unwrap_or_default() {
        "namespace" => {
            let name = tool["name"].as_str();
            return tool["tools"].as_array().into_iter().flatten().for_each(|tool| flatten(tool, name, to));
        }
        "function" => ToolKind::Function,
        "custom" => ToolKind::Custom,
        hosted => kind(hosted),
    };
    let name = tool["name"].as_str().or(tool["type"].as_str()).unwrap_or_default();
    to.push(Tool { kind, namespace, name, schema: tool.get("parameters") });
}

/// The kind of a hosted tool of the API.
fn kind(hosted: &str) -> ToolKind {
    match hosted {
        "image_generation" => ToolKind::Image,
        search if search.starts_with("web_search") => ToolKind::Search,
        _ => ToolKind::Other,
    }
}

/// The request's `tool_choice`.
fn choice(choice: Option<&Value>) -> ToolChoice<'_> {
    match choice {
        Some(Value::String(mode)) if mode == "none" => ToolChoice::None,
        Some(Value::String(mode)) if mode == "required" => ToolChoice::Required,
        Some(choice) => match choice["type"].as_str() {
            Some("allowed_tools") => {
                let tools = choice["tools"].as_array().into_iter().flatten();
                let names = tools.filter_map(|tool| tool["name"].as_str()).collect();
                ToolChoice::Only { names, must: choice["mode"] == "required" }
            }
            Some("function" | "custom") => {
                ToolChoice::Only { names: choice["name"].as_str().into_iter().collect(), must: true }
            }
            Some(hosted) => ToolChoice::Hosted(kind(hosted)),
            None => ToolChoice::Auto,
        },
        None => ToolChoice::Auto,
    }
}

/// The schema that the text must fit, or `true` for "any JSON".
fn format(body: &Map<String, Value>) -> Option<&Value> {
    static ANY: Value = Value::Bool(true);
    let format = body.get("text")?.get("format")?;
    match format["type"].as_str()? {
        "json_schema" => format.get("schema"),
        "json_object" => Some(&ANY),
        _ => None,
    }
}

/// The texts of the tool outputs at the end of the input; messages that clients add after them are skipped.
fn outputs(items: &[Value]) -> Vec<String> {
    let is_output = |item: &&Value| item["type"].as_str().is_some_and(|kind| kind.ends_with("_output"));
    let added = |item: &&Value| match item["role"].as_str() {
        Some("developer" | "system") => true,
        Some("user") => responder::is_reminder(&text(item.get("content"))),
        _ => false,
    };
    let late = items.iter().rev().skip_while(added);
    let mut outputs: Vec<String> = late.take_while(is_output).map(|item| text(item.get("output"))).collect();
    outputs.reverse();
    outputs
}

/// Images in the last user message: the size of a data URL's image in bytes, or another URL.
fn images(items: &[Value]) -> Vec<Result<usize, &str>> {
    let parts = last_user(items).and_then(|item| item["content"].as_array()).into_iter().flatten();
    let urls = parts.filter(|part| part["type"] == "input_image").filter_map(|part| part["image_url"].as_str());
    urls.map(image).collect()
}

/// The size of a data URL's image in bytes, or the URL itself.
pub(crate) fn image(url: &str) -> Result<usize, &str> {
    match url.split_once(";base64,") {
        Some((_, data)) => Ok(decoded(data)),
        None => Err(url),
    }
}

/// The number of bytes after base64 decoding.
pub(crate) fn decoded(data: &str) -> usize {
    data.trim_end_matches('=').len() * 3 / 4
}

/// The last user message with more than a client's reminder.
fn last_user(items: &[Value]) -> Option<&Value> {
    let users = || items.iter().rev().filter(|item| item["role"] == "user");
    users().find(|item| !responder::is_reminder(&text(item.get("content")))).or_else(|| users().next())
}

/// The text of the last user message; the request need not be valid.
pub(crate) fn last_prompt(body: &Value) -> String {
    match &body["input"] {
        Value::Array(items) => last_user(items).map_or_else(String::new, |item| text(item.get("content"))),
        Value::String(text) => text.clone(),
        _ => String::new(),
    }
}

/// The text of a content that is a string or a list of parts.
fn text(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            // An image has no text; the answer reports its size.
            let texts = parts.iter().filter_map(|part| match part["type"].as_str() {
                Some("input_image") => None,
                Some("input_file") => part["filename"].as_str().or(Some("[file]")),
                _ => part["text"].as_str(),
            });
            texts.collect::<Vec<_>>().join("\n")
        }
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}
