//! Checks the conversation: roles, parts, and the order of calls and responses.

use serde_json::Value;

use super::super::super::list;
use super::{fault, known, wrong};
use crate::errors::Reject;

const PARTS: [&str; 14] = [
    "text", "thought", "thoughtSignature", "inlineData", "fileData", "functionCall", "functionResponse",
    "executableCode", "codeExecutionResult", "videoMetadata", "partMetadata", "mediaResolution", "toolCall",
    "toolResponse",
];
/// Members of a part that are not its data.
const BESIDE: [&str; 5] = ["thought", "thoughtSignature", "videoMetadata", "partMetadata", "mediaResolution"];
/// The signatures that Google documents for calls that its model did not make.
const EXCUSES: [&str; 2] = ["skip_thought_signature_validator", "context_engineering_is_the_way_to_go"];

pub(super) fn check(body: &Value) -> Result<(), Reject> {
    let contents = match body.get("contents") {
        Some(Value::Array(contents)) if !contents.is_empty() => contents,
        Some(Value::Array(_)) | None => {
            return Err(fault("* GenerateContentRequest.contents: contents is not specified\n"));
        }
        Some(other) => {
            return Err(wrong("contents", "type.googleapis.com/google.ai.generativelanguage.v1beta.Content", other));
        }
    };
    if let Some(system) = body.get("systemInstruction").filter(|system| !system.is_null()) {
        one(system, "system_instruction")?;
    }
    for (at, content) in contents.iter().enumerate() {
        one(content, &format!("contents[{at}]"))?;
        if content["role"].as_str().is_some_and(|role| !matches!(role, "user" | "model" | "function")) {
            return Err(fault("Please use a valid role: user, model."));
        }
    }
    turns(contents)
}

fn one(content: &Value, path: &str) -> Result<(), Reject> {
    known(content, path, &["role", "parts"])?;
    let parts = list(content, "parts");
    if parts.is_empty() {
        return Err(fault(format!("* GenerateContentRequest.{path}.parts: contents.parts must not be empty.\n")));
    }
    parts.iter().enumerate().try_for_each(|(at, one)| part(one, &format!("{path}.parts[{at}]")))
}

fn part(part: &Value, path: &str) -> Result<(), Reject> {
    known(part, path, &PARTS)?;
    let fields: Vec<&String> = part
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name)
        .filter(|name| !BESIDE.contains(&name.as_str()))
        .collect();
    match fields[..] {
        [_] => {}
        [] if part.get("thoughtSignature").is_some() => {}
        [] => {
            let message = "required oneof field 'data' must have one initialized field";
            return Err(fault(format!("* GenerateContentRequest.{path}.data: {message}\n")));
        }
        _ => {
            let message = format!(
                "Invalid value at '{path}' (oneof), oneof field 'data' is already set. Cannot set '{}'",
                fields[1]
            );
            return Err(fault(message));
        }
    }
    if let Some(text) = part.get("text").filter(|text| !text.is_string()) {
        return Err(wrong(&format!("{path}.text"), "TYPE_STRING", text));
    }
    data(part, path)?;
    function(part, path)
}

fn data(part: &Value, path: &str) -> Result<(), Reject> {
    let Some(data) = part.get("inlineData") else { return Ok(()) };
    let path = format!("{path}.inline_data");
    known(data, &path, &["mimeType", "data", "displayName"])?;
    match data["mimeType"].as_str() {
        Some(mime) if mime.contains('/') => {}
        _ => return Err(fault(format!("Unable to process input image: {path}.mime_type is not supported"))),
    }
    bytes(&data["data"], &format!("{path}.data"))
}

/// Checks a bytes field: base64 in either alphabet.
fn bytes(value: &Value, path: &str) -> Result<(), Reject> {
    let fits = |letter: u8| letter.is_ascii_alphanumeric() || b"+/-_=".contains(&letter);
    match value.as_str() {
        Some(text) if text.bytes().all(fits) && text.trim_end_matches('=').len() % 4 != 1 => Ok(()),
        _ => {
            let mut reject = wrong(path, "TYPE_BYTES", &Value::Null);
            reject.body["error"]["message"] =
                Value::String(format!("Invalid value at '{path}' (TYPE_BYTES), Base64 decoding failed for {value}"));
            Err(reject)
        }
    }
}

fn function(part: &Value, path: &str) -> Result<(), Reject> {
    if let Some(signature) = part.get("thoughtSignature").filter(|one| !EXCUSES.iter().any(|excuse| *one == excuse)) {
        bytes(signature, &format!("{path}.thought_signature"))?;
    }
    let forms: [(&str, &str, &str, &[&str]); 2] = [
        ("functionCall", "function_call", "args", &["id", "name", "args", "partialArgs", "willContinue"]),
        (
            "functionResponse",
            "function_response",
            "response",
            &["id", "name", "response", "parts", "willContinue", "scheduling"],
        ),
    ];
    for (key, name, payload, members) in forms {
        let Some(value) = part.get(key) else { continue };
        let path = format!("{path}.{name}");
        known(value, &path, members)?;
        if value["name"].as_str().is_none_or(str::is_empty) {
            return Err(fault(format!("* GenerateContentRequest.{path}.name: Name cannot be empty.\n")));
        }
        let payload_path = format!("{path}.{payload}");
        if let Some(other) = value.get(payload).filter(|value| !value.is_object()) {
            return Err(wrong(&payload_path, "type.googleapis.com/google.protobuf.Struct", other));
        }
    }
    Ok(())
}

/// The number of a content's parts that have this member.
fn count(content: &Value, key: &str) -> usize {
    list(content, "parts").iter().filter(|part| part.get(key).is_some()).count()
}

/// Checks that a content with calls follows the user or function responses, and that every call has a response.
fn turns(contents: &[Value]) -> Result<(), Reject> {
    for (at, content) in contents.iter().enumerate() {
        let calls = count(content, "functionCall");
        let after_model = at > 0 && contents[at - 1]["role"] == "model";
        if calls > 0 && (at == 0 || after_model) {
            return Err(fault(
                "Please ensure that function call turn comes immediately after a user turn or after a function response turn.",
            ));
        }
        let answers = contents.get(at + 1).map_or(0, |next| count(next, "functionResponse"));
        if calls > 0 && calls != answers {
            return Err(fault(
                "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.",
            ));
        }
        let called = at.checked_sub(1).map_or(0, |before| count(&contents[before], "functionCall"));
        if count(content, "functionResponse") > 0 && called == 0 {
            return Err(fault(
                "Please ensure that function response turn comes immediately after a function call turn.",
            ));
        }
    }
    Ok(())
}

/// Checks that the first call of each step since the last user message has its signature.
pub(super) fn signed(body: &Value) -> Result<(), Reject> {
    let contents = list(body, "contents");
    let spoke = |content: &Value| content["role"] != "model" && count(content, "functionResponse") == 0;
    let from = contents.iter().rposition(spoke).unwrap_or(0);
    for (at, content) in contents.iter().enumerate().skip(from) {
        let first = list(content, "parts").iter().enumerate().find(|(_, part)| part.get("functionCall").is_some());
        let Some((place, part)) = first.filter(|(_, part)| part.get("thoughtSignature").is_none()) else { continue };
        let name = part["functionCall"]["name"].as_str().unwrap_or_default();
        return Err(fault(format!(
            "Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly, and missing thought_signature may lead to degraded model performance. Additional data, function call `default_api:{name}` , position {}. Please refer to https://ai.google.dev/gemini-api/docs/thought-signatures for more details.",
            at + place + 1
        )));
    }
    Ok(())
}
