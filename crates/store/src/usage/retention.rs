//! Retention of usage rows: removes rows beyond the age limit, and the oldest rows of a file over its size limit.
//!
//! The work is done in small steps, so that new rows never wait long. Freed pages return to the disk.

use std::time::Duration;

use crate::Error;
use crate::db::Db;
use crate::sql;
use crate::statement::args;

/// Pause between two steps while there is more to do.
pub(super) const STEP: Duration = Duration::from_millis(50);
/// Pause when nothing is left to do.
pub(super) const REST: Duration = Duration::from_mins(10);
/// Largest file of an earlier version that is rewritten once, so that it can return freed pages. A larger file keeps its size and
/// reuses its free pages.
const ANEW: i64 = 256 << 20;

/// Page statistics of a SQLite file: pages, page size in bytes, free pages, and `auto_vacuum` (2 is incremental).
const FILE: &str = "SELECT (SELECT page_count FROM pragma_page_count), (SELECT page_size FROM pragma_page_size), \
    (SELECT freelist_count FROM pragma_freelist_count), (SELECT auto_vacuum FROM pragma_auto_vacuum)";

/// Limits of the retained usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Age limit of rows; `None` sets no limit.
    pub age: Option<Duration>,
    /// Size limit of the SQLite file, bytes; a PostgreSQL database is bounded by `age` alone.
    pub bytes: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self { age: None, bytes: 1 << 30 }
    }
}

/// Runs one step at `now`, in milliseconds; returns whether there is more to do.
pub(super) async fn step(db: &Db, retention: Retention, now: i64) -> Result<bool, Error> {
    if let Some(age) = retention.age {
        let oldest = now.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
        if db.write(sql::USAGE_OLD, &args![oldest]).await? > 0 {
            return Ok(true);
        }
    }
    match db {
        Db::Sqlite { .. } => file(db, retention.bytes).await,
        Db::Postgres(_) => Ok(false),
    }
}

async fn file(db: &Db, most: u64) -> Result<bool, Error> {
    let Some(row) = db.read_one(FILE, &[]).await? else { return Ok(false) };
    let (pages, size, free, mode) = (row.int(0)?, row.int(1)?, row.int(2)?, row.int(3)?);
    let used = u64::try_from((pages - free) * size).unwrap_or(0);
    if used > most && db.write(sql::USAGE_OLDEST, &[]).await? > 0 {
        return Ok(true);
    }
    if free * 10 <= pages {
        return Ok(false);
    }
    if mode == 2 {
        db.write_returning("PRAGMA incremental_vacuum(1000)", &[]).await?;
        return Ok(true);
    }
    if pages * size <= ANEW {
        db.write_returning("PRAGMA auto_vacuum = 2", &[]).await?;
        db.write("VACUUM", &[]).await?;
    }
    Ok(false)
}
