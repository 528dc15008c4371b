//! `POST /backend-api/codex/alpha/search`: a web search without a model. The body has the form of openai/codex's
//! `codex-api/src/search.rs` and of the client 0.169.0; a bare `query` or `queries` is accepted, too.

use serde_json::{Value, json};

use super::check;
use crate::answer::Answer;
use crate::call::Call;
use crate::errors::Reject;
use crate::responder::PAGE;

/// Answers with one page per query.
pub(crate) fn answer(call: &Call) -> Result<Answer, Reject> {
    let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let bare = [body["query"].clone()].into_iter().chain(list(&body["queries"]));
    let asked = list(&body["commands"]["search_query"]).into_iter().map(|query| query["q"].clone());
    let queries: Vec<String> = bare.chain(asked).filter_map(|query| query.as_str().map(str::to_owned)).collect();
    if queries.is_empty() {
        return Err(check::missing("commands.search_query"));
    }
    let (url, title) = PAGE;
    let result = |query: &String| json!({ "title": title, "url": url, "snippet": format!("About {query}.") });
    let results: Vec<Value> = queries.iter().map(result).collect();
    let output: Vec<String> = queries.iter().map(|query| format!("{title} ({url}): About {query}.")).collect();
    Ok(Answer::json(200, &json!({ "output": output.join("\n"), "encrypted_output": null, "results": results })))
}
