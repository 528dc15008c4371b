//! Tools and tool choice.

use bytes::BytesMut;

use crate::canon::{Request, Tool, ToolChoice, ToolKind};
use crate::json::emit::{self, ObjectWriter};
use crate::json::schema;
use crate::notes::{Notes, sanitized};
use crate::text::{Json, Text};

/// Writes `tools` and `toolConfig`.
pub(super) fn write(writer: &mut ObjectWriter<'_>, request: &Request, notes: &mut Notes) {
    let functions: Vec<&Tool> =
        request.tools.iter().filter(|tool| matches!(tool.kind, ToolKind::Function { .. })).collect();
    let search = search(request, functions.is_empty(), notes);
    if functions.is_empty() && !matches!(request.tool_choice, None | Some(ToolChoice::Auto)) {
        notes.add("dropped tool_choice");
    }
    if functions.is_empty() && !search {
        return;
    }
    let groups = [!functions.is_empty(), search];
    writer.array("tools", (0..).zip(groups).filter(|(_, any)| *any), |out, (group, _)| {
        emit::object(out, |writer| {
            if group == 0 {
                writer.array("functionDeclarations", &functions, |out, tool| function(out, &tool.kind));
            } else {
                writer.literal("googleSearch", "{}");
            }
        });
    });
    if !functions.is_empty() {
        choice(writer, request, notes);
    }
    if request.parallel == Some(false) {
        notes.add("dropped parallel_tool_calls");
    }
}

/// Whether the model may search; adds notes for tools that have no form here.
fn search(request: &Request, alone: bool, notes: &mut Notes) -> bool {
    let mut search = false;
    for tool in &request.tools {
        match &tool.kind {
            ToolKind::Function { .. } => {}
            // A request may search or call functions. Version 3 can do both, but requires that its searches are sent back.
            ToolKind::Hosted { kind } if kind.starts_with("web_search") && alone => search = true,
            ToolKind::Hosted { kind } => notes.add(format!("dropped the hosted tool {}", sanitized(kind))),
            ToolKind::Custom { name, .. } => notes.add(format!("dropped the custom tool {}", sanitized(&name.plain()))),
        }
    }
    search
}

fn function(out: &mut BytesMut, kind: &ToolKind) {
    let ToolKind::Function { name, description, parameters, .. } = kind else { return };
    emit::object(out, |writer| {
        writer.text("name", name);
        writer.optional_text("description", description.as_ref());
        if let Some(parameters) = parameters.as_ref().filter(|schema| !is_empty(schema)) {
            match schema::to_gemini(parameters) {
                Some(own) => writer.json("parameters", &own),
                None => writer.json("parametersJsonSchema", parameters),
            }
        }
    });
}

/// Whether a function has no parameters: Gemini refuses an object without properties.
fn is_empty(schema: &Json) -> bool {
    let has = |name: &str| schema.get(name).is_some_and(|value| value.fields().next().is_some());
    let others = ["anyOf", "oneOf", "allOf", "$ref", "additionalProperties"];
    !has("properties")
        && !others.iter().any(|name| schema.get(name).is_some_and(|value| value.as_bool() != Some(false)))
}

fn choice(writer: &mut ObjectWriter<'_>, request: &Request, notes: &mut Notes) {
    let (mode, names): (_, Vec<Text>) = match &request.tool_choice {
        None => return,
        Some(ToolChoice::Auto) => ("AUTO", Vec::new()),
        Some(ToolChoice::None) => ("NONE", Vec::new()),
        Some(ToolChoice::Required) => ("ANY", Vec::new()),
        Some(ToolChoice::Function(name)) => ("ANY", vec![name.clone()]),
        Some(ToolChoice::Other(json)) if json.text("type").is_some_and(|kind| kind.is("allowed_tools")) => {
            let must = json.text("mode").is_some_and(|mode| mode.is("required"));
            let tools = json.get("tools").into_iter().flat_map(|tools| tools.elements());
            // Only these two modes accept names.
            (if must { "ANY" } else { "VALIDATED" }, tools.filter_map(|tool| tool.text("name")).collect())
        }
        Some(ToolChoice::Custom(_) | ToolChoice::Other(_)) => return notes.add("dropped tool_choice"),
    };
    writer.object("toolConfig", |writer| {
        writer.object("functionCallingConfig", |writer| {
            writer.string("mode", mode);
            if !names.is_empty() {
                writer.array("allowedFunctionNames", &names, emit::quote);
            }
        });
    });
}
