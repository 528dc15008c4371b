//! Device-code login.

use std::time::Duration;

use pool::Secret;
use url::Url;

use super::{Grant, LoginError};
use crate::Upstream;

/// A started device login.
#[derive(Clone, Debug)]
pub struct Device {
    /// What the person types.
    pub user_code: String,
    /// Where.
    pub page: Url,
    /// Between two polls.
    pub interval: Duration,
    /// How long the code lives.
    pub lifetime: Duration,
    pub(crate) id: Secret,
}

/// A poll's outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Poll {
    /// Not yet.
    Pending,
    /// Signed in.
    Done(Grant),
}

impl Upstream {
    /// Asks for a code to type.
    pub async fn device_start(&self) -> Result<Device, LoginError> {
        unimplemented!()
    }

    /// Asks once whether it was typed; exchanges at once when so. The caller waits `interval` between calls and stops after `lifetime`.
    pub async fn device_poll(&self, _device: &Device) -> Result<Poll, LoginError> {
        unimplemented!()
    }
}
