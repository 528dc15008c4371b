//! The time of day.

use std::time::{SystemTime, UNIX_EPOCH};

/// The time of day, for names of files and rows of migrations; rules get theirs from the caller.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
