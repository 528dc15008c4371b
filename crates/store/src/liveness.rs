//! Liveness of a process: a file that the process holds locked until it ends. The kernel releases the lock after a kill, too. A process id
//! alone does not prove that a process lives, because the system reuses ids.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::OpenError;
use crate::files::{self, PathKind};
use crate::home::Home;

/// The liveness file of this process. Leases carry its name.
#[derive(Debug)]
pub(crate) struct LivenessFile {
    name: String,
    path: PathBuf,
    _locked: File,
}

impl LivenessFile {
    /// Creates and locks the file.
    pub(crate) fn create(home: &Home) -> Result<Self, OpenError> {
        let id = Uuid::new_v4();
        files::ensure_directory(&home.holders(), PathKind::Private)?;
        let path = file(home, id);
        let io = |source| OpenError::io(&path, source);
        let locked = files::create(&path).map_err(io)?;
        locked.try_lock().map_err(|error| io(error.into()))?;
        Ok(Self { name: format!("{}/{id}", std::process::id()), path, _locked: locked })
    }

    /// `PROCESS/UUID`. The process id is for people.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for LivenessFile {
    fn drop(&mut self) {
        // A process that finds the file unlocked removes it as well.
        let _ = files::remove(&self.path);
    }
}

/// Whether the process of this name on this machine has ended. A name of another form counts as ended. A process with an unreadable file
/// counts as alive: its lease expires by itself.
pub(crate) fn ended(home: &Home, name: &str) -> bool {
    let id = name.rsplit('/').next().and_then(|id| Uuid::try_parse(id).ok());
    id.is_none_or(|id| unlocked(&file(home, id)))
}

fn unlocked(path: &Path) -> bool {
    match File::open(path) {
        Ok(file) => match file.try_lock() {
            Ok(()) => {
                let _ = files::remove(path);
                true
            }
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => false,
        },
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

fn file(home: &Home, id: Uuid) -> PathBuf {
    home.holders().join(id.to_string())
}
