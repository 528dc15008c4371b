//! The rules over accounts, as pure functions: what a signal does to an account, which account serves a request, what an
//! attempt may do next, which way out it takes, when its owner is warned, which model a name means, what a key is, what a relay is
//! and where its address may lead.
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

    /// This instant, unless only a clock that ran ahead and was set back since can have told it at `now`: then never (0).
    #[must_use]
    pub fn believed(self, now: Self) -> Self {
        if self > now.after(limits::CLOCK_SLACK) { Self(0) } else { self }
    }

    /// Whole Unix seconds.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }
}
