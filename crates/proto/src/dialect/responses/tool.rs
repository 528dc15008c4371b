//! Tools, tool choice and output format.

use crate::canon::{Format, Request, Tool, ToolChoice, ToolKind};
use crate::dialect::{output_format, tools};
use crate::json::emit::{self, ObjectWriter};
use crate::json::node::{self, Fields, Node, ReadResult};
use crate::json::{Shape, patch, schema};
use crate::notes::Notes;
use crate::text::{Json, Text};

/// Reads `tools`.
pub(super) fn list(node: Node<'_>) -> ReadResult<Vec<Tool>> {
    node.each(tools::MOST, tool)
}

fn tool(node: Node<'_>) -> ReadResult<Tool> {
    let mut fields = node.object()?;
    let kind = fields.need("type", node::string)?;
    // Chat's form nests the definition under the type's own name.
    if matches!(kind.as_str(), "function" | "custom")
        && let Some(tool) = fields.read(&kind, |inner| nested(&kind, inner))?
    {
        return Ok(tool);
    }
    Ok(Tool { kind: known(&kind, &mut fields)?, raw: Some(node.json()) })
}

fn nested(kind: &str, inner: Node<'_>) -> ReadResult<Tool> {
    let known = known(kind, &mut inner.object()?)?;
    Ok(Tool { kind: known, raw: Some(flat(kind, &inner.json())) })
}

fn known(kind: &str, fields: &mut Fields<'_>) -> ReadResult<ToolKind> {
    Ok(match kind {
        "function" => ToolKind::Function {
            name: fields.need("name", tools::name)?,
            description: fields.read("description", node::text)?,
            parameters: fields.read("parameters", schema::read)?,
            strict: fields.read("strict", node::boolean)?,
        },
        "custom" => ToolKind::Custom {
            name: fields.need("name", tools::name)?,
            description: fields.read("description", node::text)?,
            format: fields.read("format", |node| node.shaped(Shape::Object, "an object"))?,
        },
        _ => ToolKind::Hosted { kind: kind.to_owned() },
    })
}

/// A nested definition in the flat form.
fn flat(kind: &str, inner: &Json) -> Json {
    emit::json(|writer| {
        writer.string("type", kind);
        inner.fields().filter(|(key, _)| !key.is("type")).for_each(|(key, value)| writer.member(&key, &value));
    })
}

/// Reads `tool_choice`; the value is its form in this dialect.
pub(super) fn choice(node: Node<'_>) -> ReadResult<(ToolChoice, Json)> {
    if node.is(Shape::String) {
        let choice = match node.string()?.as_str() {
            "auto" => ToolChoice::Auto,
            "none" => ToolChoice::None,
            "required" | "any" => ToolChoice::Required,
            _ => return Err(node.bad("supported are 'auto', 'none', 'required' and objects.")),
        };
        let json = choice_json(&choice);
        return Ok((choice, json));
    }
    let mut fields = node.object()?;
    let kind = fields.need("type", node::string)?;
    if kind != "function" && kind != "custom" {
        return Ok((ToolChoice::Other(node.json()), node.json()));
    }
    let nested = fields.read(&kind, |node| node.object()?.need("name", node::filled))?;
    let is_nested = nested.is_some();
    let name = match nested {
        Some(name) => name,
        None => fields.need("name", node::filled)?,
    };
    let choice = if kind == "function" { ToolChoice::Function(name) } else { ToolChoice::Custom(name) };
    let json = if is_nested { choice_json(&choice) } else { node.json() };
    Ok((choice, json))
}

/// A tool choice in this dialect.
pub(super) fn choice_json(choice: &ToolChoice) -> Json {
    let named = |kind: &str, name: &Text| {
        emit::json(|writer| {
            writer.string("type", kind);
            writer.text("name", name);
        })
    };
    match choice {
        ToolChoice::Auto => Json::of("auto"),
        ToolChoice::None => Json::of("none"),
        ToolChoice::Required => Json::of("required"),
        ToolChoice::Function(name) => named("function", name),
        ToolChoice::Custom(name) => named("custom", name),
        ToolChoice::Other(json) => json.clone(),
    }
}

/// A tool in this dialect.
pub(super) fn tool_json(tool: &Tool) -> Json {
    if let Some(raw) = &tool.raw {
        let ToolKind::Function { parameters: Some(parameters), strict, .. } = &tool.kind else { return raw.clone() };
        return patch::set(raw, "parameters", &output_format::parameters(parameters, *strict));
    }
    emit::json(|writer| match &tool.kind {
        ToolKind::Function { name, description, parameters, strict } => {
            writer.string("type", "function");
            writer.text("name", name);
            writer.optional_text("description", description.as_ref());
            // The field's default is true here and false in the other dialects.
            writer.literal("strict", if *strict == Some(true) { "true" } else { "false" });
            match parameters {
                Some(parameters) => writer.json("parameters", &output_format::parameters(parameters, *strict)),
                None => writer.literal("parameters", r#"{"type":"object","properties":{}}"#),
            }
        }
        ToolKind::Custom { name, description, format } => {
            writer.string("type", "custom");
            writer.text("name", name);
            writer.optional_text("description", description.as_ref());
            writer.optional("format", format.as_ref(), ObjectWriter::json);
        }
        ToolKind::Hosted { kind } => writer.string("type", kind),
    })
}

/// Reads `text.format`; `None` is plain text.
pub(super) fn format(node: Node<'_>) -> ReadResult<Option<Format>> {
    let mut fields = node.object()?;
    Ok(match fields.need("type", node::string)?.as_str() {
        "text" => None,
        "json_object" => Some(Format::JsonObject),
        "json_schema" => Some(Format::JsonSchema {
            name: fields.need("name", node::filled)?,
            description: fields.read("description", node::text)?,
            schema: fields.need("schema", schema::read)?,
            strict: fields.read("strict", node::boolean)?,
        }),
        _ => Some(Format::Other(node.json())),
    })
}

/// Writes the format of `request` as the member of a `text` object.
pub(super) fn write_format(writer: &mut ObjectWriter<'_>, request: &Request, notes: &mut Notes) {
    match &request.format {
        None => {}
        Some(Format::Other(json)) => writer.json("format", json),
        Some(Format::JsonObject) => writer.object("format", |writer| writer.string("type", "json_object")),
        Some(Format::JsonSchema { name, description, schema, strict }) => writer.object("format", |writer| {
            let shape = output_format::format(request, schema, *strict, notes);
            writer.string("type", "json_schema");
            writer.text("name", name);
            writer.optional_text("description", description.as_ref());
            if let Some(strict) = shape.strict {
                writer.literal("strict", if strict { "true" } else { "false" });
            }
            writer.json("schema", &shape.schema);
        }),
    }
}

/// The client's own `text` object, its schema in the form that upstreams take.
pub(super) fn own_text(text: Json, request: &Request, notes: &mut Notes) -> Json {
    let Some(Format::JsonSchema { schema, strict, .. }) = &request.format else { return text };
    let shape = output_format::format(request, schema, *strict, notes);
    if shape.schema == *schema {
        return text;
    }
    let Some(format) = text.get("format") else { return text };
    patch::set(&text, "format", &patch::set(&format, "schema", &shape.schema))
}

/// `object` with `name` set, or built with only that member.
pub(super) fn with(object: Option<&Json>, name: &'static str, value: &Json) -> Json {
    match object {
        Some(object) => patch::set(object, name, value),
        None => emit::json(|writer| writer.json(name, value)),
    }
}
