//! Reply types shared by admin endpoints.

use engine::{Batch, BatchOutcome};
use serde::Serialize;
use utoipa::ToSchema;

pub(crate) use engine::Date;

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
    results: Vec<BatchOutcome>,
}

/// It is done.
pub(crate) const DONE: Done = Done { success: true };

impl From<Batch> for Removed {
    fn from(batch: Batch) -> Self {
        Self { success: batch.good(), deleted: batch.done(), not_found: batch.missing(), results: batch.outcomes }
    }
}
