//! Google Gemini: model and method are in the path, the format of a stream is in the query.

use bytes::Bytes;
use http::HeaderMap;
use proto::{Failure, Json, Kind};
use serde::Serialize;
use wire_body::offload;

use super::count::count;
use super::run::{json_about_model, receive};
use crate::query;
use crate::response::HandlerResult;
use crate::route::RequestContext;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Counted {
    total_tokens: u64,
    prompt_tokens_details: [Details; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    modality: &'static str,
    token_count: u64,
}

/// The requested format of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StreamFormat {
    /// One JSON array with one element for each chunk.
    Array,
    /// Server-sent events.
    Events,
}

/// `POST .../models/{name}:generateContent`
pub(crate) async fn generate(ctx: RequestContext) -> HandlerResult {
    stream_format(&ctx)?;
    call(ctx, None).await
}

/// `POST .../models/{name}:streamGenerateContent`
pub(crate) async fn stream(ctx: RequestContext) -> HandlerResult {
    let form = stream_format(&ctx)?;
    call(ctx, Some(form)).await
}

/// `POST .../models/{name}:countTokens`
pub(crate) async fn count_tokens(ctx: RequestContext) -> HandlerResult {
    let model = model(&ctx.param).to_owned();
    let (call, body) = receive(ctx).await?;
    let (mut request, _) = call.read(counted_request(body).await?).await?;
    request.model = Some(model);
    let (model, total_tokens) = count(&call, request).await?;
    let details = Details { modality: "TEXT", token_count: total_tokens };
    Ok(json_about_model(&model, &Counted { total_tokens, prompt_tokens_details: [details] }))
}

/// `POST .../models/{name}` with any other method of a model, or without a method.
pub(crate) async fn unknown_method(ctx: RequestContext) -> HandlerResult {
    let method = ctx.param.rsplit_once(':').map_or("", |(_, method)| method);
    let method: String = method.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
    let known = "generateContent, streamGenerateContent and countTokens are";
    let message = format!("The method '{method}' is not served here; {known}");
    Err(Failure::new(Kind::NotFound, message).into())
}

async fn call(ctx: RequestContext, form: Option<StreamFormat>) -> HandlerResult {
    let model = model(&ctx.param).to_owned();
    let framed_errors = reads_framed_errors(&ctx.parts.headers);
    let (call, body) = receive(ctx).await?;
    let (mut request, notes) = call.read(body).await?;
    request.model = Some(model);
    request.reply.framed_errors = framed_errors;
    request.reply.stream = form.is_some();
    request.reply.array = form == Some(StreamFormat::Array);
    call.answer(request, notes, None).await
}

/// The model that a path names, without the collection at the beginning of a resource name.
pub(super) fn model(param: &str) -> &str {
    param.strip_prefix("models/").unwrap_or(param)
}

/// Whether the client looks for errors in the frames of a stream. Google's SDK for JavaScript does so since 2.32 (read in its source on
/// 2026-11-22); it finds errors between frames only if they arrive in a separate read.
fn reads_framed_errors(headers: &HeaderMap) -> bool {
    let value = headers.get("x-goog-api-client").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut products = value.split_ascii_whitespace();
    let since = |version: &str| {
        let mut parts = version.split('.').map_while(|part| part.parse::<u32>().ok());
        (parts.next(), parts.next()) >= (Some(2), Some(32))
    };
    value.contains("gl-node/") && products.any(|product| product.strip_prefix("google-genai-sdk/").is_some_and(since))
}

/// The value of `alt`, or of `$alt`, the spelling of older clients.
fn stream_format(ctx: &RequestContext) -> Result<StreamFormat, Failure> {
    let value = query::single(&ctx.parts, "alt").or_else(|| query::single(&ctx.parts, "$alt"));
    match value.as_deref() {
        None | Some("json") => Ok(StreamFormat::Array),
        Some("sse") => Ok(StreamFormat::Events),
        Some(_) => Err(Failure::new(Kind::Invalid, "'alt' is either json or sse").at("alt")),
    }
}

/// The request whose tokens are to be counted: the body itself, or the request inside the body.
async fn counted_request(body: Bytes) -> Result<Bytes, Failure> {
    let len = body.len();
    let work = move || {
        proto::json::check(&body)?;
        let whole = Json::from_valid(body.clone());
        let carried = whole.get("generateContentRequest").or_else(|| whole.get("generate_content_request"));
        Ok(carried.map_or(body, |json| json.bytes().clone()))
    };
    offload(len, work).await
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};
    use rstest::rstest;

    use super::reads_framed_errors;

    #[rstest]
    #[case::first("google-genai-sdk/2.32.0 gl-node/v24.1.0", true)]
    #[case::later("google-genai-sdk/3.1.0 gl-node/v24.1.0", true)]
    #[case::behind_others("my-app/1.0 google-genai-sdk/10.0.0 gl-node/web", true)]
    #[case::earlier("google-genai-sdk/2.30.0 gl-node/v24.1.0", false)]
    #[case::gemini_cli("google-genai-sdk/1.30.0 gl-node/v24.1.0", false)]
    #[case::python("google-genai-sdk/3.4.0 gl-python/3.12.1", false)]
    #[case::unknown("google-genai-sdk/next gl-node/v24.1.0", false)]
    #[case::other("gl-node/v24.1.0", false)]
    fn later_sdks_for_javascript_read_framed_errors(#[case] value: &'static str, #[case] framed: bool) {
        let headers = HeaderMap::from_iter([("x-goog-api-client".parse().unwrap(), HeaderValue::from_static(value))]);
        assert_eq!(reads_framed_errors(&headers), framed);
        assert!(!reads_framed_errors(&HeaderMap::new()));
    }
}
