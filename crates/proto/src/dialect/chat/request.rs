//! Turns a Chat Completions request body into a canonical request.

mod messages;
mod options;
mod parts;
mod tools;

pub(super) use self::options::Common;
use bytes::Bytes;

use self::messages::History;
use crate::canon::{Item, ItemKind, Part, Request, ToolKind};
use crate::dialect::output_format::require_content;
use crate::dialect::{Dialect, responses};
use crate::failure::Failure;
use crate::json::Path;
use crate::json::node::{self, Fields, Node, ReadResult};
use crate::notes::Notes;
use crate::text::Json;

/// Reads a chat request.
pub(super) fn read(body: &Bytes) -> Result<(Request, Notes), Failure> {
    crate::json::check(body)?;
    let json = Json::from_valid(body.clone());
    let mut scope = Scope::default();
    let request = scope.request(Node::new(&json, &Path::ROOT))?;
    Ok((request, scope.notes))
}

/// State that the readers of single fields share.
#[derive(Default)]
struct Scope {
    notes: Notes,
}

impl Scope {
    fn request(&mut self, node: Node<'_>) -> ReadResult<Request> {
        let mut fields = node.object()?;
        let mut request = Request { model: fields.read("model", node::string)?, ..Request::default() };
        request.origin = Some(Dialect::Chat);
        // A chat upstream does not accept a body with `input`, so there is nothing to patch.
        request.raw = fields.has("messages").then(|| node.json().bytes().clone());
        options::refuse(&mut fields)?;
        request.reply.stream = fields.read("stream", node::boolean)?.unwrap_or(false);
        request.reply.include_usage = fields.read("stream_options", stream_options)?.unwrap_or(false);
        self.conversation(&mut fields, &mut request)?;
        self.tools(&mut fields, &mut request)?;
        self.options(&mut fields, &mut request)?;
        request.rest = fields.rest().map(|(name, json)| (name.plain().into_owned(), json)).collect();
        Ok(request)
    }

    /// `messages`, or the responses form `input` and `instructions` that some editors post to this path.
    fn conversation(&mut self, fields: &mut Fields<'_>, request: &mut Request) -> ReadResult<()> {
        request.instructions = fields.read("instructions", node::text)?;
        request.previous = fields.read("previous_response_id", node::string)?;
        request.items = if fields.has("messages") || !fields.has("input") {
            fields.need("messages", |node| self.messages(node, &mut History::default()))?
        } else {
            fields.need("input", input)?
        };
        Ok(())
    }

    fn tools(&mut self, fields: &mut Fields<'_>, request: &mut Request) -> ReadResult<()> {
        let legacy = fields.read("functions", |node| self.legacy_tools(node))?;
        let legacy_choice = fields.read("function_call", tools::legacy_choice)?;
        let tools = fields.read("tools", |node| self.tool_list(node))?;
        request.reply.legacy_functions = legacy.is_some() && tools.is_none();
        request.tools = tools.or(legacy).unwrap_or_default();
        request.tool_choice = fields.read("tool_choice", tools::tool_choice)?.or(legacy_choice);
        request.parallel = fields.read("parallel_tool_calls", node::boolean)?;
        if request.reply.legacy_functions && request.parallel.is_none() {
            // The legacy reply has a field for one call only.
            request.parallel = Some(false);
        }
        self.search_options(fields, request)
    }

    /// Chat requests the hosted search tool with `web_search_options`.
    fn search_options(&mut self, fields: &mut Fields<'_>, request: &mut Request) -> ReadResult<()> {
        let Some(tool) = fields.read("web_search_options", |node| self.search_tool(node))? else { return Ok(()) };
        let searches = |kind: &ToolKind| matches!(kind, ToolKind::Hosted { kind } if kind.starts_with("web_search"));
        if !request.tools.iter().any(|tool| searches(&tool.kind)) {
            request.tools.push(tool);
        }
        Ok(())
    }
}

/// Reads the responses form of the conversation. Its parts must have a form in chat.
fn input(node: Node<'_>) -> ReadResult<Vec<Item>> {
    let items = responses::input(node)?;
    for (at, item) in items.iter().enumerate() {
        let ItemKind::Message { parts, .. } = &item.kind else { continue };
        if let Some(part) = parts.iter().position(|part| matches!(part, Part::Other(_))) {
            let (item, content) = (node.path().index(at), "content");
            return Err(item.field(content).index(part).field("type").bad("such parts are not supported here."));
        }
    }
    require_content(items, node)
}

/// Whether the client wants usage at the end of a stream.
pub(super) fn stream_options(node: Node<'_>) -> ReadResult<bool> {
    let mut fields = node.object()?;
    Ok(fields.read("include_usage", node::boolean)?.unwrap_or(false))
}
