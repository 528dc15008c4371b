//! The client's own body, when it came in this dialect: split into its fields once, for many lookups.

use crate::canon::Request;
use crate::dialect::Dialect;
use crate::text::{Json, Text};

/// The fields of the client's body, in its order.
#[derive(Debug)]
pub(super) struct ClientBody(Vec<(Text, Json)>);

impl ClientBody {
    /// The fields of `request`'s body; `None` when it came in another dialect.
    pub(super) fn of(request: &Request) -> Option<Self> {
        let raw = request.own_body(Dialect::Responses)?.clone();
        Some(Self(Json::from_valid(raw).fields().collect()))
    }

    /// The last field called `name`, unless it is `null`, as [`Json::get`] has it.
    pub(super) fn get(&self, name: &str) -> Option<&Json> {
        let found = self.0.iter().rev().find(|(key, _)| key.is(name));
        found.map(|(_, value)| value).filter(|value| !value.is_null())
    }

    /// Every field.
    pub(super) fn fields(&self) -> impl Iterator<Item = &(Text, Json)> {
        self.0.iter()
    }

    /// Size of the fields in bytes, without their punctuation.
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|(key, value)| key.escaped().len() + value.bytes().len()).sum()
    }
}
