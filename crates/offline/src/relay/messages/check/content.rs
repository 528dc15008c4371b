//! Checks the conversation: roles, blocks, signatures, and that every tool use has its result.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::Value;

use super::super::super::list;
use super::super::seal;
use super::{Caller, fault, known, required, string};
use crate::errors::Reject;

/// Blocks of the provider's own tools; clients send them back unchanged.
const OWN: [&str; 12] = [
    "server_tool_use",
    "web_search_tool_result",
    "web_fetch_tool_result",
    "code_execution_tool_result",
    "bash_code_execution_tool_result",
    "text_editor_code_execution_tool_result",
    "tool_search_tool_result",
    "tool_reference",
    "mcp_tool_use",
    "mcp_tool_result",
    "container_upload",
    "compaction",
];
const IMAGES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

pub(super) fn check(body: &Value, asker: Caller<'_>) -> Result<(), Reject> {
    let messages = body["messages"].as_array().ok_or_else(|| fault("messages: Input should be a valid list"))?;
    if messages.is_empty() {
        return Err(fault("messages: at least one message is required"));
    }
    system(body)?;
    for (at, message) in messages.iter().enumerate() {
        one(message, (at, at + 1 == messages.len()), asker)?;
    }
    if messages[0]["role"] != "user" {
        return Err(fault("messages: first message must use the \"user\" role"));
    }
    pairs(messages)?;
    thought(body, messages)
}

fn system(body: &Value) -> Result<(), Reject> {
    match body.get("system") {
        None | Some(Value::Null | Value::String(_)) => Ok(()),
        Some(Value::Array(blocks)) => blocks.iter().enumerate().try_for_each(|(at, block)| {
            let path = format!("system.{at}");
            if block["type"] != "text" {
                return Err(fault(format!("{path}.type: Input should be 'text'")));
            }
            text(block, &path, "system")
        }),
        Some(_) => Err(fault("system: Input should be a valid list")),
    }
}

fn one(message: &Value, (at, last): (usize, bool), asker: Caller<'_>) -> Result<(), Reject> {
    let path = format!("messages.{at}");
    known(message, &path, &["role", "content"])?;
    let role = string(message, "role", &path)?;
    match role {
        "user" | "assistant" => {}
        "system" if asker.betas.contains("mid-conversation") => {}
        "system" => {
            return Err(fault(
                "messages: Unexpected role \"system\". The Messages API accepts a top-level `system` parameter, not \"system\" as an input message role.",
            ));
        }
        other => {
            return Err(fault(format!(
                "messages: Unexpected role \"{other}\". Allowed roles are \"user\" or \"assistant\""
            )));
        }
    }
    let empty = || {
        fault(format!(
            "{path}: all messages must have non-empty content except for the optional final assistant message"
        ))
    };
    match &message["content"] {
        Value::String(text) if text.is_empty() && !(last && role == "assistant") => Err(empty()),
        Value::String(text) if last && role == "assistant" && text.ends_with(char::is_whitespace) => {
            Err(fault("messages: final assistant content cannot end with trailing whitespace"))
        }
        Value::String(_) => Ok(()),
        Value::Array(blocks) if blocks.is_empty() && !(last && role == "assistant") => Err(empty()),
        Value::Array(blocks) => blocks
            .iter()
            .enumerate()
            .try_for_each(|(at, one)| block(one, &format!("{path}.content.{at}"), (role, asker.owner))),
        Value::Null => Err(required(&format!("{path}.content"))),
        _ => Err(fault(format!("{path}.content: Input should be a valid list"))),
    }
}

fn block(block: &Value, path: &str, (role, owner): (&str, &str)) -> Result<(), Reject> {
    let kind = string(block, "type", path)?;
    let inner = format!("{path}.{kind}");
    match (role, kind) {
        (_, "text") => text(block, &inner, "messages"),
        ("user", "image") => image(block, &inner),
        ("user", "document") => {
            known(block, &inner, &["type", "source", "title", "context", "citations", "cache_control"])?;
            block.get("source").map(|_| ()).ok_or_else(|| required(&format!("{inner}.source")))
        }
        ("user", "tool_result") => result(block, &inner),
        ("assistant", "tool_use") => {
            known(block, &inner, &["type", "id", "name", "input", "cache_control", "caller"])?;
            identifier(string(block, "id", &inner)?, &format!("{inner}.id"))?;
            string(block, "name", &inner)?;
            match block.get("input") {
                Some(Value::Object(_)) => Ok(()),
                Some(_) => Err(fault(format!("{inner}.input: Input should be a valid dictionary"))),
                None => Err(required(&format!("{inner}.input"))),
            }
        }
        ("assistant", "thinking") => {
            known(block, &inner, &["type", "thinking", "signature"])?;
            string(block, "thinking", &inner)?;
            let signature = string(block, "signature", &inner)?;
            signed(signature, owner).ok_or_else(|| fault(format!("{path}: Invalid `signature` in `thinking` block")))
        }
        ("assistant", "redacted_thinking") => {
            let data = string(block, "data", &inner)?;
            signed(data, owner).ok_or_else(|| fault(format!("{path}: Invalid `data` in `redacted_thinking` block")))
        }
        (_, kind) if OWN.contains(&kind) || kind == "search_result" => Ok(()),
        (role, "tool_use" | "thinking" | "redacted_thinking" | "tool_result" | "image" | "document") => {
            Err(fault(format!("{path}: `{kind}` blocks can not be in `{role}` messages")))
        }
        (_, other) => Err(fault(format!(
            "{path}: Input tag '{other}' found using 'type' does not match any of the expected tags: 'document', 'image', 'redacted_thinking', 'search_result', 'text', 'thinking', 'tool_result', 'tool_use'"
        ))),
    }
}

fn signed(seal: &str, owner: &str) -> Option<()> {
    seal::is_valid(seal, owner).then_some(())
}

fn text(block: &Value, path: &str, place: &str) -> Result<(), Reject> {
    known(block, path, &["type", "text", "cache_control", "citations"])?;
    let text = string(block, "text", path)?;
    if text.is_empty() {
        return Err(fault(format!("{place}: text content blocks must be non-empty")));
    }
    if text.trim().is_empty() {
        return Err(fault(format!("{place}: text content blocks must contain non-whitespace text")));
    }
    Ok(())
}

fn image(block: &Value, path: &str) -> Result<(), Reject> {
    known(block, path, &["type", "source", "cache_control"])?;
    let source = block.get("source").ok_or_else(|| required(&format!("{path}.source")))?;
    let path = format!("{path}.source");
    match string(source, "type", &path)? {
        "base64" => {
            known(source, &format!("{path}.base64"), &["type", "media_type", "data"])?;
            if !IMAGES.contains(&string(source, "media_type", &path)?) {
                let message = "Input should be 'image/jpeg', 'image/png', 'image/gif' or 'image/webp'";
                return Err(fault(format!("{path}.base64.media_type: {message}")));
            }
            let data = BASE64_STANDARD.decode(string(source, "data", &path)?);
            data.map(|_| ()).map_err(|_| fault(format!("{path}.base64: invalid base64 data")))
        }
        "url" => {
            let url = string(source, "url", &path)?;
            let web = url.starts_with("https://") || url.starts_with("http://");
            if web { Ok(()) } else { Err(fault(format!("{path}.url.url: Only HTTPS URLs are supported."))) }
        }
        "file" => string(source, "file_id", &path).map(|_| ()),
        other => Err(fault(format!(
            "{path}: Input tag '{other}' found using 'type' does not match any of the expected tags: 'base64', 'file', 'url'"
        ))),
    }
}

fn result(block: &Value, path: &str) -> Result<(), Reject> {
    known(block, path, &["type", "tool_use_id", "content", "is_error", "cache_control"])?;
    identifier(string(block, "tool_use_id", path)?, &format!("{path}.tool_use_id"))?;
    match &block["content"] {
        Value::Null | Value::String(_) => Ok(()),
        Value::Array(parts) => parts.iter().enumerate().try_for_each(|(at, part)| {
            let path = format!("{path}.content.{at}");
            match string(part, "type", &path)? {
                "text" => text(part, &format!("{path}.text"), "messages"),
                "image" => image(part, &format!("{path}.image")),
                "document" | "search_result" | "tool_reference" => Ok(()),
                other => Err(fault(format!("{path}: Input tag '{other}' found using 'type' does not match any of the expected tags: 'document', 'image', 'search_result', 'text', 'tool_reference'"))),
            }
        }),
        _ => Err(fault(format!("{path}.content: Input should be a valid list"))),
    }
}

/// Checks that an id has only letters, digits, `_` and `-`.
fn identifier(id: &str, path: &str) -> Result<(), Reject> {
    let fits = |letter: u8| letter.is_ascii_alphanumeric() || letter == b'_' || letter == b'-';
    if !id.is_empty() && id.bytes().all(fits) {
        return Ok(());
    }
    Err(fault(format!("{path}: String should match pattern '^[a-zA-Z0-9_-]+$'")))
}

/// Ids of a message's blocks of one kind.
fn block_ids<'a>(message: &'a Value, kind: &str, key: &str) -> Vec<&'a str> {
    let blocks = list(message, "content").iter().filter(|block| block["type"] == kind);
    blocks.filter_map(|block| block[key].as_str()).collect()
}

/// Checks that each tool use has its result in the next turn, and each result its tool use in the previous turn.
fn pairs(messages: &[Value]) -> Result<(), Reject> {
    let turns = turns(messages);
    for (at, (first, turn)) in turns.iter().enumerate() {
        let after: Vec<&str> =
            turns.get(at + 1).map_or_else(Vec::new, |(_, next)| gather(next, "tool_result", "tool_use_id"));
        let open: Vec<&str> = gather(turn, "tool_use", "id").into_iter().filter(|id| !after.contains(id)).collect();
        if !open.is_empty() {
            return Err(fault(format!(
                "messages.{first}: `tool_use` ids were found without `tool_result` blocks immediately after: {}. Each `tool_use` block must have a corresponding `tool_result` block in the next message.",
                open.join(", ")
            )));
        }
        let before: Vec<&str> = match at.checked_sub(1) {
            Some(before) => gather(&turns[before].1, "tool_use", "id"),
            None => Vec::new(),
        };
        let stray = gather(turn, "tool_result", "tool_use_id").into_iter().find(|id| !before.contains(id));
        if let Some(id) = stray {
            return Err(fault(format!(
                "messages.{first}.content.0: unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
            )));
        }
    }
    Ok(())
}

/// Consecutive messages of one role, merged into one turn.
fn turns(messages: &[Value]) -> Vec<(usize, Vec<&Value>)> {
    let mut turns: Vec<(usize, Vec<&Value>)> = Vec::new();
    for (at, message) in messages.iter().enumerate().filter(|(_, message)| message["role"] != "system") {
        match turns.last_mut().filter(|(_, turn)| turn[0]["role"] == message["role"]) {
            Some((_, turn)) => turn.push(message),
            None => turns.push((at, vec![message])),
        }
    }
    turns
}

fn gather<'a>(turn: &[&'a Value], kind: &str, key: &str) -> Vec<&'a str> {
    turn.iter().flat_map(|message| block_ids(message, kind, key)).collect()
}

/// Checks that with a thinking budget the assistant turn before the last tool results starts with a thinking block.
fn thought(body: &Value, messages: &[Value]) -> Result<(), Reject> {
    let turns = turns(messages);
    let [.., (first, called), (_, answered)] = &turns[..] else { return Ok(()) };
    let open = body["thinking"]["type"] == "enabled" && !gather(answered, "tool_result", "tool_use_id").is_empty();
    let begins = called[0]["content"][0]["type"].as_str().unwrap_or("text");
    if !open || matches!(begins, "thinking" | "redacted_thinking") {
        return Ok(());
    }
    Err(fault(format!(
        "messages.{first}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{begins}`. When `thinking` is enabled, a final `assistant` message must start with a thinking block (preceding the lastmost set of `tool_use` and `tool_result` blocks). We recommend you include thinking blocks from previous turns. To avoid this requirement, disable `thinking`. Please consult our documentation at https://docs.claude.com/en/docs/build-with-claude/extended-thinking"
    )))
}
