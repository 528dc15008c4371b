//! Legacy text completions, `POST /v1/completions`: a bare prompt in, `text_completion` objects out. The prompt becomes a user message; the
//! answer has no fields for reasoning and calls.

#[cfg(test)]
mod tests;
mod writer;

use bytes::{Bytes, BytesMut};

use super::encode;
use super::request::{Common, stream_options};
use crate::canon::{Finish, ItemKind, Request, Role};
use crate::dialect::collected::{Collected, Refusals};
use crate::dialect::{Dialect, ReplySetting};
use crate::failure::Failure;
use crate::fold::Whole;
use crate::json::emit::{self, ObjectWriter};
use crate::json::node::{self, Fields, Node, ReadResult};
use crate::json::{Path, Shape};
use crate::notes::Notes;
use crate::text::{Json, Text};
pub use writer::Writer;

/// Fields that are refused unless they are empty or off: no chat model's answer could honour them.
const REFUSED: [(&str, &str); 3] = [
    ("echo", "the prompt is not repeated in answers."),
    ("suffix", "text is not inserted before another."),
    ("logprobs", "probabilities of tokens are not known."),
];

/// Reads a request body. Errors: `Invalid` with the name of the offending field.
pub fn read(body: &Bytes) -> Result<(Request, Notes), Failure> {
    crate::json::check(body)?;
    let json = Json::from_valid(body.clone());
    let mut fields = Node::new(&json, &Path::ROOT).object()?;
    refuse(&mut fields)?;
    let mut request = Request { model: fields.read("model", node::string)?, ..Request::default() };
    request.origin = Some(Dialect::Chat);
    request.reply.generate = true;
    request.reply.stream = fields.read("stream", node::boolean)?.unwrap_or(false);
    request.reply.include_usage = fields.read("stream_options", stream_options)?.unwrap_or(false);
    let text = fields.need("prompt", prompt)?;
    let parts = vec![text.into()];
    request.items.push(ItemKind::message(Role::User, parts).into());
    let Common { limits, sampling, key } = Common::read(&mut fields)?;
    (request.limits, request.sampling, request.cache_key) = (limits, sampling, key);
    request.rest = fields.rest().map(|(name, json)| (name.plain().into_owned(), json)).collect();
    Ok((request, Notes::default()))
}

fn refuse(fields: &mut Fields<'_>) -> ReadResult<()> {
    for name in ["n", "best_of"] {
        if fields.read(name, node::positive)?.is_some_and(|count| count > 1) {
            return Err(fields.unsupported(name, "only one choice is supported."));
        }
    }
    for (name, why) in REFUSED {
        let idle = |value: &Json| value.is_null() || matches!(value.as_str(), "false" | "\"\"");
        if fields.take(name).is_some_and(|value| !idle(&value)) {
            return Err(fields.unsupported(name, why));
        }
    }
    Ok(())
}

/// A text, or a list of one text.
fn prompt(node: Node<'_>) -> ReadResult<Text> {
    if node.is(Shape::String) {
        return node.filled();
    }
    if !node.is(Shape::Array) {
        return Err(node.wrong("a string, or an array of one string"));
    }
    let mut texts = node.each(2, |node| {
        if node.is(Shape::String) {
            node.filled()
        } else {
            Err(node.unsupported("prompts of token numbers are not read."))
        }
    })?;
    match (texts.pop(), texts.is_empty()) {
        (Some(text), true) => Ok(text),
        _ => Err(node.unsupported("one prompt at a time is supported.")),
    }
}

/// Writes a collected reply.
pub(super) fn whole(whole: &Whole, setting: &ReplySetting) -> Bytes {
    let text = Collected::of(&whole.items, Refusals::InText).text;
    let created = setting.shown_time(whole.created);
    let mut out = BytesMut::with_capacity(text.len() + 512);
    emit::object(&mut out, |writer| {
        head(writer, setting, (whole.model.as_ref(), created));
        let finish = encode::reason(whole.finish.unwrap_or(Finish::Stop), false, false);
        writer.array("choices", [()], |out, ()| emit::object(out, |writer| choice(writer, &text, Some(finish))));
        if let Some(usage) = &whole.usage {
            writer.object("usage", |writer| encode::usage(writer, usage));
        }
    });
    out.freeze()
}

/// The first members of every object of a reply.
fn head(writer: &mut ObjectWriter<'_>, setting: &ReplySetting, (model, created): (Option<&Text>, u64)) {
    writer.string("id", &setting.id);
    writer.string("object", "text_completion");
    writer.number("created", created);
    writer.text("model", &setting.shown_model(model));
}

/// The members of the one choice; `text` is escaped.
fn choice(writer: &mut ObjectWriter<'_>, text: &[u8], finish: Option<&str>) {
    writer.escaped("text", text);
    writer.literal("index", "0");
    writer.literal("logprobs", "null");
    writer.nullable("finish_reason", finish, ObjectWriter::string);
}
