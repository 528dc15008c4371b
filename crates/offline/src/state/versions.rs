//! The published versions of the official clients.

use serde::{Deserialize, Serialize};

/// The versions that the feeds name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Versions {
    /// Of the command-line program, `0.169.0`.
    pub cli: String,
    /// Of the desktop app, `26.908.40834`.
    pub app: String,
    /// Its build number.
    pub build: String,
}

impl Default for Versions {
    fn default() -> Self {
        Self { cli: "0.169.0".to_owned(), app: "26.908.40834".to_owned(), build: "4083".to_owned() }
    }
}
