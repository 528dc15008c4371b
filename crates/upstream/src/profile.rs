//! Who we say we are.

/// An identity towards the backend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile;
