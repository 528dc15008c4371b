//! Instants in the bodies of the admin API.

use pool::Millis;
use serde::{Serialize, Serializer};

/// An instant in RFC 3339, for bodies with camelCase names; empty for an invalid date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, utoipa::ToSchema)]
#[schema(value_type = String, format = DateTime)]
pub struct Date(Millis);

impl From<Millis> for Date {
    fn from(at: Millis) -> Self {
        Self(at)
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let date = jiff::Timestamp::from_millisecond(self.0.0).map(|stamp| stamp.to_string());
        serializer.serialize_str(&date.unwrap_or_default())
    }
}
