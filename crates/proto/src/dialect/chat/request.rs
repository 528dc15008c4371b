//! Chat Completions request body to canonical request.

mod input;
mod messages;
mod options;
mod parts;
mod tools;

pub(super) use self::options::Common;
use bytes::Bytes;

use self::messages::History;
use crate::canon::{Request, ToolKind};
use crate::dialect::Dialect;
use crate::failure::Failure;
use crate::json::Path;
use crate::json::node::{self, Fields, Node, ReadResult};
use crate::notes::{self, Notes};
use crate::text::Json;

/// Most notes about unknown members of one request; the names are the client's, so their number is bounded.
const MAX_UNKNOWN: usize = 16;

/// Reads a chat request.
pub(super) fn read(body: &Bytes) -> Result<(Request, Notes), Failure> {
    crate::json::check(body)?;
    let json = Json::from_valid(body.clone());
    let mut scope = Scope::default();
    let request = scope.request(Node::new(&json, &Path::ROOT))?;
    Ok((request, scope.notes))
}

/// What the readers of the single values share.
#[derive(Default)]
struct Scope {
    notes: Notes,
    unknown: usize,
}

impl Scope {
    fn request(&mut self, node: Node<'_>) -> ReadResult<Request> {
        let mut fields = node.object()?;
        let mut request = Request { model: fields.read("model", node::string)?, ..Request::default() };
        request.origin = Some(Dialect::Chat);
        // A body with `input` is not one that a chat upstream reads, so there is nothing to patch.
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
        let mut history = History::default();
        request.items = if fields.has("messages") || !fields.has("input") {
            fields.need("messages", |node| self.messages(node, &mut history))?
        } else {
            fields.need("input", |node| self.input(node, &mut history))?
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
            // The legacy reply has room for one call only.
            request.parallel = Some(false);
        }
        self.search_options(fields, request)
    }

    /// `web_search_options` is how chat asks for the hosted search tool.
    fn search_options(&mut self, fields: &mut Fields<'_>, request: &mut Request) -> ReadResult<()> {
        let Some(tool) = fields.read("web_search_options", |node| self.search_tool(node))? else { return Ok(()) };
        let searches = |kind: &ToolKind| matches!(kind, ToolKind::Hosted { kind } if kind.starts_with("web_search"));
        if !request.tools.iter().any(|tool| searches(&tool.kind)) {
            request.tools.push(tool);
        }
        Ok(())
    }

    /// Notes members that nobody reads.
    fn leftover(&mut self, place: &str, fields: Fields<'_>) {
        for (name, _) in fields.rest().filter(|(_, json)| !json.is_null()) {
            self.dropped(place, &name.plain());
        }
    }

    fn dropped(&mut self, place: &str, name: &str) {
        let plain = notes::is_plain(name);
        if self.unknown < MAX_UNKNOWN && plain {
            self.unknown += 1;
            self.notes.add(format!("dropped {place}.{name}"));
        } else {
            self.notes.add(format!("dropped unknown fields of {place}"));
        }
    }
}

/// Whether usage is wanted at the end of a stream.
pub(super) fn stream_options(node: Node<'_>) -> ReadResult<bool> {
    let mut fields = node.object()?;
    Ok(fields.read("include_usage", node::boolean)?.unwrap_or(false))
}
