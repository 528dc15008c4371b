//! One serving gateway per home: a lock that the kernel releases, also after kill -9.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::files::{self, PathKind};
use crate::home::Home;
use crate::{LockError, Store};

/// Lock held while a gateway serves; dropping it releases the lock.
#[derive(Debug)]
pub struct ServeLock {
    _file: File,
}

impl Store {
    /// Takes `<home>/serve.lock` and creates a missing home. Never waits.
    pub fn lock(home: &Path) -> Result<ServeLock, LockError> {
        let path = Home::open(home)?.path().join("serve.lock");
        let mut file = files::lock_file(&path).map_err(|source| LockError::Io { path: path.clone(), source })?;
        files::check(&path, PathKind::File)?;
        match file.try_lock() {
            Ok(()) => write_pid(&mut file).map_err(|source| LockError::Io { path, source })?,
            Err(TryLockError::WouldBlock) => return Err(held(home, &mut file)),
            Err(TryLockError::Error(source)) => return Err(LockError::Io { path, source }),
        }
        Ok(ServeLock { _file: file })
    }
}

/// Writes the process id into the lock file, for the error message of the next process.
fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(std::process::id().to_string().as_bytes())
}

fn held(home: &Path, file: &mut File) -> LockError {
    let mut text = String::new();
    let pid = file.take(16).read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
    let process = pid.map_or_else(String::new, |pid: u32| format!(" (process {pid})"));
    LockError::Held { home: PathBuf::from(home), process }
}
