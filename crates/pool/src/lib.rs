//! The rules over accounts, as pure functions: how a signal changes an account, which account serves a request, what a request does
//! after a failed try, which egress route a call takes, when an owner is warned, how a model name resolves, how keys are made and
//! read, and which relays and addresses are allowed.
//!
//! Sans-IO: no async, clock, randomness, environment or files; `now` and random bytes are arguments.

pub mod account;
pub mod attempt;
pub mod breaker;
pub mod budget;
pub mod catalog;
pub mod date;
pub mod egress;
pub mod guard;
pub mod hosted;
pub mod keys;
pub mod learned;
mod lenient;
pub mod limits;
pub mod pick;
pub mod quota;
#[cfg(test)]
#[path = "../../../tests/recordings.rs"]
mod recordings;
pub mod refresh;
pub mod relay;
pub mod release;
pub mod routing;
pub mod sanitize;
pub mod secret;
pub mod status;
pub mod transport;
pub mod warning;

pub use account::{Account, AccountId, AccountLimits, Tokens};
pub use secret::Secret;
pub use status::Status;

/// Unix milliseconds.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(transparent)]
pub struct Millis(pub i64);

impl Millis {
    /// This instant plus `millis`, saturating.
    #[must_use]
    pub fn plus(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// This instant plus `span`, saturating.
    #[must_use]
    pub fn after(self, span: std::time::Duration) -> Self {
        self.plus(i64::try_from(span.as_millis()).unwrap_or(i64::MAX))
    }

    /// Milliseconds from `self` until `later`; 0 when it has passed.
    pub fn until(self, later: Self) -> u64 {
        u64::try_from(later.0.saturating_sub(self.0)).unwrap_or(0)
    }

    /// This instant; 0 (never) when it lies so far after `now` that it must come from a clock that has been set back since.
    #[must_use]
    pub fn believed(self, now: Self) -> Self {
        if self > now.after(limits::CLOCK_SLACK) { Self(0) } else { self }
    }

    /// Whole Unix seconds.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }
}
