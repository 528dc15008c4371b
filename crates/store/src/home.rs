//! The files below the home directory.

use std::fs::TryLockError;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::OpenError;
use crate::files::{self, PathKind};

/// Longest wait for another process that opens the same store.
const OPENING: Duration = Duration::from_secs(30);
/// Interval between attempts to take the lock.
const TRY: Duration = Duration::from_millis(20);

/// The home directory.
#[derive(Clone, Debug)]
pub(crate) struct Home(PathBuf);

/// Lock held while a store opens. Its holder may create, migrate and quarantine files.
#[derive(Debug)]
pub(crate) struct OpenLock(#[expect(dead_code, reason = "held, not used")] std::fs::File);

impl Home {
    /// Creates a missing directory, and checks its owner and mode.
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        files::ensure_directory(path, PathKind::Directory)?;
        Ok(Self(path.to_path_buf()))
    }

    /// The database of accounts, keys and settings.
    pub(crate) fn accounts(&self) -> PathBuf {
        self.0.join("accounts.db")
    }

    pub(crate) fn usage(&self) -> PathBuf {
        self.0.join("usage.db")
    }

    /// The data key's directory, which backups leave out.
    pub(crate) fn secret(&self) -> PathBuf {
        self.0.join("secret")
    }

    /// Liveness files of the processes that hold refresh leases.
    pub(crate) fn holders(&self) -> PathBuf {
        self.0.join("holders")
    }

    /// The reserve file that is released on a full disk.
    pub(crate) fn reserve(&self) -> PathBuf {
        self.0.join("reserve")
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Waits until no other process is opening the store, and takes the lock.
    pub(crate) async fn open_lock(&self) -> Result<OpenLock, OpenError> {
        let path = self.0.join("open.lock");
        let file = files::lock_file(&path).map_err(|source| OpenError::io(&path, source))?;
        files::check(&path, PathKind::File)?;
        let end = Instant::now() + OPENING;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(OpenLock(file)),
                Err(TryLockError::WouldBlock) if Instant::now() < end => sleep(TRY).await,
                Err(TryLockError::WouldBlock) => return Err(OpenError::OpenLockHeld { path }),
                Err(TryLockError::Error(source)) => return Err(OpenError::io(&path, source)),
            }
        }
    }
}
