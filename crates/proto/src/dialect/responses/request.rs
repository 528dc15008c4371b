//! Reads a `/v1/responses` body. Every value that the canonical model does not name is kept, in `rest` and in `raw`.

use bytes::Bytes;

use super::{item, tool};
use crate::canon::{Item, ItemKind, Reasoning, Request, Role};
use crate::dialect::Dialect;
use crate::failure::Failure;
use crate::json::node::{self, Node, ReadResult};
use crate::json::{self, Path, Shape};
use crate::notes::Notes;
use crate::text::Json;

/// Most items in one conversation.
pub const MOST_ITEMS: usize = 100_000;
/// Sampling fields; their names are the same here and in the canonical model.
const SAMPLING: [&str; 7] =
    ["temperature", "top_p", "top_logprobs", "frequency_penalty", "presence_penalty", "seed", "logit_bias"];

/// The type of a WebSocket message that is a request.
pub(super) const CREATE: &str = "response.create";

/// Reads a request body.
pub(crate) fn read(body: Bytes) -> Result<(Request, Notes), Failure> {
    json::check(&body)?;
    let json = Json::from_valid(body.clone());
    let mut request = Request { raw: Some(body), origin: Some(Dialect::Responses), ..Request::default() };
    for (key, value) in json.fields() {
        let key = key.plain();
        let path = Path::ROOT.field(&key);
        let node = Node::new(&value, &path);
        if node.is(Shape::Null) || known(&mut request, &key, node)? {
            continue;
        }
        match SAMPLING.iter().find(|name| **name == key) {
            Some(name) => request.sampling.push((name, sampling(&key, node)?)),
            None => request.rest.push((key.into_owned(), value.clone())),
        }
    }
    let continued =
        request.previous.is_some() || request.rest.iter().any(|(key, _)| key == "prompt" || key == "conversation");
    if request.items.is_empty() && !continued && json.get("input").is_none() {
        return Err(Path::ROOT.field("input").missing());
    }
    Ok((request, Notes::default()))
}

/// Reads the field `key` if the canonical model has a place for it.
fn known(request: &mut Request, key: &str, node: Node<'_>) -> ReadResult<bool> {
    match key {
        "model" => request.model = Some(node.string()?),
        "instructions" => request.instructions = Some(node.text()?).filter(|text| !text.is_empty()),
        "input" => request.items = input(node)?,
        "tools" => request.tools = tool::list(node)?,
        "tool_choice" => request.tool_choice = Some(tool::choice(node)?.0),
        "parallel_tool_calls" => request.parallel = Some(node.boolean()?),
        "reasoning" => request.reasoning = reasoning(node)?,
        "text" => text(request, node)?,
        "max_output_tokens" => request.limits.max_tokens = Some(node.positive()?),
        "max_completion_tokens" | "max_tokens" => {
            let limit = node.positive()?;
            request.limits.max_tokens.get_or_insert(limit);
        }
        "stop" => request.limits.stop = stop(node)?,
        "prompt_cache_key" => request.cache_key = Some(node.text()?),
        "service_tier" => request.tier = Some(node.string()?),
        "previous_response_id" => request.previous = Some(node.string()?),
        "store" => request.store = Some(node.boolean()?),
        "stream" => request.reply.stream = node.boolean()?,
        "generate" => request.reply.prewarm = !node.boolean()?,
        // The type of a body that comes as a WebSocket message.
        "type" if node.is(Shape::String) && node.text()?.is(CREATE) => {}
        _ => return Ok(false),
    }
    Ok(true)
}

/// Reads `input`: a string, or a list of items.
pub(crate) fn input(node: Node<'_>) -> ReadResult<Vec<Item>> {
    if node.is(Shape::String) {
        return Ok(vec![ItemKind::message(Role::User, vec![node.text()?.into()]).into()]);
    }
    if node.is(Shape::Array) {
        node.each(MOST_ITEMS, item::read)
    } else {
        Err(node.wrong("a string or an array of items"))
    }
}

fn reasoning(node: Node<'_>) -> ReadResult<Reasoning> {
    let mut fields = node.object()?;
    let effort = fields.read("effort", node::string)?;
    let summary = fields.read("summary", node::string)?;
    Ok(Reasoning { effort, summary })
}

fn text(request: &mut Request, node: Node<'_>) -> ReadResult<()> {
    let mut fields = node.object()?;
    request.format = fields.read("format", tool::format)?.flatten();
    request.verbosity = fields.read("verbosity", node::string)?;
    Ok(())
}

fn stop(node: Node<'_>) -> ReadResult<Vec<String>> {
    let words = if node.is(Shape::String) { vec![node.string()?] } else { node.each(16, node::string)? };
    Ok(words.into_iter().filter(|word| !word.is_empty()).collect())
}

fn sampling(key: &str, node: Node<'_>) -> ReadResult<Json> {
    let (shape, name) = if key == "logit_bias" { (Shape::Object, "an object") } else { (Shape::Number, "a number") };
    node.shaped(shape, name)
}
