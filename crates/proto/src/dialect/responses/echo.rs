//! The request fields that a response object repeats.

use bytes::Bytes;

use crate::canon::Request;
use crate::dialect::Dialect;
use crate::text::Json;

/// Fields of a request that its response objects repeat.
const FIELDS: [&str; 12] = [
    "instructions", "max_output_tokens", "metadata", "parallel_tool_calls", "reasoning", "temperature", "text",
    "tool_choice", "tools", "top_p", "truncation", "user",
];

/// The fields of a request that our own response objects repeat.
#[derive(Clone, Debug, Default)]
pub struct Echo(Vec<(&'static str, Json)>);

impl Echo {
    /// The fields of a request of this dialect, in separate buffers; empty for a request of another dialect.
    pub fn of(request: &Request) -> Self {
        let Some(raw) = request.own_body(Dialect::Responses).cloned() else {
            return Self::default();
        };
        let known = |(key, value): (crate::Text, Json)| {
            let name = FIELDS.into_iter().find(|name| key.is(name)).filter(|_| !value.is_null())?;
            Some((name, Json::from_valid(Bytes::copy_from_slice(value.bytes()))))
        };
        Self(Json::from_valid(raw).fields().filter_map(known).collect())
    }

    /// The field `name`, as the client wrote it.
    pub(super) fn get(&self, name: &str) -> Option<&Json> {
        self.0.iter().rev().find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}
