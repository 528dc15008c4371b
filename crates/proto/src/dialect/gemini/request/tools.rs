//! `tools` and `toolConfig`.

use super::{Scope, several};
use crate::canon::{Request, Tool, ToolChoice, ToolKind};
use crate::dialect::tools;
use crate::json::node::{self, Node, ReadResult};
use crate::json::{emit, schema};
use crate::text::{Json, Text};

/// Most functions in one request.
const MAX_TOOLS: usize = 1024;

impl Scope {
    pub(super) fn tools(&mut self, node: Node<'_>) -> ReadResult<Vec<Tool>> {
        let mut tools = Vec::new();
        several(node, |node| self.group(node, &mut tools))?;
        if tools.len() > MAX_TOOLS {
            return Err(node.bad(&format!("at most {MAX_TOOLS} functions are supported.")));
        }
        Ok(tools)
    }

    /// Reads one element of `tools`: function declarations, or one of Google's tools.
    fn group(&mut self, node: Node<'_>, tools: &mut Vec<Tool>) -> ReadResult<()> {
        let mut fields = node.object()?;
        let declared = fields.either("functionDeclarations", |node| several(node, |node| self.function(node)))?;
        tools.extend(declared.into_iter().flatten());
        for name in ["googleSearch", "googleSearchRetrieval", "enterpriseWebSearch"] {
            fields.either(name, |node| self.search(name, node, tools))?;
        }
        self.leftover("tools", fields);
        Ok(())
    }

    fn search(&mut self, name: &str, node: Node<'_>, tools: &mut Vec<Tool>) -> ReadResult<()> {
        self.leftover(&format!("tools.{name}"), node.object()?);
        let known = |tool: &Tool| matches!(&tool.kind, ToolKind::Hosted { kind } if kind == "web_search");
        if !tools.iter().any(known) {
            tools.push(hosted("web_search"));
        }
        Ok(())
    }

    fn function(&mut self, node: Node<'_>) -> ReadResult<Tool> {
        let mut fields = node.object()?;
        let name = fields.either("name", tools::name)?.ok_or_else(|| fields.missing("name"))?;
        let description = fields.either("description", node::text)?.filter(|text| !text.is_empty());
        let own = fields.either("parameters", gemini_schema)?;
        let plain = fields.either("parametersJsonSchema", plain_schema)?;
        // The schema of a function's result is for the client only; upstreams have no field for it.
        for name in ["response", "responseJsonSchema"] {
            fields.either(name, |_| Ok(()))?;
        }
        fields.either("behavior", |node| blocking(&node.string()?, node))?;
        self.leftover("tools.functionDeclarations", fields);
        let kind = ToolKind::Function { name, description, parameters: plain.or(own), strict: None };
        Ok(Tool::from(kind))
    }

    pub(super) fn tool_config(&mut self, node: Node<'_>, request: &mut Request) -> ReadResult<()> {
        let mut fields = node.object()?;
        let choice = fields.either("functionCallingConfig", |node| self.calling(node))?.flatten();
        // Upstreams refuse a tool choice without tools, and none may remain after Google's own are dropped.
        if request.tools.is_empty() && choice.is_some() {
            self.notes.add("dropped toolConfig");
        } else {
            request.tool_choice = choice;
        }
        self.leftover("toolConfig", fields);
        Ok(())
    }

    fn calling(&mut self, node: Node<'_>) -> ReadResult<Option<ToolChoice>> {
        let mut fields = node.object()?;
        let mode = fields.either("mode", node::string)?.unwrap_or_default().to_ascii_uppercase();
        let allowed =
            fields.either("allowedFunctionNames", |node| node.each(MAX_TOOLS, tools::name))?.unwrap_or_default();
        let choice = match mode.as_str() {
            "" | "MODE_UNSPECIFIED" | "AUTO" if allowed.is_empty() => (mode == "AUTO").then_some(ToolChoice::Auto),
            "" | "MODE_UNSPECIFIED" | "AUTO" => Some(among("auto", &allowed)),
            "NONE" => Some(ToolChoice::None),
            "ANY" => Some(match allowed.as_slice() {
                [] => ToolChoice::Required,
                [name] => ToolChoice::Function(name.clone()),
                _ => among("required", &allowed),
            }),
            "VALIDATED" => {
                self.notes.add("function calling mode VALIDATED treated as AUTO");
                Some(if allowed.is_empty() { ToolChoice::Auto } else { among("auto", &allowed) })
            }
            _ => return Err(fields.unknown("mode", &mode)),
        };
        // Calls arrive whole, with and without this option.
        fields.either("streamFunctionCallArguments", node::boolean)?;
        self.leftover("toolConfig.functionCallingConfig", fields);
        Ok(choice)
    }
}

/// Turns a schema in Gemini's dialect into JSON Schema.
pub(super) fn gemini_schema(node: Node<'_>) -> ReadResult<Json> {
    schema::from_gemini(&schema::read(node)?, node.path())
}

/// Reads a schema that should be JSON Schema.
pub(super) fn plain_schema(node: Node<'_>) -> ReadResult<Json> {
    Ok(schema::from_plain(schema::read(node)?, node.path()))
}

fn blocking(behavior: &str, node: Node<'_>) -> ReadResult<()> {
    if behavior == "NON_BLOCKING" { Err(node.unsupported("non-blocking functions are not supported.")) } else { Ok(()) }
}

/// A choice among some functions, in the responses form.
fn among(mode: &str, names: &[Text]) -> ToolChoice {
    ToolChoice::Other(emit::json(|writer| {
        writer.string("type", "allowed_tools");
        writer.string("mode", mode);
        writer.array("tools", names, |out, name| {
            emit::object(out, |writer| {
                writer.string("type", "function");
                writer.text("name", name);
            });
        });
    }))
}

/// A hosted tool.
pub(super) fn hosted(kind: &str) -> Tool {
    let raw = emit::json(|writer| writer.string("type", kind));
    Tool { kind: ToolKind::Hosted { kind: kind.to_owned() }, raw: Some(raw) }
}
