//! Terms and encodings of this dialect that readers and writers share.

use crate::canon::{Finish, Usage};
use crate::json::emit::{self, ObjectWriter};
use crate::text::{Json, Text};

/// The name of the hosted search tool, in tools and in calls.
pub(super) const SEARCH: &str = "web_search";

/// The type of the block with the results of a search.
pub(super) const RESULTS: &str = "web_search_tool_result";

/// The facts of a reply that decide its `stop_reason`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StopSignals {
    /// Whether the client has a call to answer.
    pub(super) calls: bool,
    /// Whether the model refused in its own text.
    pub(super) refused: bool,
    /// Whether a stop sequence ended the reply.
    pub(super) stopped: bool,
}

/// The `stop_reason`. A reply that ends well and has calls waits for their results, whatever reason the upstream gives.
pub(super) fn reason(finish: Finish, stop_signals: StopSignals) -> &'static str {
    match finish {
        Finish::Length => "max_tokens",
        Finish::Filter => "refusal",
        Finish::Stop if stop_signals.stopped => "stop_sequence",
        Finish::Stop | Finish::ToolCalls if stop_signals.calls => "tool_use",
        Finish::Stop if stop_signals.refused => "refusal",
        Finish::Stop | Finish::ToolCalls | Finish::Cancelled => "end_turn",
    }
}

/// The finish that a `stop_reason` means.
pub(super) fn finish(reason: &Text) -> Finish {
    match reason.plain().as_ref() {
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "tool_use" => Finish::ToolCalls,
        "refusal" => Finish::Filter,
        // `end_turn`, `stop_sequence`, and `pause_turn`, which has no equivalent in other dialects.
        _ => Finish::Stop,
    }
}

/// The members of a `usage` object. Anthropic counts cached tokens beside the input, not in it.
pub(super) fn usage(writer: &mut ObjectWriter<'_>, usage: &Usage, searches: u64) {
    let input = usage.input.saturating_sub(usage.cached).saturating_sub(usage.cache_write);
    writer.number("input_tokens", input);
    writer.number("cache_creation_input_tokens", usage.cache_write);
    writer.number("cache_read_input_tokens", usage.cached);
    writer.number("output_tokens", usage.output);
    if searches > 0 {
        writer.object("server_tool_use", |writer| {
            writer.number("web_search_requests", searches);
            writer.literal("web_fetch_requests", "0");
        });
    }
}

/// A URL citation as `web_search_result_location`; `None` for kinds that this dialect does not know.
pub(super) fn citation(data: &Json) -> Option<Json> {
    let (url, title) = cited(data)?;
    Some(emit::json(|writer| {
        writer.string("type", "web_search_result_location");
        // The text of the source is unknown; only the answer's text about it is known.
        writer.string("cited_text", "");
        writer.text("url", &url);
        writer.text("title", title.as_ref().unwrap_or(&url));
        writer.string("encrypted_index", "");
    }))
}

/// URL and title of a `url_citation`, flat or nested.
pub(super) fn cited(data: &Json) -> Option<(Text, Option<Text>)> {
    if !data.text("type")?.is("url_citation") {
        return None;
    }
    let body = data.get("url_citation").unwrap_or_else(|| data.clone());
    Some((body.text("url")?, body.text("title").filter(|title| !title.is_empty())))
}

/// A `web_search_result_location` as `url_citation` on the first `length` characters; `None` for citations of documents.
pub(super) fn flat_citation(data: &Json, length: usize) -> Option<Json> {
    let url = data.text("url")?;
    Some(emit::json(|writer| {
        writer.string("type", "url_citation");
        writer.literal("start_index", "0");
        writer.number("end_index", length as u64);
        writer.text("url", &url);
        writer.text("title", &data.text("title").unwrap_or_default());
    }))
}

/// The sources of a search that a responses `action` names.
pub(super) fn sources(action: &Json) -> Vec<(Text, Option<Text>)> {
    let list = action.get("sources").into_iter().flat_map(|sources| sources.elements());
    list.filter_map(|source| Some((source.text("url")?, source.text("title")))).collect()
}

/// The content of a `web_search_tool_result`. Only Anthropic could read the fields that Anthropic encrypts.
pub(super) fn results(writer: &mut ObjectWriter<'_>, key: &str, sources: &[(Text, Option<Text>)]) {
    writer.array(key, sources, |out, (url, title)| {
        emit::object(out, |writer| {
            writer.string("type", "web_search_result");
            writer.text("title", title.as_ref().unwrap_or(url));
            writer.text("url", url);
            writer.string("encrypted_content", "");
            writer.literal("page_age", "null");
        });
    });
}

/// The query of a responses `action`; `None` for an action that is not a search.
pub(super) fn query(action: &Json) -> Option<Text> {
    if !action.text("type")?.is("search") {
        return None;
    }
    let first = || action.get("queries")?.elements().next()?.as_text();
    Some(action.text("query").or_else(first).unwrap_or_default())
}

/// A `search` action of the responses dialect.
pub(super) fn action(query: &Text, sources: &[Text]) -> Json {
    emit::json(|writer| {
        writer.string("type", "search");
        writer.text("query", query);
        if !sources.is_empty() {
            writer.array("sources", sources, |out, url| {
                emit::object(out, |writer| {
                    writer.string("type", "url");
                    writer.text("url", url);
                });
            });
        }
    })
}
