//! What several admin endpoints answer.

use serde::Serialize;
use utoipa::ToSchema;

/// It is done.
#[derive(Serialize, ToSchema)]
pub(crate) struct Done {
    success: bool,
}

/// What became of several that were to be removed.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Removed {
    success: bool,
    /// How many.
    deleted: usize,
    /// Ids that nobody has.
    not_found: Vec<String>,
}

/// It is done.
pub(crate) const DONE: Done = Done { success: true };

impl From<engine::Batch> for Removed {
    fn from(batch: engine::Batch) -> Self {
        Self { success: true, deleted: batch.done, not_found: batch.missing }
    }
}
