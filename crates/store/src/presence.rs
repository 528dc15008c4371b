//! A sign that a process lives: a file that it holds locked until it ends, however it ends. Process ids alone say little, as the
//! system gives them out again.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::OpenError;
use crate::files::{self, Kind};
use crate::home::Home;

/// This process, as leases name it.
#[derive(Debug)]
pub(crate) struct Presence {
    name: String,
    path: PathBuf,
    _locked: File,
}

impl Presence {
    /// Makes and locks the file.
    pub(crate) fn announce(home: &Home) -> Result<Self, OpenError> {
        let id = Uuid::new_v4();
        files::directory(&home.holders(), Kind::Private)?;
        let path = file(home, id);
        let io = |source| OpenError::io(&path, source);
        let locked = files::create(&path).map_err(io)?;
        locked.try_lock().map_err(|error| io(error.into()))?;
        Ok(Self { name: format!("{}/{id}", std::process::id()), path, _locked: locked })
    }

    /// `PROCESS/UUID`: the former is for people.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        // Whoever finds it unlocked removes it as well.
        let _ = files::remove(&self.path);
    }
}

/// Whether the process of this name on this machine has ended, or the name is none that a process of ours has. Where its file cannot be
/// read the process is taken to live: its lease ends by itself.
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
