//! Turns request bodies of `/api/chat` and `/api/generate` into canonical requests.

mod images;
mod messages;
mod options;
mod tools;

use bytes::Bytes;

use self::messages::Calls;
use crate::canon::{ItemKind, Request, Role};
use crate::dialect::{Dialect, output_format};
use crate::failure::Failure;
use crate::json::node::{self, Fields, Node, ReadResult};
use crate::json::{Path, Shape};
use crate::notes::Notes;
use crate::text::Json;

/// The purpose of a body.
#[derive(Clone, Debug)]
pub enum RequestKind {
    /// A reply.
    Reply(Box<Request>, Notes),
    /// Load or unload a model: there are no messages, or there is no prompt.
    Load {
        /// The model's name.
        model: String,
        /// Whether `keep_alive` is zero.
        unload: bool,
        /// Whether the answer is expected as a stream of one line.
        stream: bool,
    },
}

/// Reads a body of `/api/chat`, or of `/api/generate` when `generate`. Errors: `Invalid` with the path of the offending field.
pub fn read(body: &Bytes, generate: bool) -> Result<RequestKind, Failure> {
    crate::json::check(body)?;
    let json = Json::from_valid(body.clone());
    let mut scope = Scope::default();
    let node = Node::new(&json, &Path::ROOT);
    let mut fields = node.object()?;
    if is_load(&fields, generate) {
        return load(&mut fields);
    }
    let mut request = scope.request(fields, generate)?;
    output_format::note_envelope(&mut request);
    Ok(RequestKind::Reply(Box::new(request), scope.notes))
}

/// Same as [`read`], for callers that can only answer with a reply.
#[expect(clippy::needless_pass_by_value, reason = "the verb is the same in every dialect")]
pub(super) fn reply(body: Bytes, generate: bool) -> Result<(Request, Notes), Failure> {
    match read(&body, generate)? {
        RequestKind::Reply(request, notes) => Ok((*request, notes)),
        RequestKind::Load { .. } => Err(Path::ROOT.field(if generate { "prompt" } else { "messages" }).missing()),
    }
}

fn load(fields: &mut Fields<'_>) -> ReadResult<RequestKind> {
    let model = fields.need("model", node::string)?;
    let unload = fields.read("keep_alive", keep_alive)?.unwrap_or(false);
    let stream = fields.read("stream", node::boolean)?.unwrap_or(true);
    Ok(RequestKind::Load { model, unload, stream })
}

/// Reads a number of seconds or a duration; returns whether it is zero.
pub(super) fn keep_alive(node: Node<'_>) -> ReadResult<bool> {
    if node.is(Shape::Number) {
        return Ok(node.json().as_u64() == Some(0));
    }
    let text = node.string().map_err(|_| node.wrong("a number or a length of time"))?;
    Ok(text.starts_with('0') && text.chars().all(|c| !c.is_ascii_digit() || c == '0'))
}

/// State that the readers of single fields share.
#[derive(Default)]
struct Scope {
    notes: Notes,
}

impl Scope {
    fn request(&mut self, mut fields: Fields<'_>, generate: bool) -> ReadResult<Request> {
        let mut request = Request { model: fields.read("model", node::string)?, ..Request::default() };
        request.origin = Some(Dialect::Ollama);
        request.reply.generate = generate;
        request.reply.stream = fields.read("stream", node::boolean)?.unwrap_or(true);
        if generate {
            self.prompt(&mut fields, &mut request)?;
        } else {
            request.items = fields.need("messages", |node| self.messages(node, &mut Calls::default()))?;
            request.tools = fields.read("tools", |node| self.tools(node))?.unwrap_or_default();
        }
        self.options(&mut fields, &mut request)?;
        // The gateway loads no models, so the value has no effect.
        fields.read("keep_alive", keep_alive)?;
        self.notes.unread("", fields);
        Ok(request)
    }

    /// The fields that only `/api/generate` has.
    fn prompt(&mut self, fields: &mut Fields<'_>, request: &mut Request) -> ReadResult<()> {
        refuse(fields)?;
        request.instructions = fields.read("system", node::text)?.filter(|system| !system.is_empty());
        let text = fields.read("prompt", node::text)?.unwrap_or_default();
        let mut parts = vec![text.into()];
        parts.extend(fields.read("images", |node| self.images(node))?.into_iter().flatten());
        request.items = vec![ItemKind::message(Role::User, parts).into()];
        Ok(())
    }
}

/// Whether a body asks only to load or unload a model.
fn is_load(fields: &Fields<'_>, generate: bool) -> bool {
    let none = |name| !fields.has(name) || is_empty(fields, name);
    if generate { none("prompt") && none("images") } else { none("messages") }
}

/// Refuses options that no chat model can honour.
fn refuse(fields: &mut Fields<'_>) -> ReadResult<()> {
    if fields.read("suffix", node::text)?.is_some_and(|suffix| !suffix.is_empty()) {
        return Err(
            fields.unsupported("suffix", "these models answer and do not fill in; send the whole task as prompt.")
        );
    }
    if fields.read("raw", node::boolean)? == Some(true) {
        return Err(fields.unsupported("raw", "these models have no template of their own; send a plain prompt."));
    }
    let context = fields.take("context").is_some_and(|context| context.elements().next().is_some());
    if context {
        return Err(fields.unsupported("context", "it is another server's; send the conversation to /api/chat."));
    }
    Ok(())
}

/// Whether a field is an empty string or array.
fn is_empty(fields: &Fields<'_>, name: &str) -> bool {
    fields.get(name).is_some_and(|json| matches!(json.bytes().trim_ascii(), b"\"\"" | b"[]"))
}
