//! Errors of the store, with hints. No variant carries a secret, a URL or a bound value.

use std::io;
use std::path::{Path, PathBuf};

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field has the name that the text gives it")]
pub enum Error {
    /// The database refused the statement or is missing.
    #[error("database: {0}")]
    Database(#[source] sqlx::Error),
    /// The database did not answer within its timeout.
    #[error(
        "the database does not answer; hint: check that it runs and can be reached, the gateway recovers by itself"
    )]
    Unavailable,
    /// Another process has been writing for over five seconds.
    #[error("the database is busy; hint: another program holds it open for writing, close it and try again")]
    Busy,
    /// The disk is full; state is unchanged.
    #[error("the disk is full; hint: make room in the data directory, the gateway recovers by itself")]
    Full,
    /// A stored secret cannot be opened with the data key.
    #[error(
        "{table}.{column} of {row} cannot be unsealed; hint: it is damaged, sign this account in again, or give the relay's key again"
    )]
    CannotUnseal { table: &'static str, column: &'static str, row: String },
    /// A stored value has an invalid form.
    #[error("{table}.{column} of {row} is damaged; hint: restore a backup, or remove this row")]
    Damaged { table: &'static str, column: &'static str, row: String },
    /// Another process took the lease over, or the tokens were replaced meanwhile.
    #[error("the refresh lease was taken over")]
    LeaseLost,
    /// The key id is taken.
    #[error("a key with this id exists; hint: create the key again")]
    KeyExists,
    /// Another relay has the name.
    #[error("a relay named {0} exists; hint: choose another name, or remove that relay first")]
    RelayNameTaken(String),
    /// Another proxy has the name.
    #[error("a proxy of this name exists; hint: choose another name")]
    ProxyNameTaken,
    /// The stored key belongs to another scheme, host or port.
    #[error("the relay has a new address, and its key is bound to the old one; hint: give the key again")]
    RelayKeyRequired,
    /// There is no such relay.
    #[error("there is no such relay; hint: `polygate relays list` lists all relays")]
    NoSuchRelay,
    /// The store itself uses a setting of this name.
    #[error("the setting {0} is reserved")]
    Reserved(String),
    /// A value that is not UTF-8.
    #[error("{0} is not UTF-8 text")]
    NotText(&'static str),
    /// Rows kept changing under a write.
    #[error("too many writers at once; hint: try again")]
    Contended,
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

/// Why a store does not open.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field has the name that the text gives it")]
pub enum OpenError {
    /// A file or directory could not be read or made.
    #[error(
        "{path}: {source}; hint: the data directory must exist on a writable disk and be yours, or choose another with --home"
    )]
    Io { path: PathBuf, source: io::Error },
    /// The path is a symlink, which another user could redirect.
    #[error("{path} is a symlink; hint: give the path that it points to")]
    Symlink { path: PathBuf },
    /// The path holds another kind of file than the `wanted` one.
    #[error("{path} is not {wanted}; hint: move it away, or choose another data directory with --home")]
    WrongFileType { path: PathBuf, wanted: &'static str },
    /// The path belongs to the user with the id `owner`; this process is the user `us`.
    #[error(
        "{path} belongs to user {owner}, and this is user {us}; hint: run as its owner, or change its owner with chown"
    )]
    Owner { path: PathBuf, owner: u32, us: u32 },
    /// Other users may read or write the path.
    #[error("{path} is open to other users (mode {mode:04o}); hint: chmod {wanted:o} {path}")]
    Mode { path: PathBuf, mode: u32, wanted: u32 },
    /// SQLite's locks do not hold on network file systems.
    #[error("{path} is on a network file system; hint: choose a local directory with --home, or use PostgreSQL")]
    NetworkFileSystem { path: PathBuf },
    /// Another process holds `open.lock`.
    #[error("{path} is held by another process that is opening the store; hint: wait for it, or end it if it hangs")]
    OpenLockHeld { path: PathBuf },
    /// The database file is damaged. The file stays unchanged; `copy` is the path of a copy.
    #[error(
        "{path} is damaged ({reason}); nothing was changed, a copy is at {copy}; \
         hint: restore a backup over it, or move it away to start with no accounts"
    )]
    Damaged { path: PathBuf, copy: PathBuf, reason: String },
    /// The schema is older than the schema of this program, and the options do not allow a migration. An empty database has schema 0.
    #[error(
        "the database has schema {found}, and this Polygate needs {known}; \
         hint: run `polygate migrate`, or `polygate serve`, which does the same"
    )]
    SchemaTooOld { found: i64, known: i64 },
    /// A newer Polygate changed the database in a way that this one cannot work with.
    #[error("the database has schema {found}, this Polygate works with up to {known}; hint: update Polygate")]
    SchemaTooNew { found: i64, known: i64 },
    /// The text of a migration differs from the text that was applied.
    #[error(
        "migration {number} of the database is not the one that this Polygate knows; hint: use the Polygate that made it"
    )]
    MigrationChanged { number: i64 },
    /// Sealed rows exist but the data key is missing. A new key could not open them.
    #[error(
        "the data key {path} is missing, and the stored logins are sealed with it; \
         hint: put the key back, or name its file in POLYGATE_DATA_KEY_FILE"
    )]
    MissingDataKey { path: PathBuf },
    /// The file does not have 32 bytes.
    #[error("{path} is not a data key (32 bytes expected, {found} found); hint: put the right file back")]
    BadDataKey { path: PathBuf, found: u64 },
    /// The key belongs to another install.
    #[error(
        "{path} is not the key that the stored logins are sealed with; \
         hint: put the right one back; nodes of one PostgreSQL need the same key file"
    )]
    WrongDataKey { path: PathBuf },
    /// The PostgreSQL URL cannot be read. Its text may hold a password and is not shown.
    #[error("the PostgreSQL URL cannot be read; hint: postgres://user:password@host:5432/database")]
    InvalidUrl,
    /// The connection does not verify the server's certificate, so that others on the network could read or change logins. The message
    /// names the server, never the URL.
    #[error(
        "PostgreSQL on {host} would be used without a verified certificate, and logins would cross that network; \
         hint: add ?sslmode=verify-full to store.postgres_url, and &sslrootcert=FILE where the server's CA is your own"
    )]
    Unverified { host: String },
    /// PostgreSQL does not answer or refuses the login.
    #[error("PostgreSQL cannot be reached: {0}; hint: check that it runs, and the URL's host, user and password")]
    Unreachable(#[source] sqlx::Error),
    /// The server is a standby or is set to read-only.
    #[error("PostgreSQL takes no writes; hint: the URL leads to a standby or a read-only server, name the primary")]
    ReadOnly,
    /// The database answered with an error.
    #[error("{0}")]
    Store(#[from] Error),
}

/// Why the serve lock was not taken.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field has the name that the text gives it")]
pub enum LockError {
    /// Another gateway serves this home; `process` is ` (process 123)`, or empty where it is unknown.
    #[error("another gateway{process} is serving {home}; hint: stop it, or use another --home")]
    Held { home: PathBuf, process: String },
    /// The lock file could not be made or opened.
    #[error("{path}: {source}; hint: the data directory must be writable")]
    Io { path: PathBuf, source: io::Error },
    /// Other users can access the home directory or the lock file.
    #[error(transparent)]
    Home(#[from] OpenError),
}

impl OpenError {
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_path_buf(), source }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match code(&error).as_deref() {
            Some("13" | "53100") => Self::Full,
            Some("10") if shm_full(&error) => Self::Full,
            Some("5") => Self::Busy,
            _ if timed_out(&error) => Self::Unavailable,
            _ => Self::Database(error),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Database(sqlx::Error::Io(error))
    }
}

impl From<sqlx::Error> for OpenError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// SQLite's primary result code in decimal, or PostgreSQL's SQLSTATE (five characters).
pub(crate) fn code(error: &sqlx::Error) -> Option<String> {
    let code = error.as_database_error()?.code()?;
    match code.parse::<u32>() {
        Ok(number) if code.len() < 5 => Some((number & 0xff).to_string()),
        _ => Some(code.into_owned()),
    }
}

/// Whether the error is a timeout.
fn timed_out(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolTimedOut => true,
        sqlx::Error::Io(error) => matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::NotConnected),
        _ => false,
    }
}

/// Whether SQLite's shared memory file could not grow (IOERR_SHMSIZE), as on a full disk.
fn shm_full(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref() == Some("4874")
}

/// Whether the error is a violation of a unique constraint.
pub(crate) fn duplicate(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

/// Whether SQLite reports a corrupt file (CORRUPT, NOTADB).
pub(crate) fn corrupt(error: &sqlx::Error) -> bool {
    matches!(code(error).as_deref(), Some("11" | "26"))
}
