//! Account files: reads every known format, recognised by its shape, and writes five formats.
//!
//! This module takes text and returns entries, without I/O. A file that cannot be read as a whole gives no entry at all; an entry whose
//! tokens cannot be valid is rejected by [`LoginEntry::readiness`] before it is stored or sent. Errors never quote the file, which may hold
//! tokens.

mod entry;
mod lines;
mod readiness;
mod seq;
#[cfg(test)]
mod tests;
mod write;

use std::str;

use pool::{Millis, Secret};
use serde::Deserialize;
use serde_json::value::RawValue;

pub use self::readiness::{InvalidEntry, Readiness};
use self::seq::BoundedList;
pub use self::write::{ExportedAccount, Format, write};

/// Longest file, bytes.
pub const LONGEST: usize = 64 << 20;
/// Most entries of a file.
pub const MOST: usize = 10_000;
/// The `type` of a file that is encrypted with a passphrase.
const SEALED: &str = "polygate-sealed";

/// The content of a file.
#[derive(Debug, Default)]
pub struct File {
    /// Its logins, in its order.
    pub entries: Vec<LoginEntry>,
    /// Its OpenAI API keys.
    pub keys: Vec<Secret>,
    /// Entries that are no login, with the reason.
    pub rejected: Vec<RejectedEntry>,
    /// Entries of other providers.
    pub skipped: usize,
}

/// One login of a file, unchecked.
#[derive(Clone, Debug, Default)]
pub struct LoginEntry {
    /// The line where the entry begins, from 1.
    pub line: usize,
    /// The account's name, at most 64 characters; may be empty.
    pub label: String,
    /// At most 16, each of at most 32 characters.
    pub tags: Vec<String>,
    /// Whether the account was disabled.
    pub disabled: bool,
    /// Bearer.
    pub access: Option<Secret>,
    /// Single-use refresh token.
    pub refresh: Option<Secret>,
    /// Identity token.
    pub id: Option<Secret>,
    /// The account's id in the file.
    pub account: Option<String>,
    /// When its tokens were refreshed last.
    pub refreshed: Option<Millis>,
}

/// An entry that is no login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedEntry {
    /// The line where the entry begins, from 1.
    pub line: usize,
    /// The problem, without any text of the entry.
    pub why: String,
}

/// Why a file is refused as a whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each field has the name that the text gives it")]
pub enum FileError {
    /// The file has no text.
    #[error("the file is empty; hint: give an export, a Codex auth.json, or one token on each line")]
    Empty,
    /// Over [`LONGEST`].
    #[error("the file is over 64 MiB; hint: split it")]
    TooLong,
    /// Over [`MOST`].
    #[error("the file has over 10000 entries; hint: split it")]
    TooMany,
    /// Invalid JSON. The parser's message is left out: it could quote a token.
    #[error("line {line}, column {column}: this is no sound JSON; nothing was imported")]
    Json { line: usize, column: usize },
    /// A line that is neither a token nor JSON. The message quotes nothing of the line.
    #[error("line {line}: {why}; nothing was imported")]
    Line { line: usize, why: &'static str },
    /// The file is encrypted with a passphrase.
    #[error("the file is encrypted; hint: give its passphrase")]
    Sealed,
    /// Settings of a gateway, without accounts.
    #[error(
        "the file holds settings and no accounts; hint: import the Codex auth.json that the gateway used, usually ~/.codex/auth.json"
    )]
    Settings,
}

/// The fields that containers of accounts share; all others are ignored.
#[derive(Deserialize)]
struct Container<'a> {
    #[serde(borrow, default)]
    accounts: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "type")]
    kind: Option<&'a RawValue>,
}

/// Reads a file of any known format. Errors: [`FileError`] when it cannot be read as a whole.
pub fn read(text: &[u8]) -> Result<File, FileError> {
    if text.len() > LONGEST {
        return Err(FileError::TooLong);
    }
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let text = str::from_utf8(text).map_err(|error| FileError::Line {
        line: lines::number(&text[..error.valid_up_to()]),
        why: "this is not UTF-8 text",
    })?;
    match text.trim_start().chars().next() {
        None => Err(FileError::Empty),
        Some('{' | '[' | '"') if !lines::json_lines(text) => read_json(text),
        Some(_) => lines::read(text),
    }
}

/// One JSON value.
fn read_json(text: &str) -> Result<File, FileError> {
    let root: &RawValue = serde_json::from_str(text).map_err(|error| malformed(&error))?;
    if let Ok(inner) = serde_json::from_str::<String>(root.get()) {
        // One JSON string with a token on each line.
        return if inner.trim().is_empty() { Err(FileError::Empty) } else { lines::read(&inner) };
    }
    let mut file = File::default();
    let mut line_counter = lines::LineCounter::new(text);
    for item in items(root)? {
        file.add_entry(item, line_counter.line(item.get()));
    }
    Ok(file)
}

/// The entries of a container, or the value itself.
fn items(root: &RawValue) -> Result<Vec<&RawValue>, FileError> {
    if root.get().starts_with('[') {
        return list(root);
    }
    let top: Container<'_> = serde_json::from_str(root.get()).map_err(|error| malformed(&error))?;
    if top.kind.is_some_and(|kind| kind.get().trim_matches('"') == SEALED) {
        return Err(FileError::Sealed);
    }
    let wrapped = |raw: &&RawValue| raw.get().starts_with('{') && raw.get().contains("\"accounts\"");
    match (top.accounts, top.data.filter(wrapped)) {
        (Some(accounts), _) if accounts.get().starts_with('[') => list(accounts),
        // Sub2API's API wraps its files in a `data` field.
        (None, Some(data)) => {
            let inner: Container<'_> = serde_json::from_str(data.get()).map_err(|error| malformed(&error))?;
            inner.accounts.filter(|raw| raw.get().starts_with('[')).map_or(Ok(vec![root]), list)
        }
        _ => Ok(vec![root]),
    }
}

fn list(raw: &RawValue) -> Result<Vec<&RawValue>, FileError> {
    let BoundedList { items, more } = serde_json::from_str(raw.get()).map_err(|error| malformed(&error))?;
    if more { Err(FileError::TooMany) } else { Ok(items) }
}

fn malformed(error: &serde_json::Error) -> FileError {
    FileError::Json { line: error.line().max(1), column: error.column().max(1) }
}
