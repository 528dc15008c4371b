//! Messages request body to canonical request.

mod content;
mod documents;
mod history;
mod options;
mod tools;

use bytes::Bytes;

use crate::canon::Request;
use crate::dialect::Dialect;
use crate::failure::Failure;
use crate::json::Path;
use crate::json::node::{self, Fields, Node, ReadResult};
use crate::notes::Notes;
use crate::text::Json;

/// The code that tells Anthropic's SDKs to continue without a thread.
pub(super) const NO_THREAD: &str = "thread_unsupported_request";

/// Reads a messages request.
pub(super) fn read(body: &Bytes) -> Result<(Request, Notes), Failure> {
    crate::json::check(body)?;
    let json = Json::from_valid(body.clone());
    let mut scope = Scope::default();
    let request = scope.request(Node::new(&json, &Path::ROOT))?;
    Ok((request, scope.notes))
}

/// The state that the readers of the single values share.
#[derive(Default)]
struct Scope {
    notes: Notes,
}

impl Scope {
    fn request(&mut self, node: Node<'_>) -> ReadResult<Request> {
        let mut fields = node.object()?;
        let mut request = Request { model: fields.read("model", node::string)?, ..Request::default() };
        request.origin = Some(Dialect::Messages);
        request.raw = Some(node.json().bytes().clone());
        request.reply.stream = fields.read("stream", node::boolean)?.unwrap_or(false);
        fields.read("thread", thread)?;
        request.instructions = fields.read("system", |node| self.system(node))?.flatten();
        request.items = fields.need("messages", |node| self.messages(node))?;
        self.tools(&mut fields, &mut request)?;
        self.options(&mut fields, &mut request)?;
        // Where this field is allowed, it is advice on caching, and every upstream of ours caches by itself.
        fields.take("cache_control");
        request.rest = fields.rest().map(|(name, json)| (name.plain().into_owned(), json)).collect();
        request.rest.retain(|(_, json)| !json.is_null());
        Ok(request)
    }

    /// Notes members that no reader uses, except advice on caching.
    fn unread(&mut self, path: &str, mut fields: Fields<'_>) {
        fields.take("cache_control");
        self.notes.unread(path, fields);
    }
}

/// The client holds the conversation: the upstream would answer half a conversation as if it were complete.
fn thread(node: Node<'_>) -> ReadResult<()> {
    Err(node.bad("Conversations are not held here; send the whole of it, without `thread`").code(NO_THREAD))
}
