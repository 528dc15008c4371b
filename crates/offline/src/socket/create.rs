//! Reads `response.create`: a request body with three more fields.

use serde_json::{Value, json};

use crate::errors::Reject;
use crate::state::Chain;

/// A turn that a client starts.
pub(super) struct Create {
    /// The body in its HTTP form.
    pub(super) body: Value,
    /// The id of the response that the turn continues.
    pub(super) previous: Option<String>,
    /// Whether the turn is a prewarm, which has no output.
    pub(super) prewarm: bool,
    /// Whether the body has the shape of the newer models.
    pub(super) lite: bool,
    /// The client's turn state.
    pub(super) state: Option<String>,
    /// The size of this frame and the conversation before it, bytes.
    pub(super) bytes: usize,
}

/// The key in `client_metadata` that replaces the lite header of HTTP.
const LITE: &str = "ws_request_header_x_openai_internal_codex_responses_lite";

impl Create {
    /// Reads a frame. The texts of refusals are an invention.
    pub(super) fn read(text: &str) -> Result<Self, Reject> {
        let mut body: Value = serde_json::from_str(text).map_err(|_| invalid("A frame must be JSON.", None))?;
        let fields = body.as_object_mut().ok_or_else(|| invalid("A frame must be a JSON object.", None))?;
        if fields.shift_remove("type") != Some(json!("response.create")) {
            return Err(invalid("A frame's type must be 'response.create'.", Some("type")));
        }
        let previous = match fields.shift_remove("previous_response_id") {
            None | Some(Value::Null) => None,
            Some(Value::String(id)) => Some(id),
            Some(_) => return Err(invalid("Invalid type for 'previous_response_id'.", Some("previous_response_id"))),
        };
        let prewarm = match fields.shift_remove("generate") {
            None | Some(Value::Bool(true)) => false,
            Some(Value::Bool(false)) => true,
            Some(_) => return Err(invalid("Invalid type for 'generate'.", Some("generate"))),
        };
        // A socket always streams.
        fields.entry("stream").or_insert(Value::Bool(true));
        let metadata =
            |name: &str| fields.get("client_metadata").and_then(|metadata| metadata[name].as_str()).map(str::to_owned);
        let (lite, state) = (metadata(LITE).as_deref() == Some("true"), metadata("x-codex-turn-state"));
        Ok(Self { body, previous, prewarm, lite, state, bytes: text.len() })
    }

    /// Inserts the earlier conversation before the new input.
    pub(super) fn follow(&mut self, chain: Option<&Chain>) -> Result<(), Reject> {
        let Some(previous) = &self.previous else { return Ok(()) };
        let Some(chain) = chain.filter(|chain| chain.id == *previous) else {
            return Err(lost(previous));
        };
        if let Some(input) = self.body.get_mut("input").and_then(Value::as_array_mut) {
            input.splice(0..0, chain.items.iter().cloned());
        }
        self.bytes += chain.bytes;
        Ok(())
    }
}

/// The refusal of an unknown response id.
pub(super) fn lost(id: &str) -> Reject {
    let message = format!("Previous response with id '{id}' not found.");
    Reject::invalid(message, Some("previous_response_id"), Some("previous_response_not_found"))
}

fn invalid(message: &str, param: Option<&str>) -> Reject {
    Reject::invalid(message, param, None)
}
