//! Location of the data key: in the home directory, in the first usable of several private folders, or in a file that the owner names.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::OpenError;
use crate::files::{self, PathKind};
use crate::home::Home;

/// The key's file name in a private folder.
const NAME: &str = "data.key";

/// Location of the data key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DataKey {
    /// `<home>/secret/data.key`.
    #[default]
    InHome,
    /// `data.key` in one of these private folders (0700): in the first folder that holds it; a new key goes into the first writable one.
    Folders(Vec<PathBuf>),
    /// This file. The mode of its folder is not checked, because the folder may be a mount of secrets. A missing folder is created (0700).
    File(PathBuf),
}

impl DataKey {
    /// The key's path. Creates the folder for a new key. `sealed` says that sealed rows exist: then no folder is created, because a new
    /// key could not open them. Errors: [`OpenError`] of the first folder that other users can access, or when no folder is writable.
    pub(crate) fn find(&self, home: &Home, sealed: bool) -> Result<PathBuf, OpenError> {
        match self {
            Self::InHome => find_in(&[home.secret()], sealed),
            Self::Folders(folders) => find_in(folders, sealed),
            Self::File(path) => {
                let folder = path.parent().unwrap_or(Path::new("."));
                if !sealed && !files::exists(folder)? {
                    files::ensure_directory(folder, PathKind::Private)?;
                }
                Ok(path.clone())
            }
        }
    }
}

fn find_in(folders: &[PathBuf], sealed: bool) -> Result<PathBuf, OpenError> {
    for folder in folders {
        let path = folder.join(NAME);
        if files::exists(&path)? {
            files::check(folder, PathKind::Private)?;
            return Ok(path);
        }
    }
    let mut refused = None;
    for folder in folders {
        if sealed {
            return Ok(folder.join(NAME));
        }
        match files::ensure_directory(folder, PathKind::Private).and_then(|()| files::require_writable(folder)) {
            Ok(()) => return Ok(folder.join(NAME)),
            Err(error) if may_try_next(&error) => refused = refused.or(Some(error)),
            Err(error) => return Err(error),
        }
    }
    Err(refused.expect("invariant: there is at least one folder"))
}

/// Whether the next folder may be tried: this folder is not writable, because of its mode or its file system.
fn may_try_next(error: &OpenError) -> bool {
    let kinds = [ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem, ErrorKind::NotADirectory];
    matches!(error, OpenError::Io { source, .. } if kinds.contains(&source.kind()))
}
