//! Writes files that hold secrets: mode 0600, complete or not there, also after a crash.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

/// What happens to a file that exists already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and the write fails.
    Keep,
    /// It is replaced.
    Replace,
}

/// Writes a file with mode 0600: a temporary file beside it is synced and renamed, then the folder is synced, where this user may open it.
///
/// # Errors
///
/// An I/O error before the rename, or the path exists and is kept. No temporary file stays, and an old file is intact.
pub fn write(path: &Path, bytes: &[u8], existing: Existing) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".private.").tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    let moved = match existing {
        Existing::Keep => file.persist_noclobber(path),
        Existing::Replace => file.persist(path),
    };
    moved.map_err(|error| error.error)?;
    // The file is there: a folder that cannot be opened, as on Windows, or synced is no failure of the write.
    if let Err(error) = File::open(folder).and_then(|folder| folder.sync_all()) {
        tracing::debug!(%error, "a folder was not synced");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_once_or_replaced() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("secret");
        write(&path, b"one", Existing::Keep).unwrap();
        let kept = write(&path, b"two", Existing::Keep).expect_err("it exists");
        assert_eq!(kept.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        write(&path, b"three", Existing::Replace).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"three");
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1, "no temporary file stays");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert!(write(&home.path().join("none/secret"), b"", Existing::Keep).is_err());
    }
}
