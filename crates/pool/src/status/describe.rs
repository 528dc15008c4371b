//! Signals in words, for people.

use super::Signal;

impl Signal {
    /// What happened, in a few words; empty when it changes no account.
    pub fn describe(&self) -> String {
        match self {
            Self::None | Self::ModelMissing | Self::ModelExhausted { .. } => String::new(),
            Self::Served => "it served a request".into(),
            Self::Ample => "fresh figures show quota left".into(),
            Self::SignedIn => "somebody signed in again".into(),
            Self::Exhaust { window, .. } | Self::Measured { window, .. } => format!("{window} quota used up"),
            Self::NeedsLogin { why } | Self::Expiring { why, .. } | Self::Cool { why, .. } | Self::Block { why } => {
                why.clone()
            }
        }
    }
}
