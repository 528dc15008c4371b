//! Images: the pixel that stands for all of them, and `POST /backend-api/codex/images/*`.

use serde_json::{Value, json};

use crate::account::Person;
use crate::answer::Answer;
use crate::errors::Reject;
use crate::mind::PIXEL;
use crate::route::Call;
use crate::token;

/// One image for a prompt.
pub(crate) fn answer(call: &Call, person: &Person) -> Result<Answer, Reject> {
    let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
    if body["prompt"].as_str().is_none_or(str::is_empty) {
        return Err(Reject::invalid(
            "Missing required parameter: 'prompt'.",
            Some("prompt"),
            Some("missing_required_parameter"),
        ));
    }
    if person.plan == "free" {
        return Err(Reject::detail(403, "Forbidden"));
    }
    let echo = |key: &str, default: &str| body.get(key).cloned().unwrap_or_else(|| json!(default));
    let answer = json!({
        "created": token::now(),
        "background": echo("background", "opaque"),
        "data": [{ "b64_json": PIXEL }],
        "output_format": "png",
        "quality": echo("quality", "low"),
        "size": "1024x1024",
        "usage": { "input_tokens": 8, "input_tokens_details": { "image_tokens": 0, "text_tokens": 8 }, "output_tokens": 16, "total_tokens": 24 },
    });
    Ok(Answer::json(200, &answer))
}
