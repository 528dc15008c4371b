//! One serving gateway per home: a lock that the kernel releases, also on kill -9.

use std::fs::File;
use std::path::Path;

use crate::{LockError, Store};

/// Held while a gateway serves; dropping it lets go.
#[derive(Debug)]
pub struct ServeLock {
    _file: File,
}

impl Store {
    /// Takes `<home>/serve.lock`, creating home if need be. Never waits.
    pub fn lock(_home: &Path) -> Result<ServeLock, LockError> {
        unimplemented!()
    }
}
