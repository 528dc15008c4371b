//! Embeddings, audio and images.

use serde_json::{Value, json};

use super::field::{string, wrong_type};
use super::models::{self, Kind};
use super::{body, list, parsed};
use crate::answer::Answer;
use crate::call::{Call, header};
use crate::errors::Reject;
use crate::plan::api::Api;
use crate::responder::PIXEL;
use crate::responses::check::missing;
use crate::token;

/// The answer to one request.
pub(super) fn answer(api: Api, path: &str, call: &Call) -> Result<Answer, Reject> {
    if api == Api::Gemini {
        parsed(api, call)?;
        return google(path, body(call));
    }
    if path.ends_with("/edits") || path.ends_with("/transcriptions") || path.ends_with("/translations") {
        return upload(api, path, call);
    }
    parsed(api, call)?;
    let body = body(call);
    let of = |kind: Kind| of(api, string(body, "model", "")?, kind);
    match path {
        "/v1/embeddings" => {
            of(Kind::Embedding)?;
            embeddings(body)
        }
        "/v1/audio/speech" => {
            of(Kind::Speech)?;
            string(body, "input", "")?;
            string(body, "voice", "")?;
            // The first bytes of an MPEG audio frame; no test decodes the rest.
            Ok(Answer::typed(200, "audio/mpeg", vec![0xff, 0xfb, 0x90, 0x64, 0, 0, 0, 0]))
        }
        _ => {
            of(Kind::Image)?;
            string(body, "prompt", "")?;
            Ok(picture())
        }
    }
}

/// Checks that the model is of this kind.
fn of(api: Api, id: &str, kind: Kind) -> Result<(), Reject> {
    if models::find(api, id)?.kind == kind {
        return Ok(());
    }
    let message = format!("The model `{id}` is not supported on this endpoint.");
    Err(Reject::invalid(message, Some("model"), Some("model_not_supported")))
}

fn embeddings(body: &Value) -> Result<Answer, Reject> {
    let texts = match body.get("input") {
        Some(Value::String(_)) => 1,
        Some(Value::Array(texts)) if texts.first().is_some_and(Value::is_number) => 1,
        Some(Value::Array(texts)) if !texts.is_empty() => texts.len(),
        Some(other) => return Err(wrong_type("input", "one of a string or array of strings", other)),
        None => return Err(missing("input")),
    };
    let size = body["dimensions"].as_u64().unwrap_or(8).min(4_096);
    let base64 = body["encoding_format"] == "base64";
    let data: Vec<Value> = (0..texts)
        .map(|at| json!({ "object": "embedding", "index": at, "embedding": if base64 { packed(size) } else { vector(size) } }))
        .collect();
    let usage = json!({ "prompt_tokens": texts * 4, "total_tokens": texts * 4 });
    Ok(Answer::json(200, &json!({ "object": "list", "data": data, "model": body["model"], "usage": usage })))
}

/// A unit vector along the first axis.
fn vector(size: u64) -> Value {
    (0..size).map(|at| if at == 0 { 1.0 } else { 0.0 }).map(Value::from).collect()
}

/// The same vector as base64 of 32-bit floats.
fn packed(size: u64) -> Value {
    use base64::Engine as _;
    let bytes: Vec<u8> = (0..size).flat_map(|at| (if at == 0 { 1.0_f32 } else { 0.0 }).to_le_bytes()).collect();
    Value::String(base64::engine::general_purpose::STANDARD.encode(bytes))
}

fn picture() -> Answer {
    let usage = json!({ "input_tokens": 8, "input_tokens_details": { "image_tokens": 0, "text_tokens": 8 },
        "output_tokens": 16, "total_tokens": 24 });
    let data = [json!({ "b64_json": PIXEL })];
    Answer::json(200, &json!({ "created": token::now(), "data": data, "output_format": "png", "usage": usage }))
}

/// Requests with a file: a multipart form.
fn upload(api: Api, path: &str, call: &Call) -> Result<Answer, Reject> {
    let kind = header(&call.headers, "content-type").unwrap_or_default();
    let boundary = kind
        .split("boundary=")
        .nth(1)
        .map(|text| text.trim_matches('"'))
        .filter(|_| kind.starts_with("multipart/form-data"));
    let boundary = boundary.ok_or_else(|| Reject::invalid("Could not parse multipart form", None, None))?;
    let form = form(&call.body, boundary);
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| *value);
    let text = |name: &str| field(name).and_then(|value| std::str::from_utf8(value).ok()).ok_or_else(|| missing(name));
    let model = text("model")?;
    if path.ends_with("/edits") {
        of(api, model, Kind::Image)?;
        text("prompt")?;
        field("image").or_else(|| field("image[]")).ok_or_else(|| missing("image"))?;
        return Ok(picture());
    }
    of(api, model, Kind::Transcription)?;
    let file = field("file").ok_or_else(|| missing("file"))?;
    let transcript = format!("I heard {} bytes.", file.len());
    Ok(match text("response_format") {
        Ok("text") => Answer::typed(200, "text/plain; charset=utf-8", format!("{transcript}\n")),
        _ => Answer::json(200, &json!({ "text": transcript, "usage": { "type": "duration", "seconds": 1 } })),
    })
}

/// Names and values of a form.
fn form<'a>(body: &'a [u8], boundary: &str) -> Vec<(String, &'a [u8])> {
    let mark = format!("--{boundary}");
    let ends: Vec<usize> = memchr::memmem::find_iter(body, mark.as_bytes()).collect();
    let between = ends.windows(2).map(|pair| &body[pair[0] + mark.len()..pair[1]]);
    between
        .filter_map(|part| {
            let at = memchr::memmem::find(part, b"\r\n\r\n")?;
            let head = std::str::from_utf8(&part[..at]).ok()?;
            let name = head.split("; name=\"").nth(1)?.split('"').next()?;
            let value = &part[at + 4..];
            Some((name.to_owned(), value.strip_suffix(b"\r\n").unwrap_or(value)))
        })
        .collect()
}

/// `embedContent` and `batchEmbedContents`.
fn google(path: &str, body: &Value) -> Result<Answer, Reject> {
    let model = super::model_in_path(Api::Gemini, path).unwrap_or_default();
    if models::find(Api::Gemini, model)?.kind != Kind::Embedding {
        return Err(Api::Gemini.refusal(404, &format!("models/{model} is not supported for embedContent.")));
    }
    let one = || json!({ "values": vector(8) });
    if path.ends_with(":batchEmbedContents") {
        let count = list(body, "requests").len();
        return Ok(Answer::json(200, &json!({ "embeddings": (0..count).map(|_| one()).collect::<Vec<_>>() })));
    }
    if body["content"]["parts"].as_array().is_none_or(Vec::is_empty) {
        return Err(Api::Gemini.refusal(400, "* EmbedContentRequest.content: content is empty"));
    }
    Ok(Answer::json(200, &json!({ "embedding": one() })))
}
