//! What can go wrong, with hints. No variant carries a secret, a URL or a bound value.

use std::io;
use std::path::PathBuf;

use crate::Ticket;

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database refused or is not there.
    #[error("database: {0}")]
    Database(#[source] sqlx::Error),
    /// The disk is full; state is unchanged.
    #[error("the disk is full; hint: make room in the data directory, the gateway goes on by itself")]
    Full,
    /// A stored secret cannot be opened with the data key.
    #[error("{table}.{column} of {row} cannot be unsealed: damaged, or sealed with another data key")]
    Sealed {
        /// Table.
        table: &'static str,
        /// Column.
        column: &'static str,
        /// Row id.
        row: String,
    },
    /// A stored value is not what was once written.
    #[error("{table}.{column} of {row} is damaged")]
    Damaged {
        /// Table.
        table: &'static str,
        /// Column.
        column: &'static str,
        /// Row id.
        row: String,
    },
    /// Somebody else took the lease over, or the tokens were replaced meanwhile.
    #[error("the refresh lease was taken over")]
    Stale,
    /// The key id is taken.
    #[error("a key with this id exists")]
    Exists,
    /// The name of a setting belongs to the store.
    #[error("the setting {0} is reserved")]
    Reserved(String),
    /// A value that is not UTF-8.
    #[error("{0} is not text")]
    NotText(&'static str),
    /// Rows kept changing under a write.
    #[error("too many writers at once; hint: try again")]
    Contended,
}

/// Why new tokens were not stored.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Fenced out: somebody took the lease over, or the account is gone or was signed in again.
    #[error("the refresh lease was taken over; these tokens are not stored")]
    Stale,
    /// The database failed; the ticket still holds, try again.
    #[error("new tokens are not stored yet: {source}")]
    Failed {
        /// For the next try.
        ticket: Box<Ticket>,
        /// Why.
        source: Error,
    },
}

/// Why a store does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file or directory could not be read or made.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The database failed.
    #[error("database: {0}")]
    Database(#[source] sqlx::Error),
}

/// Why the serve lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another gateway serves this home.
    #[error("another gateway is serving {home}; hint: stop it, or use another --home")]
    Held {
        /// The home.
        home: PathBuf,
    },
    /// The lock file could not be made or opened.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
