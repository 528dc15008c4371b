//! Tools and tool choice.

use super::super::{say, word};
use crate::canon::{Request, Tool, ToolChoice, ToolKind};
use crate::dialect::Dialect;
use crate::json::pen::{self, Pen};
use crate::json::schema;
use crate::notes::Notes;
use crate::text::{Json, Text};

/// What a tool takes that has free text in its own protocol.
const FREE: &str = r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}"#;
/// What a tool takes that has no parameters.
const NONE: &str = r#"{"type":"object","properties":{}}"#;

/// Writes `tools` and `tool_choice`.
pub(super) fn write(pen: &mut Pen<'_>, request: &Request, notes: &mut Notes) {
    let mut offered: Vec<&Tool> = Vec::with_capacity(request.tools.len());
    for tool in &request.tools {
        match &tool.kind {
            ToolKind::Hosted { kind } if !is_search(kind) => {
                notes.add(format!("dropped the hosted tool {}", word(kind)));
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
    pen.array("tools", offered, |out, tool| pen::object(out, |pen| one(pen, tool)));
    choice(pen, request, notes);
}

fn is_search(kind: &str) -> bool {
    kind.starts_with(say::SEARCH)
}

fn one(pen: &mut Pen<'_>, tool: &Tool) {
    match &tool.kind {
        ToolKind::Function { name, description, parameters, strict } => {
            head(pen, name, description.as_ref());
            match parameters {
                Some(parameters) => pen.json("input_schema", &schema::parameters(parameters)),
                None => pen.word("input_schema", NONE),
            }
            if *strict == Some(true) {
                pen.word("strict", "true");
            }
        }
        ToolKind::Custom { name, description, .. } => {
            head(pen, name, description.as_ref());
            pen.word("input_schema", FREE);
        }
        ToolKind::Hosted { .. } => search(pen, tool.raw.as_ref()),
    }
}

fn head(pen: &mut Pen<'_>, name: &Text, description: Option<&Text>) {
    pen.text("name", name);
    pen.maybe("description", description);
}

/// The hosted search out of its responses form.
fn search(pen: &mut Pen<'_>, raw: Option<&Json>) {
    pen.plain("type", "web_search_20250305");
    pen.plain("name", say::SEARCH);
    let get = |name: &str| raw.and_then(|raw| raw.get(name));
    if let Some(domains) = get("filters").and_then(|filters| filters.get("allowed_domains")) {
        pen.json("allowed_domains", &domains);
    }
    if let Some(location) = get("user_location") {
        pen.json("user_location", &location);
    }
}

fn choice(pen: &mut Pen<'_>, request: &Request, notes: &mut Notes) {
    let single = request.parallel == Some(false);
    let (kind, name) = match &request.tool_choice {
        None if !single => return,
        None => ("auto", None),
        Some(choice) => form(choice).unwrap_or_else(|| {
            notes.add("dropped tool_choice");
            ("auto", None)
        }),
    };
    pen.object("tool_choice", |pen| {
        pen.plain("type", kind);
        pen.maybe("name", name.as_ref());
        if single && kind != "none" {
            pen.word("disable_parallel_tool_use", "true");
        }
    });
}

/// The type of a choice and the tool that it names; `None` for a choice that this dialect does not know.
fn form(choice: &ToolChoice) -> Option<(&'static str, Option<Text>)> {
    Some(match choice {
        ToolChoice::Auto => ("auto", None),
        ToolChoice::None => ("none", None),
        ToolChoice::Required => ("any", None),
        ToolChoice::Function(name) | ToolChoice::Custom(name) => ("tool", Some(name.clone())),
        ToolChoice::Other(json) if json.text("type").is_some_and(|kind| is_search(kind.as_str())) => {
            ("tool", Some(Text::from(say::SEARCH)))
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
