//! Files with a JSON object or a token on each line.

use serde_json::value::RawValue;

use super::entry::{self, plausible};
use super::{File, FileError, MOST};
use crate::jwt::Claims;

/// Finds the line numbers of entries in one pass. The entries must come in the order of the text.
pub(super) struct LineCounter<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl<'a> LineCounter<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, line: 1 }
    }

    /// The line at which `part`, a slice of the text, begins.
    pub(super) fn line(&mut self, part: &str) -> usize {
        let offset = (part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize).min(self.text.len());
        if offset > self.at {
            self.line += breaks(&self.text.as_bytes()[self.at..offset]);
            self.at = offset;
        }
        self.line
    }
}

/// The line number at the end of `before`.
pub(super) fn number(before: &[u8]) -> usize {
    breaks(before) + 1
}

fn breaks(text: &[u8]) -> usize {
    text.split(|byte| *byte == b'\n').count() - 1
}

/// Whether the first line is a whole JSON object and is followed by other lines.
pub(super) fn json_lines(text: &str) -> bool {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let (Some(first), Some(_)) = (lines.next(), lines.next()) else { return false };
    first.trim_start().starts_with('{') && serde_json::from_str::<&RawValue>(first).is_ok()
}

/// Reads a file line by line. Empty lines and lines that begin with `#` are skipped.
pub(super) fn read(text: &str) -> Result<File, FileError> {
    let mut file = File::default();
    let content = |(_, line): &(usize, &str)| !line.is_empty() && !line.starts_with('#');
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim())).filter(content);
    for (count, (number, line)) in lines.enumerate() {
        if count == MOST {
            return Err(FileError::TooMany);
        }
        if line.starts_with('{') {
            let column = |error: serde_json::Error| FileError::Json { line: number, column: error.column().max(1) };
            file.add_entry(serde_json::from_str(line).map_err(column)?, number);
            continue;
        }
        file.entries.push(entry::token(line, number).ok_or_else(|| refusal(line, number, count == 0))?);
    }
    if file.entries.is_empty() && file.rejected.is_empty() && file.keys.is_empty() && file.skipped == 0 {
        return Err(FileError::Empty);
    }
    Ok(file)
}

/// The error for a line that is no token. The first line shows whether the file holds settings.
fn refusal(line: &str, number: usize, first: bool) -> FileError {
    let name = line.split(['=', ']']).next().unwrap_or_default().trim_start_matches('[').trim();
    let named = name.len() <= 40 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    let setting = line.starts_with('[') || line.contains('=') && !line.contains("==");
    if first && named && setting {
        return FileError::Settings;
    }
    FileError::Line { line: number, why: "this is neither JSON nor an access token nor a refresh token" }
}

/// Whether a text is an access token.
pub(super) fn is_access(text: &str) -> bool {
    plausible(text) && Claims::read(&text.into()).is_some()
}
