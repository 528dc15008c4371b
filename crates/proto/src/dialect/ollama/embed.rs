//! Embeddings: turns Ollama's requests into OpenAI's, which every relay with embeddings accepts, and the answers back.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use super::request::keep_alive;
use crate::failure::{Failure, Kind};
use crate::json::emit::{self, ObjectWriter};
use crate::json::node::{self, Node, ReadResult};
use crate::json::{Path, Shape};
use crate::notes::Notes;
use crate::text::Json;

/// A request for embeddings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Embed {
    /// The model's name as the client wrote it.
    pub model: String,
    /// OpenAI's body; `None` when there is nothing to embed, which only loads a model.
    pub body: Option<Bytes>,
    /// Whether the request came to `/api/embeddings`, which takes one text and returns one vector.
    pub single: bool,
    /// The fields without a counterpart in OpenAI's API: `truncate`, `options`.
    pub notes: Notes,
}

/// Reads a body of `/api/embed`, or of `/api/embeddings` when `single`. Errors: `Invalid` with the path of the offending field.
pub fn read(body: &Bytes, single: bool) -> Result<Embed, Failure> {
    crate::json::check(body)?;
    let json = Json::from_valid(body.clone());
    let mut fields = Node::new(&json, &Path::ROOT).object()?;
    let model = fields.need("model", node::string)?;
    fields.read("keep_alive", keep_alive)?;
    let input = fields.read(if single { "prompt" } else { "input" }, |node| texts(node, single))?.flatten();
    let dimensions = fields.read("dimensions", node::positive)?;
    let mut notes = Notes::default();
    notes.unread("", fields);
    let body = input.map(|input| {
        let mut out = BytesMut::with_capacity(input.bytes().len() + 128);
        emit::object(&mut out, |writer| {
            writer.string("model", &model);
            writer.json("input", &input);
            writer.string("encoding_format", "float");
            writer.optional("dimensions", dimensions, ObjectWriter::number);
        });
        out.freeze()
    });
    Ok(Embed { model, body, single, notes })
}

/// A text, or a list of texts where lists are allowed; `None` when there is nothing to embed.
fn texts(node: Node<'_>, single: bool) -> ReadResult<Option<Json>> {
    if !single && node.is(Shape::Array) {
        let count = node.each(usize::MAX, node::text)?.len();
        return Ok((count > 0).then(|| node.json()));
    }
    let expected = if single { "a string" } else { "a string or an array of strings" };
    let text = node.text().map_err(|_| node.wrong(expected))?;
    Ok((!text.is_empty()).then(|| node.json()))
}

impl Embed {
    /// The relay's answer in Ollama's shape; without an answer, the reply to a load. `took` counts from the request. Errors: `Upstream`
    /// when the answer has no vectors.
    pub fn answer(&self, answer: Option<&Bytes>, took: Duration) -> Result<Bytes, Failure> {
        let vectors = answer.map_or_else(|| Ok(Vec::new()), vectors)?;
        let mut out =
            BytesMut::with_capacity(vectors.iter().map(|vector| vector.bytes().len() + 1).sum::<usize>() + 128);
        emit::object(&mut out, |writer| {
            if self.single {
                let first = vectors.first().cloned().unwrap_or_else(|| Json::from_valid(Bytes::from_static(b"[]")));
                return writer.json("embedding", &first);
            }
            writer.string("model", &self.model);
            writer.array("embeddings", &vectors, |out, vector| out.put_slice(vector.bytes()));
            writer.number("total_duration", u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
            writer.number("load_duration", 0);
            writer.number("prompt_eval_count", answer.and_then(tokens).unwrap_or(0));
        });
        Ok(out.freeze())
    }
}

/// The vectors of OpenAI's answer, in the order of the input texts.
fn vectors(answer: &Bytes) -> Result<Vec<Json>, Failure> {
    let nonsense = || Failure::new(Kind::Upstream, "The relay's answer holds no embeddings.").code("upstream_protocol");
    if !crate::json::valid(answer) {
        return Err(nonsense());
    }
    let data = Json::from_valid(answer.clone()).get("data").ok_or_else(nonsense)?;
    let vector = |(position, element): (u64, Json)| {
        let vector = element.get("embedding").filter(|vector| vector.shape() == Shape::Array)?;
        Some((element.get("index").and_then(|index| index.as_u64()).unwrap_or(position), vector))
    };
    let mut vectors: Vec<(u64, Json)> =
        (0..).zip(data.elements()).map(vector).collect::<Option<_>>().ok_or_else(nonsense)?;
    vectors.sort_by_key(|(index, _)| *index);
    Ok(vectors.into_iter().map(|(_, vector)| vector).collect())
}

fn tokens(answer: &Bytes) -> Option<u64> {
    Json::from_valid(answer.clone()).get("usage")?.get("prompt_tokens")?.as_u64()
}
