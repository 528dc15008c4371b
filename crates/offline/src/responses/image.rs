//! Images: `POST /backend-api/codex/images/generations` and `/edits`.

use serde_json::{Map, Value, json};

use super::check;
use crate::account::Login;
use crate::answer::Answer;
use crate::call::Call;
use crate::errors::Reject;
use crate::responder::PIXEL;
use crate::token;

/// Parameters that are accepted. Every other name is unsupported.
const TAKEN: [&str; 5] = ["prompt", "background", "model", "quality", "size"];
/// Backgrounds and qualities.
const BACKGROUNDS: [&str; 3] = ["auto", "opaque", "transparent"];
const QUALITIES: [&str; 4] = ["auto", "low", "medium", "high"];

/// Answers with one image; an edit also requires the images to change.
pub(crate) fn answer(call: &Call, person: &Login) -> Result<Answer, Reject> {
    let edits = call.uri.path().ends_with("/edits");
    let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
    let body = body.as_object().ok_or_else(|| Reject::detail(400, "Request body must be a JSON object"))?;
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    if text("prompt").is_none_or(str::is_empty) {
        return Err(check::missing("prompt"));
    }
    let taken = |name: &str| TAKEN.contains(&name) || edits && name == "images";
    if let Some(name) = body.keys().find(|name| !taken(name)) {
        return Err(Reject::detail(400, format!("Unsupported parameter: {name}")));
    }
    if edits {
        images(body)?;
    }
    let model = text("model").unwrap_or("gpt-image-2");
    if model != "gpt-image-2" {
        return Err(check::unsupported_model(model));
    }
    for (name, allowed) in [("background", &BACKGROUNDS[..]), ("quality", &QUALITIES[..])] {
        if let Some(value) = text(name).filter(|value| !allowed.contains(value)) {
            return Err(check::unsupported_value(name, value, model, allowed));
        }
    }
    // The live backend's text for a plan without images is not known; this text is an invention.
    if person.plan == "free" {
        return Err(Reject::detail(403, "Forbidden"));
    }
    Ok(Answer::json(200, &drawn(body)))
}

/// Checks that the images to change are data URLs.
fn images(body: &Map<String, Value>) -> Result<(), Reject> {
    let images = body.get("images").and_then(Value::as_array).filter(|images| !images.is_empty());
    for image in images.ok_or_else(|| check::missing("images"))? {
        if !image["image_url"].as_str().is_some_and(|url| url.starts_with("data:image/") && url.contains(";base64,")) {
            return Err(check::missing("images[0].image_url"));
        }
    }
    Ok(())
}

fn drawn(body: &Map<String, Value>) -> Value {
    let echo = |key: &str, default: &str| {
        let value = body.get(key).and_then(Value::as_str).filter(|value| *value != "auto");
        json!(value.unwrap_or(default))
    };
    json!({
        "created": token::now(),
        "background": echo("background", "opaque"),
        "data": [{ "b64_json": PIXEL }],
        "output_format": "png",
        "quality": echo("quality", "low"),
        "size": echo("size", "1024x1024"),
        "usage": {
            "input_tokens": 8,
            "input_tokens_details": { "image_tokens": 0, "text_tokens": 8 },
            "output_tokens": 16,
            "output_tokens_details": { "image_tokens": 16, "text_tokens": 0 },
            "total_tokens": 24,
        },
    })
}
