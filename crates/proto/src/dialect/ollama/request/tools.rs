//! Tools on offer.

use super::Scope;
use crate::canon::{Tool, ToolKind};
use crate::json::node::{self, Node, Read};
use crate::json::schema;
use crate::text::Text;

/// Most tools of one request.
const MAX_TOOLS: usize = 1024;
/// Longest tool name.
const MAX_NAME: usize = 128;

impl Scope {
    pub(super) fn tools(&mut self, node: Node<'_>) -> Read<Vec<Tool>> {
        node.each(MAX_TOOLS, |node| self.tool(node))
    }

    /// `{type: "function", function: {name, description, parameters}}`
    fn tool(&mut self, node: Node<'_>) -> Read<Tool> {
        let mut fields = node.object()?;
        let kind = fields.read("type", node::string)?.unwrap_or_default();
        if !matches!(kind.as_str(), "" | "function") {
            return Err(fields.unknown("type", &kind));
        }
        let kind = fields.need("function", |node| self.function(node))?;
        self.leftover("tools.", fields);
        Ok(Tool { kind, raw: None })
    }

    fn function(&mut self, node: Node<'_>) -> Read<ToolKind> {
        let mut fields = node.object()?;
        let kind = ToolKind::Function {
            name: fields.need("name", name)?,
            description: fields.read("description", node::text)?,
            parameters: fields.read("parameters", schema::read)?,
            strict: fields.read("strict", node::boolean)?,
        };
        self.leftover("tools.function.", fields);
        Ok(kind)
    }
}

fn name(node: Node<'_>) -> Read<Text> {
    let name = node.filled()?;
    let legal = name.escaped().iter().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(b));
    if legal && name.escaped().len() <= MAX_NAME {
        return Ok(name);
    }
    Err(node.bad("expected 1 to 128 characters of 'A-Z', 'a-z', '0-9', '_', '.' and '-'."))
}
