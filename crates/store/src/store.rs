//! The handle.

use std::path::PathBuf;
use std::sync::Arc;

use pool::Secret;

use crate::{Error, OpenError, Usage};

/// Where the state is.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Directory of everything that is written; created 0700.
    pub home: PathBuf,
    /// PostgreSQL URL; `None` for SQLite in `home`.
    pub postgres: Option<Secret>,
    /// The data key's file; `None` for `<home>/secret/data.key`.
    pub data_key_file: Option<PathBuf>,
}

/// The open store. Clones are handles to the same one.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    pepper: [u8; 32],
    instance: String,
    usage: Usage,
}

impl Store {
    /// Opens the store: creates what is missing, migrates, loads the data key. Never replaces what it cannot read.
    pub async fn open(_options: Options) -> Result<Self, OpenError> {
        unimplemented!()
    }

    /// Random bytes of this install that key digests are made with.
    pub fn pepper(&self) -> &[u8; 32] {
        &self.0.pepper
    }

    /// This install's id.
    pub fn instance(&self) -> &str {
        &self.0.instance
    }

    /// A number that differs from the last call's when something was written since, by any process. Not usage.
    pub async fn generation(&self) -> Result<i64, Error> {
        unimplemented!()
    }

    /// The usage table.
    pub fn usage(&self) -> &Usage {
        &self.0.usage
    }

    /// Writes what is waiting and closes the files.
    pub async fn close(self) {
        unimplemented!()
    }
}
