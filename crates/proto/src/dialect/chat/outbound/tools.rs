//! Tools and tool choice in chat's nested form.

use bytes::{BufMut, BytesMut};

use super::super::word;
use crate::canon::{Request, Tool, ToolChoice, ToolKind};
use crate::dialect::shape;
use crate::json::pen::{self, Pen};
use crate::notes::Notes;
use crate::text::{Json, Text};

/// Writes `tools`, `tool_choice` and `parallel_tool_calls`; hosted tools have no form in chat.
pub(super) fn write(pen: &mut Pen<'_>, request: &Request, notes: &mut Notes) {
    for tool in &request.tools {
        if let ToolKind::Hosted { kind } = &tool.kind {
            notes.add(format!("dropped the hosted tool {}", word(kind)));
        }
    }
    let offered: Vec<&Tool> =
        request.tools.iter().filter(|tool| !matches!(tool.kind, ToolKind::Hosted { .. })).collect();
    if offered.is_empty() {
        // Servers refuse a choice without tools.
        if !matches!(request.tool_choice, None | Some(ToolChoice::Auto | ToolChoice::None)) {
            notes.add("dropped tool_choice");
        }
        return;
    }
    pen.array("tools", offered, |out, tool| pen::object(out, |pen| one(pen, &tool.kind)));
    if let Some(choice) = &request.tool_choice {
        write_choice(pen, choice, notes);
    }
    if let Some(parallel) = request.parallel {
        pen.word("parallel_tool_calls", if parallel { "true" } else { "false" });
    }
}

fn one(pen: &mut Pen<'_>, kind: &ToolKind) {
    match kind {
        ToolKind::Function { name, description, parameters, strict } => {
            pen.plain("type", "function");
            pen.object("function", |pen| {
                head(pen, name, description.as_ref());
                if let Some(parameters) = parameters {
                    pen.json("parameters", &shape::parameters(parameters, *strict));
                }
                if let Some(strict) = strict {
                    pen.word("strict", if *strict { "true" } else { "false" });
                }
            });
        }
        ToolKind::Custom { name, description, format } => {
            pen.plain("type", "custom");
            pen.object("custom", |pen| {
                head(pen, name, description.as_ref());
                if let Some(format) = format {
                    grammar(pen.key("format"), format);
                }
            });
        }
        ToolKind::Hosted { .. } => {}
    }
}

fn head(pen: &mut Pen<'_>, name: &Text, description: Option<&Text>) {
    pen.text("name", name);
    if let Some(description) = description {
        pen.text("description", description);
    }
}

/// The flat responses form `{type, syntax, definition}` to chat's nested one; every other format as it is.
fn grammar(out: &mut BytesMut, format: &Json) {
    let (Some(syntax), Some(definition)) = (format.text("syntax"), format.text("definition")) else {
        return out.put_slice(format.bytes());
    };
    pen::object(out, |pen| {
        pen.plain("type", "grammar");
        pen.object("grammar", |pen| {
            pen.text("syntax", &syntax);
            pen.text("definition", &definition);
        });
    });
}

fn write_choice(pen: &mut Pen<'_>, choice: &ToolChoice, notes: &mut Notes) {
    match choice {
        ToolChoice::Auto => pen.plain("tool_choice", "auto"),
        ToolChoice::None => pen.plain("tool_choice", "none"),
        ToolChoice::Required => pen.plain("tool_choice", "required"),
        ToolChoice::Function(name) => named(pen, "function", name),
        ToolChoice::Custom(name) => named(pen, "custom", name),
        ToolChoice::Other(json) if json.text("type").is_some_and(|kind| kind.is("allowed_tools")) => {
            allowed_tools(pen, json);
        }
        ToolChoice::Other(_) => notes.add("dropped tool_choice"),
    }
}

fn named(pen: &mut Pen<'_>, kind: &str, name: &Text) {
    pen.object("tool_choice", |pen| {
        pen.plain("type", kind);
        pen.object(kind, |pen| pen.text("name", name));
    });
}

/// The flat responses form to chat's nested one; hosted tools in it have none.
fn allowed_tools(pen: &mut Pen<'_>, choice: &Json) {
    let tools = choice.get("tools").into_iter().flat_map(|tools| tools.elements());
    let named = tools.filter_map(|tool| Some((tool.text("type")?, tool.text("name")?)));
    pen.object("tool_choice", |pen| {
        pen.plain("type", "allowed_tools");
        pen.object("allowed_tools", |pen| {
            pen.text("mode", &choice.text("mode").unwrap_or_else(|| "auto".into()));
            pen.array("tools", named, |out, (kind, name)| {
                pen::object(out, |pen| {
                    pen.text("type", &kind);
                    pen.object(&kind.plain(), |pen| pen.text("name", &name));
                });
            });
        });
    });
}
