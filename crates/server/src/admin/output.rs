//! What several admin endpoints answer.

use engine::{Batch, Outcome};
use serde::Serialize;
use utoipa::ToSchema;

/// It is done.
#[derive(Serialize, ToSchema)]
pub(crate) struct Done {
    success: bool,
}

/// What became of accounts that were to be removed.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Removed {
    success: bool,
    /// How many.
    deleted: usize,
    /// Ids that nobody has.
    not_found: Vec<String>,
    /// What became of each.
    results: Vec<Outcome>,
}

/// It is done.
pub(crate) const DONE: Done = Done { success: true };

impl From<Batch> for Removed {
    fn from(batch: Batch) -> Self {
        Self { success: batch.good(), deleted: batch.done(), not_found: batch.missing(), results: batch.outcomes }
    }
}
