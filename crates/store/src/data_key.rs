//! Where the data key lies: beside the data, in one of several folders of ours, or where the owner says.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::OpenError;
use crate::files::{self, Kind};
use crate::home::Home;

/// The key's name in a folder of ours.
const NAME: &str = "data.key";

/// Where the data key lies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DataKey {
    /// `<home>/secret/data.key`.
    #[default]
    InHome,
    /// `data.key` in one of these folders, which are ours alone (0700): in the first that has it, else it is made in the first
    /// that can be written.
    Folders(Vec<PathBuf>),
    /// This file. Its folder is the owner's affair, such as one with mounted secrets; it is made (0700) where there is none.
    File(PathBuf),
}

impl DataKey {
    /// The key's path. Makes the folder of a key that is to be made; none is made while `sealed` rows need one that is there no
    /// more.
    ///
    /// # Errors
    /// [`OpenError`] of the first folder that is not ours alone, or where none can be written.
    pub(crate) fn find(&self, home: &Home, sealed: bool) -> Result<PathBuf, OpenError> {
        match self {
            Self::InHome => among(&[home.secret()], sealed),
            Self::Folders(folders) => among(folders, sealed),
            Self::File(path) => {
                let folder = path.parent().unwrap_or(Path::new("."));
                if !sealed && !files::exists(folder)? {
                    files::directory(folder, Kind::Private)?;
                }
                Ok(path.clone())
            }
        }
    }
}

fn among(folders: &[PathBuf], sealed: bool) -> Result<PathBuf, OpenError> {
    for folder in folders {
        let path = folder.join(NAME);
        if files::exists(&path)? {
            files::judge(folder, Kind::Private)?;
            return Ok(path);
        }
    }
    let mut refused = None;
    for folder in folders {
        if sealed {
            return Ok(folder.join(NAME));
        }
        match files::directory(folder, Kind::Private).and_then(|()| files::writable(folder)) {
            Ok(()) => return Ok(folder.join(NAME)),
            Err(error) if elsewhere(&error) => refused = refused.or(Some(error)),
            Err(error) => return Err(error),
        }
    }
    Err(refused.expect("invariant: there is at least one folder"))
}

/// Whether another folder may do: this one cannot be written, by its mode or its file system.
fn elsewhere(error: &OpenError) -> bool {
    let kinds = [ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem, ErrorKind::NotADirectory];
    matches!(error, OpenError::Io { source, .. } if kinds.contains(&source.kind()))
}
