//! Reply types shared by admin endpoints.

use engine::{Batch, BatchOutcome};
use serde::Serialize;
use utoipa::ToSchema;

pub(crate) use engine::Date;

/// The call succeeded.
#[derive(Serialize, ToSchema)]
pub(crate) struct Done {
    success: bool,
}

/// The outcome of removing accounts.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Removed {
    success: bool,
    /// The number of removed accounts.
    deleted: usize,
    /// Unknown ids.
    not_found: Vec<String>,
    /// The outcome of each id.
    results: Vec<BatchOutcome>,
}

/// The call succeeded.
pub(crate) const DONE: Done = Done { success: true };

impl From<Batch> for Removed {
    fn from(batch: Batch) -> Self {
        Self {
            success: batch.no_failures(),
            deleted: batch.done(),
            not_found: batch.missing(),
            results: batch.outcomes,
        }
    }
}
