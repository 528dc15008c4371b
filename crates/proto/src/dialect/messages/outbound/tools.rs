//! Tools and tool choice.

use super::super::encode;
use crate::canon::{Request, Tool, ToolChoice, ToolKind};
use crate::dialect::Dialect;
use crate::json::emit::{self, ObjectWriter};
use crate::json::schema;
use crate::notes::{Notes, sanitized};
use crate::text::{Json, Text};

/// The input schema of a tool that takes free text in its own protocol.
const FREE: &str = r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}"#;
/// The input schema of a tool without parameters.
const NONE: &str = r#"{"type":"object","properties":{}}"#;

/// Writes `tools` and `tool_choice`.
pub(super) fn write(writer: &mut ObjectWriter<'_>, request: &Request, notes: &mut Notes) {
    let mut offered: Vec<&Tool> = Vec::with_capacity(request.tools.len());
    for tool in &request.tools {
        match &tool.kind {
            ToolKind::Hosted { kind } if !is_search(kind) => {
                notes.add(format!("dropped the hosted tool {}", sanitized(kind)));
                continue;
            }
            ToolKind::Custom { .. } => notes.add("sent custom tools as functions"),
            _ => {}
        }
        offered.push(tool);
    }
    if offered.is_empty() {
        // Anthropic refuses a choice without tools.
        return;
    }
    writer.array("tools", offered, |out, tool| emit::object(out, |writer| one(writer, tool)));
    choice(writer, request, notes);
}

fn is_search(kind: &str) -> bool {
    kind.starts_with(encode::SEARCH)
}

fn one(writer: &mut ObjectWriter<'_>, tool: &Tool) {
    match &tool.kind {
        ToolKind::Function { name, description, parameters, strict } => {
            head(writer, name, description.as_ref());
            match parameters {
                Some(parameters) => writer.json("input_schema", &schema::parameters(parameters)),
                None => writer.literal("input_schema", NONE),
            }
            if *strict == Some(true) {
                writer.literal("strict", "true");
            }
        }
        ToolKind::Custom { name, description, .. } => {
            head(writer, name, description.as_ref());
            writer.literal("input_schema", FREE);
        }
        ToolKind::Hosted { .. } => search(writer, tool.raw.as_ref()),
    }
}

fn head(writer: &mut ObjectWriter<'_>, name: &Text, description: Option<&Text>) {
    writer.text("name", name);
    writer.optional_text("description", description);
}

/// The hosted search from its responses form.
fn search(writer: &mut ObjectWriter<'_>, raw: Option<&Json>) {
    writer.string("type", "web_search_20250305");
    writer.string("name", encode::SEARCH);
    let get = |name: &str| raw.and_then(|raw| raw.get(name));
    if let Some(domains) = get("filters").and_then(|filters| filters.get("allowed_domains")) {
        writer.json("allowed_domains", &domains);
    }
    if let Some(location) = get("user_location") {
        writer.json("user_location", &location);
    }
}

fn choice(writer: &mut ObjectWriter<'_>, request: &Request, notes: &mut Notes) {
    let single = request.parallel == Some(false);
    let (kind, name) = match &request.tool_choice {
        None if !single => return,
        None => ("auto", None),
        Some(choice) => form(choice).unwrap_or_else(|| {
            notes.add("dropped tool_choice");
            ("auto", None)
        }),
    };
    writer.object("tool_choice", |writer| {
        writer.string("type", kind);
        writer.optional_text("name", name.as_ref());
        if single && kind != "none" {
            writer.literal("disable_parallel_tool_use", "true");
        }
    });
}

/// The type of a choice and the tool in it; `None` for a choice that this dialect does not know.
fn form(choice: &ToolChoice) -> Option<(&'static str, Option<Text>)> {
    Some(match choice {
        ToolChoice::Auto => ("auto", None),
        ToolChoice::None => ("none", None),
        ToolChoice::Required => ("any", None),
        ToolChoice::Function(name) | ToolChoice::Custom(name) => ("tool", Some(name.clone())),
        ToolChoice::Other(json) if json.text("type").is_some_and(|kind| is_search(kind.as_str())) => {
            ("tool", Some(Text::from(encode::SEARCH)))
        }
        ToolChoice::Other(_) => return None,
    })
}

/// Whether the model must call a tool, which rules thinking out.
pub(super) fn forced(request: &Request) -> bool {
    let hosted = |tool: &Tool| matches!(&tool.kind, ToolKind::Hosted { kind } if !is_search(kind));
    let offered = request.origin == Some(Dialect::Messages) || !request.tools.iter().all(hosted);
    let form = request.tool_choice.as_ref().and_then(form);
    offered && matches!(form, Some(("any" | "tool", _)))
}
