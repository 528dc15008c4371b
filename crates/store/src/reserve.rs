//! Reserved disk space that is released when the disk is full, so that a refreshed token can still be written. Usage rows wait until the
//! reserve is filled again.

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::files;

/// Size of the reserve, bytes.
const SIZE: u64 = 4 << 20;
/// Pause before the reserve is filled again.
const REFILL: Duration = Duration::from_secs(30);

pub(crate) struct DiskReserve {
    path: PathBuf,
    state: Mutex<ReserveState>,
}

#[derive(Clone, Copy)]
enum ReserveState {
    Filled,
    Released { since: Instant },
}

impl DiskReserve {
    /// Fills the reserve if it is empty. A full disk does not prevent the start.
    pub(crate) fn open(path: PathBuf) -> Self {
        let state = match fill(&path) {
            Ok(()) => ReserveState::Filled,
            Err(error) => {
                tracing::warn!(%error, "no room for the disk reserve");
                ReserveState::Released { since: Instant::now() }
            }
        };
        Self { path, state: Mutex::new(state) }
    }

    /// Whether the reserve is filled; otherwise deferrable writes should wait.
    pub(crate) fn is_filled(&self) -> bool {
        matches!(*self.state.lock(), ReserveState::Filled)
    }

    /// Releases the reserve; `false` when it was empty.
    pub(crate) fn release(&self) -> bool {
        let mut state = self.state.lock();
        if matches!(*state, ReserveState::Released { .. }) {
            return false;
        }
        *state = ReserveState::Released { since: Instant::now() };
        tracing::warn!("the disk is full; the disk reserve is released");
        files::remove(&self.path).is_ok()
    }

    /// Fills the reserve again some time after its release. A blocking task fills the reserve, because filling writes 4 MiB and syncs.
    pub(crate) fn refill(self: &Arc<Self>) {
        if self.due() {
            let reserve = Arc::clone(self);
            tokio::task::spawn_blocking(move || reserve.fill());
        }
    }

    /// Whether the reserve is due to be filled; `true` once per pause.
    fn due(&self) -> bool {
        let mut state = self.state.lock();
        let ReserveState::Released { since } = *state else { return false };
        let due = since.elapsed() >= REFILL;
        if due {
            *state = ReserveState::Released { since: Instant::now() };
        }
        due
    }

    /// Fills the reserve without holding the lock, so that no caller waits for the disk.
    fn fill(&self) {
        if fill(&self.path).is_ok() {
            *self.state.lock() = ReserveState::Filled;
        }
    }
}

fn fill(path: &Path) -> io::Result<()> {
    if files::size(path) >= SIZE {
        return Ok(());
    }
    files::remove(path)?;
    let filled = files::create(path).and_then(write);
    if filled.is_err() {
        files::remove(path)?;
    }
    filled
}

/// Writes real bytes, because a sparse file reserves no space.
fn write(mut file: File) -> io::Result<()> {
    let block = vec![0x5a; 64 << 10];
    for _ in 0..SIZE / block.len() as u64 {
        file.write_all(&block)?;
    }
    file.sync_all()
}
