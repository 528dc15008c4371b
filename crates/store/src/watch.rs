//! Whether a SQLite file was written to by others than the connection that writes here. Asked twice a second for the life of a gateway, so it looks at the
//! WAL's length and time of change first: a question to SQLite costs two thread switches, a look at a file none.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use sqlx::sqlite::SqlitePool;
use sqlx::{Executor, Row};

/// A WAL that changed this recently may change again within the same tick of the file system's clock, unseen.
const SETTLED: Duration = Duration::from_millis(100);

/// Watches one file.
#[derive(Clone)]
pub(crate) struct Watch {
    /// The one connection that writes: the data version that it sees changes with the commits of others.
    writer: SqlitePool,
    /// How often that connection was made: another one counts anew.
    made: Arc<AtomicI64>,
    wal: PathBuf,
    last: Arc<Mutex<Option<Look>>>,
}

/// What was found last, when it may be relied on.
#[derive(Clone, Copy)]
struct Look {
    stamp: Stamp,
    version: i64,
}

/// Length and time of change of the WAL.
type Stamp = (u64, SystemTime);

impl Watch {
    /// Watches the database at `path` through its `writer`, a pool of one connection that was made `made` times.
    pub(crate) fn new(writer: SqlitePool, made: Arc<AtomicI64>, path: &std::path::Path) -> Self {
        let mut wal = path.as_os_str().to_owned();
        wal.push("-wal");
        Self { writer, made, wal: wal.into(), last: Arc::default() }
    }

    /// A number that differs from the last call's when somebody else committed something since.
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
        // The stamp is from before the question: a commit in between shows as another stamp next time.
        *self.last.lock() = stamp.filter(settled).map(|stamp| Look { stamp, version });
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
