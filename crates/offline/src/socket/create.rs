//! Reading `response.create`: a request body with three fields more.

use serde_json::{Value, json};

use crate::errors::Reject;
use crate::state::Chain;

/// A turn that a client begins.
pub(super) struct Create {
    /// As the body would be over HTTP.
    pub(super) body: Value,
    /// The response that it continues.
    pub(super) previous: Option<String>,
    /// A prewarm, which has no output.
    pub(super) prewarm: bool,
    /// The newer models' shape.
    pub(super) lite: bool,
    /// The client's turn state.
    pub(super) state: Option<String>,
    /// Bytes of this frame and the conversation before it.
    pub(super) bytes: usize,
}

/// In `client_metadata`, what is a header over HTTP.
const LITE: &str = "ws_request_header_x_openai_internal_codex_responses_lite";

impl Create {
    /// Reads a frame. The texts of refusals are our own.
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
        let said = |name: &str| fields.get("client_metadata").and_then(|said| said[name].as_str()).map(str::to_owned);
        let (lite, state) = (said(LITE).as_deref() == Some("true"), said("x-codex-turn-state"));
        Ok(Self { body, previous, prewarm, lite, state, bytes: text.len() })
    }

    /// Puts the conversation before the new input.
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

/// The connection does not know the response that a turn continues.
pub(super) fn lost(id: &str) -> Reject {
    let message = format!("Previous response with id '{id}' not found.");
    Reject::invalid(message, Some("previous_response_id"), Some("previous_response_not_found"))
}

fn invalid(message: &str, param: Option<&str>) -> Reject {
    Reject::invalid(message, param, None)
}
