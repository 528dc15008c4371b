//! Reply types shared by admin endpoints.

use engine::{Batch, Outcome};
use pool::Millis;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// An instant in RFC 3339, for bodies with camelCase names; empty for an invalid date.
#[derive(Debug, ToSchema)]
#[schema(value_type = String, format = DateTime)]
pub(crate) struct Date(Millis);

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

/// It is done.
#[derive(Serialize, ToSchema)]
pub(crate) struct Done {
    success: bool,
}

/// The outcome of removing accounts.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Removed {
    success: bool,
    /// How many.
    deleted: usize,
    /// Unknown ids.
    not_found: Vec<String>,
    /// The outcome of each.
    results: Vec<Outcome>,
}

/// It is done.
pub(crate) const DONE: Done = Done { success: true };

impl From<Batch> for Removed {
    fn from(batch: Batch) -> Self {
        Self { success: batch.good(), deleted: batch.done(), not_found: batch.missing(), results: batch.outcomes }
    }
}
