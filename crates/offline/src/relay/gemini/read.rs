//! Reads a Gemini request into the responder's input. Names may have two spellings; [`normal`] converts both to camel case.

use serde_json::{Map, Value};

use super::super::list;
use super::super::reply::Limits;
use crate::responder::{self, ModelInput, Tool, ToolChoice, ToolKind};
use crate::responses::read::decoded;

/// Members whose value is the caller's own data: [`normal`] leaves the names inside unchanged.
const OWN: [&str; 6] = ["args", "response", "parametersJsonSchema", "responseJsonSchema", "example", "default"];

/// The request with every name in camel case, except inside the caller's own data such as `functionResponse.response`.
pub(in crate::relay) fn normal(value: &Value) -> Value {
    match value {
        Value::Array(values) => values.iter().map(normal).collect(),
        Value::Object(members) => members.iter().map(|(name, value)| member(&camel(name), value)).collect(),
        other => other.clone(),
    }
}

fn member(name: &str, value: &Value) -> (String, Value) {
    let value = match name {
        "properties" => match value.as_object() {
            Some(members) => members.iter().map(|(name, schema)| (name.clone(), normal(schema))).collect(),
            None => value.clone(),
        },
        name if OWN.contains(&name) && !(name == "response" && is_schema(value)) => value.clone(),
        _ => normal(value),
    };
    (name.to_owned(), value)
}

/// The `response` of a declaration is a schema; the `response` of a function response is data.
fn is_schema(value: &Value) -> bool {
    value["type"].is_string() && (value["properties"].is_object() || value["items"].is_object())
}

fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut name, word| {
        let mut letters = word.chars();
        name.extend(letters.next().into_iter().flat_map(char::to_uppercase));
        name + letters.as_str()
    })
}

/// The input of the responder; the body is a normalised one, with its schemas in plain JSON Schema.
pub(super) fn topic(body: &Value) -> ModelInput<'_> {
    let declared = list(body, "tools").iter().flat_map(|tool| list(tool, "functionDeclarations")).map(declaration);
    let hosted = list(body, "tools").iter().filter_map(|tool| Some(tool.get("googleSearch")?).map(|_| SEARCH));
    ModelInput {
        prompt: responder::plain(&prompt(body)),
        outputs: outputs(body),
        images: images(body),
        tools: declared.chain(hosted).collect(),
        choice: choice(&body["toolConfig"]["functionCallingConfig"]),
        format: format(&body["generationConfig"]),
        parallel: true,
        body,
    }
}

const SEARCH: Tool<'static> = Tool { kind: ToolKind::Search, namespace: None, name: "googleSearch", schema: None };

fn declaration(function: &Value) -> Tool<'_> {
    let schema = function.get("parametersJsonSchema").or_else(|| function.get("parameters"));
    Tool { kind: ToolKind::Function, namespace: None, name: function["name"].as_str().unwrap_or_default(), schema }
}

/// The limits of the answer's length.
pub(super) fn limits(body: &Value) -> Limits<'_> {
    let config = &body["generationConfig"];
    let stops = list(config, "stopSequences").iter().filter_map(Value::as_str).collect();
    Limits { max: config["maxOutputTokens"].as_u64(), stops }
}

/// Whether the model reasons about this request.
pub(super) fn thinks(body: &Value) -> bool {
    let config = &body["generationConfig"]["thinkingConfig"];
    let level = config["thinkingLevel"].as_str().unwrap_or_default();
    config["thinkingBudget"] != 0 && !level.eq_ignore_ascii_case("minimal")
}

/// The text of the last user content.
pub(in crate::relay) fn prompt(body: &Value) -> String {
    last_user(body).map_or_else(String::new, text)
}

/// A content without a role is the user's.
fn is_user(content: &Value) -> bool {
    content["role"] != "model"
}

fn last_user(body: &Value) -> Option<&Value> {
    let users = || list(body, "contents").iter().rev().filter(|content| is_user(content));
    let has_prompt = |content: &&Value| !text(content).is_empty() && !responder::is_reminder(&text(content));
    users().find(has_prompt).or_else(|| users().next())
}

fn text(content: &Value) -> String {
    list(content, "parts").iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n")
}

/// Function responses of the last content; empty if the content also has a user's text.
fn outputs(body: &Value) -> Vec<String> {
    let Some(last) = list(body, "contents").last().filter(|content| is_user(content)) else { return Vec::new() };
    if !responder::plain(&text(last)).trim().is_empty() {
        return Vec::new();
    }
    let responses = list(last, "parts").iter().filter_map(|part| part["functionResponse"].get("response"));
    responses.map(result).collect()
}

/// The output of a function: its known string member, else the whole response.
fn result(response: &Value) -> String {
    let known = ["result", "output", "content", "error"].iter().find_map(|key| response[*key].as_str());
    known.map_or_else(|| response.to_string(), str::to_owned)
}

fn images(body: &Value) -> Vec<Result<usize, &str>> {
    let parts = last_user(body).map_or(&[][..], |content| list(content, "parts"));
    let inline = |part: &Value| part["inlineData"]["data"].as_str().map(|data| Ok(decoded(data)));
    parts.iter().filter_map(|part| inline(part).or_else(|| part["fileData"]["fileUri"].as_str().map(Err))).collect()
}

fn choice(config: &Value) -> ToolChoice<'_> {
    let names: Vec<&str> = list(config, "allowedFunctionNames").iter().filter_map(Value::as_str).collect();
    match config["mode"].as_str() {
        Some("NONE") => ToolChoice::None,
        Some("ANY") if names.is_empty() => ToolChoice::Required,
        Some("ANY") => ToolChoice::Only { names, must: true },
        _ => ToolChoice::Auto,
    }
}

fn format(config: &Value) -> Option<&Value> {
    static ANY: Value = Value::Bool(true);
    if config["responseMimeType"] != "application/json" {
        return None;
    }
    Some(config.get("responseJsonSchema").or_else(|| config.get("responseSchema")).unwrap_or(&ANY))
}

/// Google's schema as plain JSON Schema: lower-case types.
pub(super) fn plain(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => {
            let lowered = members.iter().map(|(name, value)| match (name.as_str(), value) {
                ("type", Value::String(kind)) => (name.clone(), Value::String(kind.to_lowercase())),
                ("enum", value) => (name.clone(), value.clone()),
                (_, value) => (name.clone(), plain(value)),
            });
            Value::Object(lowered.collect::<Map<_, _>>())
        }
        Value::Array(values) => values.iter().map(plain).collect(),
        other => other.clone(),
    }
}
