//! Private files and directories (0600, 0700) for secrets: never behind a symlink, created complete or not at all.
//! An error says how to correct the permissions; existing permissions are never changed.

#[cfg(test)]
mod tests;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::OpenError;
use crate::failpoint::{self, hit};

/// The expected kind of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PathKind {
    /// A directory that other users may read but not write.
    Directory,
    /// A directory that other users may not access.
    Private,
    /// A regular file that other users may not access.
    File,
}

/// Creates a missing directory with mode 0700, and checks its owner and mode.
pub(crate) fn ensure_directory(path: &Path, kind: PathKind) -> Result<(), OpenError> {
    if !exists(path)? {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path).map_err(|source| OpenError::io(path, source))?;
    }
    check(path, kind)
}

/// Refuses a directory in which this process may not create files.
pub(crate) fn require_writable(path: &Path) -> Result<(), OpenError> {
    #[cfg(unix)]
    {
        let wanted = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
        rustix::fs::access(path, wanted).map_err(|errno| OpenError::io(path, errno.into()))?;
    }
    let _ = path;
    Ok(())
}

/// Whether the path exists; a dangling symlink counts.
pub(crate) fn exists(path: &Path) -> Result<bool, OpenError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        // A path below a regular file does not exist.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(false),
        Err(error) => Err(OpenError::io(path, error)),
    }
}

/// The size of a file, 0 when there is none.
pub(crate) fn size(path: &Path) -> u64 {
    fs::symlink_metadata(path).map_or(0, |facts| facts.len())
}

/// The mode of the path; `None` when the path does not exist, or on systems without modes.
pub(crate) fn mode(path: &Path) -> Option<u32> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        fs::symlink_metadata(path).ok().map(|facts| facts.mode() & 0o777)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

/// Refuses a path that is a symlink, has the wrong kind or owner, or that other users can access.
pub(crate) fn check(path: &Path, kind: PathKind) -> Result<(), OpenError> {
    let facts = fs::symlink_metadata(path).map_err(|source| OpenError::io(path, source))?;
    let path = path.to_path_buf();
    if facts.file_type().is_symlink() {
        return Err(OpenError::Symlink { path });
    }
    match kind {
        PathKind::Directory | PathKind::Private if !facts.is_dir() => {
            return Err(OpenError::WrongFileType { path, wanted: "a directory" });
        }
        PathKind::File if !facts.is_file() => return Err(OpenError::WrongFileType { path, wanted: "a regular file" }),
        _ => (),
    }
    #[cfg(unix)]
    check_owner(path, &facts, kind)?;
    Ok(())
}

#[cfg(unix)]
fn check_owner(path: PathBuf, facts: &fs::Metadata, kind: PathKind) -> Result<(), OpenError> {
    use std::os::unix::fs::MetadataExt;
    let (owner, us, mode) = (facts.uid(), rustix::process::geteuid().as_raw(), facts.mode() & 0o777);
    let (forbidden, wanted) = match kind {
        PathKind::Directory => (0o022, 0o700),
        PathKind::Private => (0o077, 0o700),
        PathKind::File => (0o077, 0o600),
    };
    if owner != us {
        return Err(OpenError::Owner { path, owner, us });
    }
    if mode & forbidden != 0 {
        return Err(OpenError::Mode { path, mode, wanted });
    }
    Ok(())
}

/// Refuses network file systems, where SQLite's locks and shared memory do not hold.
pub(crate) fn check_local_disk(path: &Path) -> Result<(), OpenError> {
    #[cfg(target_os = "linux")]
    {
        /// NFS, SMB 1, CIFS, SMB 2 (statfs(2)).
        const REMOTE: [u32; 4] = [0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42];
        let facts = rustix::fs::statfs(path).map_err(|errno| OpenError::io(path, errno.into()))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the numbers are 32 bits wide")]
        if REMOTE.contains(&(facts.f_type as u32)) {
            return Err(OpenError::NetworkFileSystem { path: path.to_path_buf() });
        }
    }
    let _ = path;
    Ok(())
}

/// Creates a file with mode 0600. Fails when the path exists.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    options().create_new(true).open(path)
}

/// Opens a lock file, and creates a missing one. A lock file holds only the process id.
pub(crate) fn lock_file(path: &Path) -> io::Result<File> {
    options().create(true).truncate(false).read(true).open(path)
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
        #[expect(clippy::cast_possible_wrap, reason = "flags are an int in C")]
        options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32);
    }
    options
}

/// Writes a new file that is complete or missing after a crash. The caller holds the lock that keeps other processes from creating the
/// file.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = with_suffix(path, ".new");
    remove(&draft)?;
    hit(failpoint::KEY_WRITE)?;
    let mut file = create(&draft)?;
    file.write_all(bytes)?;
    hit(failpoint::KEY_SYNC)?;
    file.sync_all()?;
    hit(failpoint::KEY_RENAME)?;
    publish(&draft, path)?;
    hit(failpoint::KEY_DONE)
}

/// Renames a synced draft to its final name, durably.
pub(crate) fn publish(draft: &Path, path: &Path) -> io::Result<()> {
    fs::rename(draft, path)?;
    sync_parent(path)
}

/// Copies a file to a new file with mode 0600, durably.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut target = create(to)?;
    io::copy(&mut File::open(from)?, &mut target)?;
    target.sync_all()?;
    sync_parent(to)
}

/// Removes a file; a missing file is no error.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The path with `ending` added to its name.
pub(crate) fn with_suffix(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Syncs the parent directory, so that a rename is durable.
fn sync_parent(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    if let Some(parent) = path.parent() {
        File::open(parent)?.sync_all()?;
    }
    let _ = path;
    Ok(())
}
