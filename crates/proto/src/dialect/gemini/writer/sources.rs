//! Turns citations and searches into grounding metadata. The canon counts in characters, Google in bytes of UTF-8 over the whole answer's
//! text.

use bytes::BytesMut;

use crate::json::Shape;
use crate::json::emit::{self, ObjectWriter};
use crate::text::{Json, Text};

/// The sources of one reply.
#[derive(Debug, Default)]
pub(in super::super) struct Sources {
    /// Citations that wait for their text: output index, part index.
    waiting: Vec<((u32, u32), Json)>,
    /// Bytes of the texts so far.
    before: u64,
    /// URL and title of each source.
    chunks: Vec<(Text, Option<Text>)>,
    /// Start byte, end byte, text, and index of the source.
    supports: Vec<(u64, u64, Text, usize)>,
    queries: Vec<Text>,
}

impl Sources {
    /// Adds a citation.
    pub(in super::super) fn cite(&mut self, key: (u32, u32), data: &Json) {
        self.waiting.push((key, data.clone()));
    }

    /// Adds the whole text of a part, with its citations if they come with the text.
    pub(in super::super) fn text(&mut self, key: (u32, u32), text: &Text, annotations: Option<&Json>) {
        let plain = text.plain();
        let is_cited = self.waiting.iter().any(|(other, _)| *other == key);
        let own: Vec<Json> = annotations.filter(|_| !is_cited).into_iter().flat_map(Json::elements).collect();
        let waiting = std::mem::take(&mut self.waiting);
        let (here, elsewhere) = waiting.into_iter().partition(|(other, _)| *other == key);
        self.waiting = elsewhere;
        let here: Vec<((u32, u32), Json)> = here;
        for data in own.iter().chain(here.iter().map(|(_, data)| data)) {
            self.add(data, &plain);
        }
        self.before += plain.len() as u64;
    }

    /// Adds a search.
    pub(in super::super) fn searched(&mut self, action: Option<&Json>) {
        let query = action.and_then(|action| action.text("query")).filter(|query| !query.is_empty());
        let many = action.and_then(|action| action.get("queries"));
        let many = many.iter().flat_map(Json::elements).filter_map(|query| query.as_text());
        for query in query.into_iter().chain(many) {
            if !self.queries.contains(&query) {
                self.queries.push(query);
            }
        }
    }

    fn add(&mut self, data: &Json, plain: &str) {
        // Chat nests the citation.
        let nested = data.get("url_citation").filter(|nested| nested.shape() == Shape::Object);
        let data = nested.as_ref().unwrap_or(data);
        let Some(url) = data.text("url") else { return };
        let known = self.chunks.iter().position(|(other, _)| *other == url);
        let number = known.unwrap_or_else(|| {
            self.chunks.push((url, data.text("title")));
            self.chunks.len() - 1
        });
        let byte = |name| {
            let at = data.get(name).and_then(|at| at.as_u64()).and_then(|at| usize::try_from(at).ok()).unwrap_or(0);
            plain.char_indices().nth(at).map_or(plain.len(), |(byte, _)| byte)
        };
        let (start, end) = (byte("start_index"), byte("end_index"));
        let cited = Text::from_plain(plain.get(start..end).unwrap_or_default());
        self.supports.push((self.before + start as u64, self.before + end.max(start) as u64, cited, number));
    }

    /// The metadata, if there is any.
    pub(in super::super) fn grounding(&self) -> Option<Json> {
        if self.chunks.is_empty() && self.queries.is_empty() {
            return None;
        }
        Some(emit::json(|writer| {
            if !self.queries.is_empty() {
                writer.array("webSearchQueries", &self.queries, emit::quote);
            }
            writer.array("groundingChunks", &self.chunks, |out, (url, title)| {
                emit::object(out, |writer| writer.object("web", |writer| web(writer, url, title.as_ref())));
            });
            writer.array("groundingSupports", &self.supports, support);
        }))
    }
}

fn web(writer: &mut ObjectWriter<'_>, url: &Text, title: Option<&Text>) {
    writer.text("uri", url);
    writer.optional_text("title", title);
}

fn support(out: &mut BytesMut, (start, end, text, number): &(u64, u64, Text, usize)) {
    emit::object(out, |writer| {
        writer.object("segment", |writer| {
            writer.number("startIndex", *start);
            writer.number("endIndex", *end);
            writer.text("text", text);
        });
        writer.array("groundingChunkIndices", [*number as u64], emit::digits);
    });
}
