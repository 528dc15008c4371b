//! Tools and tool choice in chat's nested form.

use bytes::{BufMut, BytesMut};

use crate::canon::{Request, Tool, ToolChoice, ToolKind};
use crate::dialect::output_format;
use crate::json::emit::{self, ObjectWriter};
use crate::notes::{Notes, sanitized};
use crate::text::{Json, Text};

/// Writes `tools`, `tool_choice` and `parallel_tool_calls`; hosted tools have no form in chat.
pub(super) fn write(writer: &mut ObjectWriter<'_>, request: &Request, notes: &mut Notes) {
    for tool in &request.tools {
        if let ToolKind::Hosted { kind } = &tool.kind {
            notes.add(format!("dropped the hosted tool {}", sanitized(kind)));
        }
    }
    let offered: Vec<&Tool> =
        request.tools.iter().filter(|tool| !matches!(tool.kind, ToolKind::Hosted { .. })).collect();
    if offered.is_empty() {
        // Servers refuse a tool choice without tools.
        if !matches!(request.tool_choice, None | Some(ToolChoice::Auto | ToolChoice::None)) {
            notes.add("dropped tool_choice");
        }
        return;
    }
    writer.array("tools", offered, |out, tool| emit::object(out, |writer| one(writer, &tool.kind)));
    if let Some(choice) = &request.tool_choice {
        write_choice(writer, choice, notes);
    }
    if let Some(parallel) = request.parallel {
        writer.literal("parallel_tool_calls", if parallel { "true" } else { "false" });
    }
}

fn one(writer: &mut ObjectWriter<'_>, kind: &ToolKind) {
    match kind {
        ToolKind::Function { name, description, parameters, strict } => {
            writer.string("type", "function");
            writer.object("function", |writer| {
                head(writer, name, description.as_ref());
                if let Some(parameters) = parameters {
                    writer.json("parameters", &output_format::parameters(parameters, *strict));
                }
                if let Some(strict) = strict {
                    writer.literal("strict", if *strict { "true" } else { "false" });
                }
            });
        }
        ToolKind::Custom { name, description, format } => {
            writer.string("type", "custom");
            writer.object("custom", |writer| {
                head(writer, name, description.as_ref());
                if let Some(format) = format {
                    grammar(writer.key("format"), format);
                }
            });
        }
        ToolKind::Hosted { .. } => {}
    }
}

fn head(writer: &mut ObjectWriter<'_>, name: &Text, description: Option<&Text>) {
    writer.text("name", name);
    writer.optional_text("description", description);
}

/// The flat responses form `{type, syntax, definition}` to chat's nested one; every other format stays unchanged.
fn grammar(out: &mut BytesMut, format: &Json) {
    let (Some(syntax), Some(definition)) = (format.text("syntax"), format.text("definition")) else {
        return out.put_slice(format.bytes());
    };
    emit::object(out, |writer| {
        writer.string("type", "grammar");
        writer.object("grammar", |writer| {
            writer.text("syntax", &syntax);
            writer.text("definition", &definition);
        });
    });
}

fn write_choice(writer: &mut ObjectWriter<'_>, choice: &ToolChoice, notes: &mut Notes) {
    match choice {
        ToolChoice::Auto => writer.string("tool_choice", "auto"),
        ToolChoice::None => writer.string("tool_choice", "none"),
        ToolChoice::Required => writer.string("tool_choice", "required"),
        ToolChoice::Function(name) => named(writer, "function", name),
        ToolChoice::Custom(name) => named(writer, "custom", name),
        ToolChoice::Other(json) if json.text("type").is_some_and(|kind| kind.is("allowed_tools")) => {
            allowed_tools(writer, json);
        }
        ToolChoice::Other(_) => notes.add("dropped tool_choice"),
    }
}

fn named(writer: &mut ObjectWriter<'_>, kind: &str, name: &Text) {
    writer.object("tool_choice", |writer| {
        writer.string("type", kind);
        writer.object(kind, |writer| writer.text("name", name));
    });
}

/// The flat responses form to chat's nested one; hosted tools are left out, since chat has no form for them.
fn allowed_tools(writer: &mut ObjectWriter<'_>, choice: &Json) {
    let tools = choice.get("tools").into_iter().flat_map(|tools| tools.elements());
    let named = tools.filter_map(|tool| Some((tool.text("type")?, tool.text("name")?)));
    writer.object("tool_choice", |writer| {
        writer.string("type", "allowed_tools");
        writer.object("allowed_tools", |writer| {
            writer.text("mode", &choice.text("mode").unwrap_or_else(|| "auto".into()));
            writer.array("tools", named, |out, (kind, name)| {
                emit::object(out, |writer| {
                    writer.text("type", &kind);
                    writer.object(&kind.plain(), |writer| writer.text("name", &name));
                });
            });
        });
    });
}
