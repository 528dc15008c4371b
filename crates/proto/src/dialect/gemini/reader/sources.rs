//! Turns grounding and citation metadata into citations in the responses form. Google counts in bytes of UTF-8, the canon in characters.

use crate::json::emit;
use crate::text::{Json, Text};

/// The citations of a message whose text is `text`.
pub(super) fn citations(grounding: Option<&Json>, cited: Option<&Json>, text: &Text) -> Vec<Json> {
    let plain = text.plain();
    let mut all = Vec::new();
    if let Some(grounding) = grounding {
        push_grounding_citations(grounding, &plain, &mut all);
    }
    let sources = cited.and_then(|cited| cited.get("citationSources").or_else(|| cited.get("citations")));
    for source in sources.iter().flat_map(Json::elements) {
        let Some(url) = source.text("uri").filter(|url| !url.is_empty()) else { continue };
        let range = (count(&source, "startIndex"), count(&source, "endIndex"));
        all.push(citation((&url, source.text("title").as_ref()), characters(&plain, range)));
    }
    all
}

/// The search in the metadata, in the responses form.
pub(super) fn search(grounding: &Json) -> Option<Json> {
    let queries = grounding.get("webSearchQueries");
    let queries: Vec<Text> = queries.iter().flat_map(Json::elements).filter_map(|query| query.as_text()).collect();
    let first = queries.first()?;
    Some(emit::json(|writer| {
        writer.string("type", "search");
        writer.text("query", first);
        if queries.len() > 1 {
            writer.array("queries", &queries, emit::quote);
        }
    }))
}

fn push_grounding_citations(grounding: &Json, plain: &str, all: &mut Vec<Json>) {
    let chunks: Vec<Json> = grounding.get("groundingChunks").iter().flat_map(Json::elements).collect();
    let source = |at: u64| {
        let chunk = chunks.get(usize::try_from(at).ok()?)?;
        let page = chunk.get("web").or_else(|| chunk.get("retrievedContext"))?;
        Some((page.text("uri").filter(|uri| !uri.is_empty())?, page.text("title")))
    };
    for support in grounding.get("groundingSupports").iter().flat_map(Json::elements) {
        let segment = support.get("segment");
        let number = |name| segment.as_ref().map_or(0, |segment| count(segment, name));
        let range = characters(plain, (number("startIndex"), number("endIndex")));
        for at in support.get("groundingChunkIndices").iter().flat_map(Json::elements) {
            if let Some((url, title)) = at.as_u64().and_then(source) {
                all.push(citation((&url, title.as_ref()), range));
            }
        }
    }
}

fn count(json: &Json, name: &str) -> usize {
    json.get(name).and_then(|value| value.as_u64()).and_then(|value| usize::try_from(value).ok()).unwrap_or(0)
}

/// Byte offsets as character offsets.
fn characters(plain: &str, (start, end): (usize, usize)) -> (u64, u64) {
    let count = |at: usize| plain[..plain.floor_char_boundary(at)].chars().count() as u64;
    (count(start), count(end))
}

fn citation((url, title): (&Text, Option<&Text>), (start, end): (u64, u64)) -> Json {
    emit::json(|writer| {
        writer.string("type", "url_citation");
        writer.number("start_index", start);
        writer.number("end_index", end);
        writer.text("url", url);
        // OpenAI's citations always have a title.
        writer.text("title", title.unwrap_or(url));
    })
}
