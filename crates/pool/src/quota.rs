//! Quota windows: what headers, stream events and the usage poll say.

/// Last known quota of an account.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Quota {}
