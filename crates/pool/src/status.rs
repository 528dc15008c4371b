//! Whether an account can serve: one sum type, every transition named by its signal.

use crate::Millis;

/// An account's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Status {
    /// Can serve.
    #[default]
    Active,
    /// Rests until an instant after a passing trouble.
    Cooling {
        /// When it may serve again.
        until: Millis,
        /// What happened.
        why: String,
    },
    /// A quota window is used up.
    Exhausted {
        /// When the window resets.
        until: Millis,
        /// `primary`, `secondary` or a named limit.
        window: String,
    },
    /// Its login no longer works; a person must sign in again.
    NeedsLogin {
        /// What the token endpoint or backend said.
        why: String,
    },
    /// The provider says that this account may not be used.
    Blocked {
        /// What it said.
        why: String,
    },
    /// Switched off by its owner.
    Disabled,
}
