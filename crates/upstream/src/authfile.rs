//! Reads a Codex `auth.json`.

use std::path::Path;

use pool::{Millis, Secret};

use crate::jwt::Claims;

/// What an auth.json holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Imported {
    /// A ChatGPT login.
    Login(Login),
    /// A plain OpenAI API key; no ChatGPT account.
    ApiKey(Secret),
}

/// A ChatGPT login of an auth.json.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Bearer.
    pub access: Secret,
    /// Single-use refresh token.
    pub refresh: Option<Secret>,
    /// Identity token.
    pub id: Option<Secret>,
    /// Who; `account_id` is never empty.
    pub claims: Claims,
    /// When the file's owner last refreshed.
    pub refreshed: Option<Millis>,
}

/// Why a file cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Cannot be read.
    #[error("cannot read {path}: {source}; hint: give the path of a Codex auth.json, usually ~/.codex/auth.json")]
    Io {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Reads the file's text.
pub fn parse(_text: &[u8]) -> Result<Imported, ImportError> {
    unimplemented!()
}

/// Reads the file; a half-written one is read again up to 3 times, 50 ms apart.
pub async fn load(_path: &Path) -> Result<Imported, ImportError> {
    unimplemented!()
}
