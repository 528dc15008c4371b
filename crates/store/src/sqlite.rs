//! Opens a SQLite file: creates the file atomically, checks it, migrates it after a backup, and never replaces a damaged file.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use pool::limits;
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, Executor, Row};

use crate::db::Db;
use crate::error::corrupt;
use crate::failpoint::{self, hit};
use crate::files::{self, PathKind};
use crate::migrate::{self, Migration, SchemaPolicy};
use crate::statement::{args, sqlite_query};
use crate::watch::FileWatch;
use crate::{Error, OpenError};

/// Connections that read.
const READERS: u32 = 4;
/// Largest size of the WAL file after a checkpoint, bytes.
const WAL_CAP: &str = "67108864";

/// A database file and its options.
#[derive(Clone)]
pub(crate) struct DatabaseFile {
    /// The file.
    pub(crate) path: PathBuf,
    /// The file's schema.
    pub(crate) schema: &'static [Migration],
    /// Durability of the file's content.
    pub(crate) durability: Durability,
    /// Policy for an older schema.
    pub(crate) schema_policy: SchemaPolicy,
}

/// Durability of a file's content, which decides how the file is synced, checked and quarantined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Commits are synced; opening checks everything; a damaged file stays and is copied.
    Durable,
    /// Commits are synced at checkpoints; opening checks the pages of files up to [`CHECKED`]; a damaged file is moved away.
    Disposable,
}

impl Durability {
    fn commit(self) -> SqliteSynchronous {
        match self {
            Self::Durable => SqliteSynchronous::Full,
            Self::Disposable => SqliteSynchronous::Normal,
        }
    }
}

/// Largest disposable file whose pages are checked at opening, bytes.
const CHECKED: u64 = 256 << 20;

/// Opens the file, and creates a missing one. The caller holds the [`OpenLock`](crate::home::OpenLock).
pub(crate) async fn open(plan: &DatabaseFile, now: i64) -> Result<Db, OpenError> {
    match files::exists(&plan.path)? {
        false if files::size(&wal(&plan.path)) > 0 => return Err(quarantine_error(plan, now, "only its WAL is there")),
        false => make(plan, now).await?,
        true => files::check(&plan.path, PathKind::File)?,
    }
    if files::size(&plan.path) == 0 {
        return Err(quarantine_error(plan, now, "it is empty"));
    }
    for side in [wal(&plan.path), shm(&plan.path)] {
        if files::exists(&side)? {
            files::check(&side, PathKind::File)?;
        }
    }
    let options = options(&plan.path, plan.durability);
    let mut connection = match options.connect().await {
        Ok(connection) => connection,
        Err(error) => return Err(open_error(plan, now, error)),
    };
    let ready = check_and_migrate(plan, &mut connection, now).await;
    connection.close().await?;
    ready?;
    Ok(pools(&options))
}

/// Checks and migrates the file.
async fn check_and_migrate(plan: &DatabaseFile, connection: &mut SqliteConnection, now: i64) -> Result<(), OpenError> {
    match check(plan, connection).await {
        Ok(None) => (),
        Ok(Some(reason)) => return Err(quarantine_error(plan, now, &reason)),
        Err(error) => return Err(open_error(plan, now, error)),
    }
    let schema = match migrate::sqlite_plan(connection, plan.schema).await {
        Err(OpenError::Store(Error::Database(error))) if is_missing_table(&error) => {
            return Err(quarantine_error(plan, now, "it is no Polygate database"));
        }
        other => other?,
    };
    if !schema.must_migrate(plan.schema_policy)? {
        return Ok(());
    }
    backup(plan, connection, schema.found, now).await?;
    migrate::sqlite(connection, plan.schema, now).await
}

/// Returns the defect of the file's content, if any.
async fn check(plan: &DatabaseFile, connection: &mut SqliteConnection) -> Result<Option<String>, sqlx::Error> {
    let pragma = match plan.durability {
        Durability::Durable => "PRAGMA integrity_check(1)",
        Durability::Disposable if files::size(&plan.path) <= CHECKED => "PRAGMA quick_check(1)",
        Durability::Disposable => return Ok(None),
    };
    let verdict: String = connection.fetch_one(pragma).await?.try_get(0)?;
    if verdict != "ok" {
        return Ok(Some(verdict.lines().take(2).collect::<Vec<_>>().join(" ")));
    }
    // SQLite accepts any bytes as a schema. A column with a non-UTF-8 type would make its rows unreadable and look empty.
    let schema = connection.fetch_all("SELECT CAST(sql AS BLOB) FROM sqlite_master WHERE sql IS NOT NULL").await?;
    for row in schema {
        if std::str::from_utf8(&row.try_get::<Vec<u8>, _>(0)?).is_err() {
            return Ok(Some("its schema is damaged".to_owned()));
        }
    }
    Ok(None)
}

/// Creates the file under a temporary name and renames it when it is complete.
async fn make(plan: &DatabaseFile, now: i64) -> Result<(), OpenError> {
    let draft = files::with_suffix(&plan.path, ".new");
    let io = |source| OpenError::io(&plan.path, source);
    for old in [&draft, &wal(&draft), &shm(&draft)] {
        files::remove(old).map_err(io)?;
    }
    hit(failpoint::CREATE).map_err(io)?;
    files::create(&draft).map_err(io)?;
    // A usage file returns freed pages to the disk. SQLite takes this option only for a new file.
    let vacuum = match plan.durability {
        Durability::Durable => SqliteAutoVacuum::None,
        Durability::Disposable => SqliteAutoVacuum::Incremental,
    };
    let options = options(&draft, plan.durability).synchronous(SqliteSynchronous::Full).auto_vacuum(vacuum);
    let mut connection = options.connect().await?;
    let migrated = migrate::sqlite(&mut connection, plan.schema, now).await;
    connection.close().await?;
    migrated?;
    hit(failpoint::CREATE_RENAME).map_err(io)?;
    File::open(&draft).and_then(|file| file.sync_all()).map_err(io)?;
    files::publish(&draft, &plan.path).map_err(io)?;
    hit(failpoint::CREATE_DONE).map_err(io)
}

/// Copies the file before a migration to `backup/<name>-v<schema>-<ms>.db`.
async fn backup(
    plan: &DatabaseFile,
    connection: &mut SqliteConnection,
    schema: i64,
    now: i64,
) -> Result<(), OpenError> {
    let folder = plan.path.with_file_name("backup");
    files::ensure_directory(&folder, PathKind::Directory)?;
    let stem = plan.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let target = folder.join(format!("{stem}-v{schema}-{now}.db"));
    // VACUUM INTO takes an empty file as its target and keeps that file's mode.
    files::create(&target).map_err(|source| OpenError::io(&target, source))?;
    connection.execute(sqlite_query("VACUUM INTO $1", &args![target.to_string_lossy().into_owned()])).await?;
    File::open(&target).and_then(|file| file.sync_all()).map_err(|source| OpenError::io(&target, source))
}

fn open_error(plan: &DatabaseFile, now: i64, error: sqlx::Error) -> OpenError {
    if corrupt(&error) { quarantine_error(plan, now, &error.to_string()) } else { error.into() }
}

/// Copies a damaged file with its WAL to `<name>.quarantine-<ms>` and returns the error. The damaged file stays; [`discard`] moves a
/// disposable file.
fn quarantine_error(plan: &DatabaseFile, now: i64, reason: &str) -> OpenError {
    let path = plan.path.clone();
    let copied = match plan.durability {
        Durability::Durable => copy_to_quarantine(&plan.path, now),
        Durability::Disposable => Ok(quarantine_path(&plan.path, now)),
    };
    match copied {
        Ok(copy) => OpenError::Damaged { path, copy, reason: reason.to_owned() },
        Err(source) => OpenError::Io { path, source },
    }
}

fn copy_to_quarantine(path: &Path, now: i64) -> io::Result<PathBuf> {
    if let Some(copy) = existing_copy(path)? {
        return Ok(copy);
    }
    let copy = quarantine_path(path, now);
    for (from, to) in [(path.to_path_buf(), copy.clone()), (wal(path), wal(&copy))] {
        if files::size(&from) > 0 || (from == path && from.exists()) {
            files::copy(&from, &to)?;
        }
    }
    Ok(copy)
}

/// An earlier copy of the same bytes, if any: a service that restarts in a loop must not fill the disk.
fn existing_copy(path: &Path) -> io::Result<Option<PathBuf>> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Ok(None) };
    let prefix = format!("{}.quarantine-", name.to_string_lossy());
    let Ok(bytes) = fs::read(path) else { return Ok(None) };
    for entry in fs::read_dir(folder)? {
        let candidate = entry?.path();
        let named = candidate.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix));
        if named && files::size(&candidate) == bytes.len() as u64 && fs::read(&candidate)? == bytes {
            return Ok(Some(candidate));
        }
    }
    Ok(None)
}

/// Whether the error is a missing table.
fn is_missing_table(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.message().starts_with("no such table"))
}

fn pools(options: &SqliteConnectOptions) -> Db {
    let made = Arc::new(AtomicI64::new(0));
    let counted = Arc::clone(&made);
    let steady =
        SqlitePoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None).test_before_acquire(false);
    let steady = steady.after_connect(move |_, _| {
        counted.fetch_add(1, Ordering::AcqRel);
        Box::pin(async { Ok(()) })
    });
    let writer = steady.connect_lazy_with(options.clone());
    let watch = FileWatch::new(writer.clone(), made, options.get_filename());
    let readers = SqlitePoolOptions::new().max_connections(READERS).connect_lazy_with(options.clone().read_only(true));
    Db::Sqlite { writer, readers, watch }
}

fn options(path: &Path, worth: Durability) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(worth.commit())
        .foreign_keys(true)
        .busy_timeout(limits::SQLITE_BUSY)
        .pragma("journal_size_limit", WAL_CAP)
        .disable_statement_logging()
}

fn quarantine_path(path: &Path, now: i64) -> PathBuf {
    files::with_suffix(path, &format!(".quarantine-{now}"))
}

fn wal(path: &Path) -> PathBuf {
    files::with_suffix(path, "-wal")
}

fn shm(path: &Path) -> PathBuf {
    files::with_suffix(path, "-shm")
}

/// Moves a damaged disposable file and its WAL away, and removes older copies.
pub(crate) fn move_to_quarantine(path: &Path, now: i64) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let prefix = format!("{}.quarantine-", path.file_name().unwrap_or_default().to_string_lossy());
    for entry in fs::read_dir(folder)? {
        let old = entry?;
        if old.file_name().to_string_lossy().starts_with(&prefix) {
            files::remove(&old.path())?;
        }
    }
    let away = quarantine_path(path, now);
    for (from, to) in [(path.to_path_buf(), away.clone()), (wal(path), wal(&away))] {
        if files::size(&from) > 0 || (from == path && from.exists()) {
            fs::rename(&from, &to)?;
        }
    }
    files::remove(&wal(path))?;
    files::remove(&shm(path))
}
