//! The task that writes usage rows.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pool::limits;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::{Retention, UsageRow, retention, row};
use crate::db::{BulkInsert, Db};
use crate::error::corrupt;
use crate::failpoint::{self, hit};
use crate::home::Home;
use crate::migrate::SchemaPolicy;
use crate::reserve::DiskReserve;
use crate::sqlite::{self, Durability};
use crate::statement::args;
use crate::{Error, OpenError, clock, migrate, sql};

/// Most rows of one transaction.
const BATCH: usize = 1_000;
/// Rows that wait while the database refuses them; the oldest rows are dropped first.
const SPOOL: usize = 10_000;

/// Adds a whole batch, an array of rows in one JSON text: single rows cost two thread switches each in SQLite and one round trip each in
/// PostgreSQL.
const ADD: BulkInsert = BulkInsert {
    sqlite: "INSERT INTO usage_row (id, accepted, key_id, account_id, dialect, model, status, outcome, input, cached, output, \
        reasoning, estimated, attempts, ttft, duration, stream, notes, request_id) \
        SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7, value->>8, value->>9, \
        value->>10, value->>11, value->>12, value->>13, value->>14, value->>15, value->>16, value->>17, value->>18 \
        FROM json_each($1) WHERE TRUE ON CONFLICT (id) DO NOTHING",
    postgres: "INSERT INTO usage_row (id, accepted, key_id, account_id, dialect, model, status, outcome, input, cached, output, \
        reasoning, estimated, attempts, ttft, duration, stream, notes, request_id) \
        SELECT r->>0, (r->>1)::bigint, r->>2, r->>3, r->>4, r->>5, (r->>6)::bigint, r->>7, (r->>8)::bigint, (r->>9)::bigint, \
        (r->>10)::bigint, (r->>11)::bigint, (r->>12)::bigint, (r->>13)::bigint, (r->>14)::bigint, (r->>15)::bigint, (r->>16)::bigint, \
        r->>17, r->>18 FROM jsonb_array_elements($1::text::jsonb) AS r ON CONFLICT (id) DO NOTHING",
};

/// The database that holds usage.
pub(crate) enum UsageTarget {
    /// A separate file, opened on first use.
    File(Home, Arc<DiskReserve>, SchemaPolicy),
    /// The shared PostgreSQL database.
    Shared(Db),
}

/// A message to the writer.
pub(super) enum Job {
    Row(Box<UsageRow>),
    Flush(oneshot::Sender<()>),
    Read(u32, oneshot::Sender<Result<Vec<UsageRow>, Error>>),
    Close(oneshot::Sender<()>),
}

pub(super) struct Writer {
    place: UsageTarget,
    file: Option<Db>,
    spool: VecDeque<UsageRow>,
    lost: Arc<AtomicU64>,
    due: Option<Instant>,
    retention: Retention,
    /// When the next retention step is due. A process that writes no rows runs no step.
    tidy: Option<Instant>,
}

impl Writer {
    pub(super) fn new((place, retention): (UsageTarget, Retention), lost: Arc<AtomicU64>) -> Self {
        Self { place, file: None, spool: VecDeque::new(), lost, due: None, retention, tidy: None }
    }

    /// Runs until [`Job::Close`], or until every handle is dropped.
    pub(super) async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        loop {
            let (due, tidy) = (self.due, self.tidy);
            tokio::select! {
                biased;
                () = until(due) => self.write().await,
                () = until(tidy) => self.run_retention().await,
                job = jobs.recv() => match job {
                    Some(Job::Row(row)) => self.push(*row).await,
                    Some(Job::Flush(done)) => {
                        self.write().await;
                        done.send(()).ok();
                    }
                    Some(Job::Read(limit, done)) => {
                        self.write().await;
                        done.send(self.read(limit).await).ok();
                    }
                    Some(Job::Close(done)) => {
                        self.close().await;
                        done.send(()).ok();
                        return;
                    }
                    None => return self.close().await,
                },
            }
        }
    }

    async fn push(&mut self, row: UsageRow) {
        self.spool.push_back(row);
        self.due.get_or_insert_with(|| Instant::now() + limits::USAGE_BATCH);
        if self.spool.len() >= BATCH && self.spool.len().is_multiple_of(BATCH) {
            self.write().await;
        }
    }

    /// Writes queued rows. Rows that the database refuses wait for the next round, up to a bound.
    async fn write(&mut self) {
        self.due = None;
        while !self.spool.is_empty() {
            let size = self.spool.len().min(BATCH);
            match self.batch(size).await {
                Ok(()) => drop(self.spool.drain(..size)),
                Err(error) => return self.retry_later(&error, size).await,
            }
        }
    }

    async fn batch(&mut self, size: usize) -> Result<(), Error> {
        hit(failpoint::USAGE_BEGIN)?;
        let db = self.db().await?;
        let rows: Vec<_> = self.spool.range(..size).map(row::write).collect();
        db.write_bulk(&ADD, &rows).await?;
        self.tidy.get_or_insert_with(Instant::now);
        Ok(hit(failpoint::USAGE_DONE)?)
    }

    /// Runs one retention step.
    async fn run_retention(&mut self) {
        let done = match self.db().await {
            Ok(db) => retention::step(&db, self.retention, clock::now()).await,
            Err(error) => Err(error),
        };
        let more = done.unwrap_or_else(|error| {
            tracing::warn!(%error, "old usage rows are not removed yet");
            false
        });
        self.tidy = Some(Instant::now() + if more { retention::STEP } else { retention::REST });
    }

    async fn retry_later(&mut self, error: &Error, size: usize) {
        tracing::warn!(%error, rows = size, "usage rows are not written yet");
        self.drop_if_corrupt(error).await;
        let over = self.spool.len().saturating_sub(SPOOL);
        self.spool.drain(..over);
        self.lost.fetch_add(over as u64, Ordering::Relaxed);
        self.due = Some(Instant::now() + limits::USAGE_BATCH * 20);
    }

    async fn read(&mut self, limit: u32) -> Result<Vec<UsageRow>, Error> {
        match self.last(limit).await {
            Err(error) if self.drop_if_corrupt(&error).await => self.last(limit).await,
            other => other,
        }
    }

    async fn last(&mut self, limit: u32) -> Result<Vec<UsageRow>, Error> {
        let rows = self.db().await?.read(sql::USAGE_LAST, &args![i64::from(limit)]).await?;
        Ok(rows.iter().map(row::read).collect::<Result<_, _>>()?)
    }

    /// The database, opened on first use. A damaged file is moved away and replaced.
    async fn db(&mut self) -> Result<Db, Error> {
        let (home, reserve, schema) = match &self.place {
            UsageTarget::Shared(db) => return Ok(db.clone()),
            UsageTarget::File(home, reserve, schema) => (home, reserve, *schema),
        };
        if !reserve.is_filled() {
            reserve.refill();
            return Err(Error::Full);
        }
        if let Some(db) = &self.file {
            return Ok(db.clone());
        }
        let db = open(home, schema).await.map_err(flatten_error)?;
        self.file = Some(db.clone());
        Ok(db)
    }

    /// Closes a file that turns out corrupt in use, and moves it away; returns whether the file was moved.
    async fn drop_if_corrupt(&mut self, error: &Error) -> bool {
        let (UsageTarget::File(home, ..), Error::Database(cause)) = (&self.place, error) else { return false };
        let Some(db) = self.file.take_if(|_| corrupt(cause)) else { return false };
        db.close().await;
        tracing::warn!(%error, "the usage file is damaged; starting a new one");
        sqlite::move_to_quarantine(&home.usage(), clock::now()).is_ok()
    }

    async fn close(&mut self) {
        self.write().await;
        self.lost.fetch_add(self.spool.len() as u64, Ordering::Relaxed);
        if let Some(db) = self.file.take() {
            db.close().await;
        }
    }
}

async fn open(home: &Home, upgrade: SchemaPolicy) -> Result<Db, OpenError> {
    let _opening = home.open_lock().await?;
    let plan = sqlite::DatabaseFile {
        path: home.usage(),
        schema: migrate::USAGE,
        durability: Durability::Disposable,
        schema_policy: upgrade,
    };
    match sqlite::open(&plan, clock::now()).await {
        Err(OpenError::Damaged { path, copy, reason }) => {
            tracing::warn!(?path, ?copy, reason, "the usage file is damaged; starting a new one");
            sqlite::move_to_quarantine(&path, clock::now()).map_err(|source| OpenError::io(&path, source))?;
            sqlite::open(&plan, clock::now()).await
        }
        other => other,
    }
}

fn flatten_error(error: OpenError) -> Error {
    match error {
        OpenError::Store(error) => error,
        other => Error::from(std::io::Error::other(other.to_string())),
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
