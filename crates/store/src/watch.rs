//! Detects commits to a SQLite file by other connections. A gateway checks twice a second, so the WAL's length and modification time
//! are compared first: a query costs two thread switches, a `stat` none.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use sqlx::sqlite::SqlitePool;
use sqlx::{Executor, Row};

/// A WAL that changed this recently may change again within the same tick of the file system's clock.
const SETTLED: Duration = Duration::from_millis(100);

/// Watches one file.
#[derive(Clone)]
pub(crate) struct FileWatch {
    /// The one writing connection: its `data_version` changes with the commits of other connections.
    writer: SqlitePool,
    /// Counts the connections made by the pool: each new connection restarts `data_version`.
    made: Arc<AtomicI64>,
    wal: PathBuf,
    last: Arc<Mutex<Option<Observation>>>,
}

/// The last result, if the stamp is old enough to be reliable.
#[derive(Clone, Copy)]
struct Observation {
    stamp: Stamp,
    version: i64,
}

/// Length and modification time of the WAL.
type Stamp = (u64, SystemTime);

impl FileWatch {
    /// Watches the database at `path` through its `writer`, a pool of one connection. `made` counts the connections that the pool has made.
    pub(crate) fn new(writer: SqlitePool, made: Arc<AtomicI64>, path: &std::path::Path) -> Self {
        let mut wal = path.as_os_str().to_owned();
        wal.push("-wal");
        Self { writer, made, wal: wal.into(), last: Arc::default() }
    }

    /// A number that changes when another connection commits.
    pub(crate) async fn version(&self) -> Result<i64, sqlx::Error> {
        let stamp = self.stamp();
        let last = *self.last.lock();
        if let (Some(look), Some(stamp)) = (last, stamp)
            && look.stamp == stamp
        {
            return Ok(look.version);
        }
        let seen: i64 = self.writer.fetch_one("PRAGMA data_version").await?.try_get(0)?;
        let version = (self.made.load(Ordering::Acquire) << 32) + seen;
        // The stamp was taken before the query: a commit in between changes the stamp of the next call.
        *self.last.lock() = stamp.filter(settled).map(|stamp| Observation { stamp, version });
        Ok(version)
    }

    fn stamp(&self) -> Option<Stamp> {
        let facts = fs::metadata(&self.wal).ok()?;
        Some((facts.len(), facts.modified().ok()?))
    }
}

fn settled((_, changed): &Stamp) -> bool {
    changed.elapsed().is_ok_and(|age| age >= SETTLED)
}
