//! Tools and tool choice of a messages request.

use super::super::encode;
use super::Scope;
use crate::canon::{Request, Tool, ToolChoice, ToolKind};
use crate::dialect::tools;
use crate::json::emit::ObjectWriter;
use crate::json::node::{self, Fields, Node, ReadResult};
use crate::json::{Shape, emit, schema};
use crate::notes::sanitized;
use crate::text::{Json, Text};

/// Tools that clients run and Anthropic's models know without a definition: the definitions for other models.
const KNOWN: [(&str, &str, &str); 3] = [
    (
        "bash_",
        "Run a command in a persistent bash session, or restart the session.",
        r#"{"type":"object","properties":{"command":{"type":"string"},"restart":{"type":"boolean"}}}"#,
    ),
    (
        "text_editor_",
        "View, create and edit text files.",
        r#"{"type":"object","properties":{"command":{"type":"string","enum":["view","create","str_replace","insert"]},"path":{"type":"string"},"file_text":{"type":"string"},"old_str":{"type":"string"},"new_str":{"type":"string"},"insert_line":{"type":"integer"},"insert_text":{"type":"string"},"view_range":{"type":"array","items":{"type":"integer"}}},"required":["command","path"]}"#,
    ),
    (
        "memory_",
        "Read and change the files below /memories, which last from one conversation to the next.",
        r#"{"type":"object","properties":{"command":{"type":"string","enum":["view","create","str_replace","insert","delete","rename"]},"path":{"type":"string"},"file_text":{"type":"string"},"old_str":{"type":"string"},"new_str":{"type":"string"},"insert_line":{"type":"integer"},"insert_text":{"type":"string"},"view_range":{"type":"array","items":{"type":"integer"}},"old_path":{"type":"string"},"new_path":{"type":"string"}},"required":["command"]}"#,
    ),
];

impl Scope {
    /// `tools` and `tool_choice`.
    pub(super) fn tools(&mut self, fields: &mut Fields<'_>, request: &mut Request) -> ReadResult<()> {
        let tools = fields.read("tools", |node| node.each(tools::MOST, |node| self.tool(node)))?;
        request.tools = tools.into_iter().flatten().flatten().collect();
        let choice = fields.read("tool_choice", |node| choice(node, &request.tools))?;
        if let Some((choice, parallel)) = choice {
            request.tool_choice = Some(choice);
            request.parallel = parallel;
        }
        Ok(())
    }

    /// A tool; `None` for a tool that only Anthropic runs.
    fn tool(&mut self, node: Node<'_>) -> ReadResult<Option<Tool>> {
        let mut fields = node.object()?;
        let kind = fields.read("type", node::string)?.unwrap_or_else(|| "custom".to_owned());
        if kind == "custom" {
            return self.custom(fields).map(Some);
        }
        if kind.starts_with(encode::SEARCH) {
            return self.search(fields).map(Some);
        }
        let known = KNOWN.iter().find(|(prefix, ..)| kind.starts_with(prefix));
        let Some((_, description, schema)) = known else {
            self.notes.add(format!("dropped the tool {}", sanitized(&kind)));
            return Ok(None);
        };
        let name = fields.need("name", tools::name)?;
        let kind = ToolKind::Function {
            name,
            description: Some(Text::from(*description)),
            parameters: Some(Json::from_valid(schema.as_bytes().into())),
            strict: None,
        };
        self.unread("tools", fields);
        Ok(Some(Tool::from(kind)))
    }

    fn custom(&mut self, mut fields: Fields<'_>) -> ReadResult<Tool> {
        let name = fields.need("name", tools::name)?;
        let description = fields.read("description", node::text)?;
        let parameters = fields.read("input_schema", schema::read)?;
        let strict = fields.read("strict", node::boolean)?;
        if fields.read("defer_loading", node::boolean)? == Some(true) {
            self.notes.add("offered deferred tools at once");
        }
        self.unread("tools", fields);
        Ok(Tool { kind: ToolKind::Function { name, description, parameters, strict }, raw: None })
    }

    /// The hosted search, in the form of the responses dialect.
    fn search(&mut self, mut fields: Fields<'_>) -> ReadResult<Tool> {
        fields.take("name");
        let domains = fields.read("allowed_domains", |node| {
            node.each(1024, node::text)?;
            Ok(node.json())
        })?;
        let location = fields.read("user_location", |node| node.shaped(Shape::Object, "an object"))?;
        self.unread("tools", fields);
        let raw = emit::json(|writer| {
            writer.string("type", encode::SEARCH);
            if let Some(domains) = domains.filter(|domains| domains.elements().next().is_some()) {
                writer.object("filters", |writer| writer.json("allowed_domains", &domains));
            }
            writer.optional("user_location", location.as_ref(), ObjectWriter::json);
        });
        Ok(Tool { kind: ToolKind::Hosted { kind: encode::SEARCH.to_owned() }, raw: Some(raw) })
    }
}

/// The choice, and whether parallel calls are allowed.
fn choice(node: Node<'_>, known: &[Tool]) -> ReadResult<(ToolChoice, Option<bool>)> {
    let mut fields = node.object()?;
    let kind = fields.need("type", node::string)?;
    let choice = match kind.as_str() {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => named(fields.need("name", tools::name)?, known),
        other => return Err(fields.unknown("type", other)),
    };
    let single = fields.read("disable_parallel_tool_use", node::boolean)?;
    Ok((choice, single.map(|single| !single)))
}

/// A tool by its name, which may be the name of a hosted tool.
fn named(name: Text, tools: &[Tool]) -> ToolChoice {
    let is = |tool: &Tool| matches!(&tool.kind, ToolKind::Function { name: own, .. } if *own == name);
    let hosted = |tool: &Tool| matches!(&tool.kind, ToolKind::Hosted { kind } if name.is(kind));
    if !tools.iter().any(is) && tools.iter().any(hosted) {
        return ToolChoice::Other(emit::json(|writer| writer.text("type", &name)));
    }
    ToolChoice::Function(name)
}
