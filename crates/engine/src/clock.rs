//! The wall clock, so that tests can have one of their own.

use std::time::{SystemTime, UNIX_EPOCH};

use pool::Millis;
use tokio::time::Instant;

/// Tells the time of day. Durations are measured by the runtime's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub enum Clock {
    /// The system's clock.
    #[default]
    System,
    /// A clock that showed `at` when the runtime's clock showed `from`; with a paused runtime it stands still.
    Since {
        /// What it showed.
        at: Millis,
        /// When.
        from: Instant,
    },
}

impl Clock {
    /// A clock that shows `at` now and goes with the runtime's clock.
    pub fn starting(at: Millis) -> Self {
        Self::Since { at, from: Instant::now() }
    }

    /// The time.
    pub fn now(&self) -> Millis {
        match self {
            Self::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
            }
            Self::Since { at, from } => at.plus(i64::try_from(from.elapsed().as_millis()).unwrap_or(i64::MAX)),
        }
    }
}
