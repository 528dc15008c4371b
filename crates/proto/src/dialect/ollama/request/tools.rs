//! Tools that the client offers.

use super::Scope;
use crate::canon::{Tool, ToolKind};
use crate::dialect::tools;
use crate::json::node::{self, Node, ReadResult};
use crate::json::schema;

impl Scope {
    pub(super) fn tools(&mut self, node: Node<'_>) -> ReadResult<Vec<Tool>> {
        node.each(tools::MOST, |node| self.tool(node))
    }

    /// `{type: "function", function: {name, description, parameters}}`
    fn tool(&mut self, node: Node<'_>) -> ReadResult<Tool> {
        let mut fields = node.object()?;
        let kind = fields.read("type", node::string)?.unwrap_or_default();
        if !matches!(kind.as_str(), "" | "function") {
            return Err(fields.unknown("type", &kind));
        }
        let kind = fields.need("function", |node| self.function(node))?;
        self.notes.unread("tools", fields);
        Ok(Tool::from(kind))
    }

    fn function(&mut self, node: Node<'_>) -> ReadResult<ToolKind> {
        let mut fields = node.object()?;
        let kind = ToolKind::Function {
            name: fields.need("name", tools::name)?,
            description: fields.read("description", node::text)?,
            parameters: fields.read("parameters", schema::read)?,
            strict: fields.read("strict", node::boolean)?,
        };
        self.notes.unread("tools.function", fields);
        Ok(kind)
    }
}
