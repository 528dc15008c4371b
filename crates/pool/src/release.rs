//! Versions of the official clients from public feeds. Only a plausible version is accepted, because every call sends it.

#[cfg(test)]
mod tests;

use std::fmt;

use memchr::memmem;
use serde::Deserialize;

/// Longest text of a version, bytes.
const TEXT: usize = 32;
/// The largest number in a version. The third number of the desktop app is a build number of five digits.
const NUMBER: u32 = 9_999_999;
/// How far a new version may be ahead of the known one, in the first and the second number. The desktop app has the year in the first
/// and month and day in the second; the command line has some hundred versions a year.
const LEAP: (u32, u32) = (1, 1300);

/// A version of three numbers, such as `0.169.0` or `26.908.40834`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release([u32; 3]);

/// Why a published version is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not three numbers.
    #[error("it is not three numbers")]
    Junk,
    /// Older than what is built in.
    #[error("it is older than the one that is built in")]
    Older,
    /// Too far ahead to be true.
    #[error("it is too far ahead of the known one")]
    Absurd,
}

/// The feeds of versions, which have different formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Feed {
    /// The newest release of the command line: GitHub's document, whose tag is `rust-v0.169.0`, or an npm registry's,
    /// `{"version":"0.169.0"}`. The official client reads GitHub's.
    Codex,
    /// A Sparkle appcast, newest first.
    Appcast,
}

/// What precedes the version in a tag of the command line's repository.
const TAG: &str = "rust-v";

#[derive(Deserialize)]
struct Document {
    tag_name: Option<String>,
    version: Option<String>,
}

impl Release {
    /// Reads a version of exactly three numbers. Pre-releases are refused.
    pub fn read(text: &str) -> Option<Self> {
        if text.len() > TEXT {
            return None;
        }
        let number = |part: &str| {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            let plain = digits && (part.len() == 1 || !part.starts_with('0'));
            part.parse().ok().filter(|number| plain && *number <= NUMBER)
        };
        let mut parts = text.split('.');
        let release = Self([number(parts.next()?)?, number(parts.next()?)?, number(parts.next()?)?]);
        parts.next().is_none().then_some(release)
    }

    /// The version to use after `text` was published: the same, a newer one that is not too far ahead, or an older one, because a
    /// faulty release may be withdrawn. Never older than the built-in version `built`. Errors: [`Refused`] when `text` is not used.
    pub fn next(self, built: Self, text: &str) -> Result<Self, Refused> {
        let next = Self::read(text).ok_or(Refused::Junk)?;
        let [major, minor, _] = next.0;
        // The second number restarts after a step of the first.
        let from = [self, built].into_iter().find(|known| known.0[0] == major).map_or(0, |known| known.0[1]);
        if next < built {
            Err(Refused::Older)
        } else if major.saturating_sub(self.0[0]) > LEAP.0 || minor.saturating_sub(from) > LEAP.1 {
            Err(Refused::Absurd)
        } else {
            Ok(next)
        }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        write!(f, "{major}.{minor}.{patch}")
    }
}

impl Feed {
    /// The first version in a feed's body, as text.
    pub fn read(self, body: &[u8]) -> Option<String> {
        match self {
            Self::Codex => serde_json::from_slice(body).ok().and_then(Document::version),
            Self::Appcast => appcast(body),
        }
    }
}

impl Document {
    /// A tag without [`TAG`] belongs to another program.
    fn version(self) -> Option<String> {
        match self.tag_name {
            Some(tag) => tag.strip_prefix(TAG).map(str::to_owned),
            None => self.version,
        }
    }
}

/// The first `sparkle:shortVersionString`, as an attribute or an element.
fn appcast(body: &[u8]) -> Option<String> {
    const NAME: &[u8] = b"sparkle:shortVersionString";
    let behind = &body[memmem::find(body, NAME)? + NAME.len()..];
    let value = match behind.trim_ascii_start() {
        [b'>', rest @ ..] => rest.split(|byte| *byte == b'<').next()?,
        [b'=', rest @ ..] => {
            let rest = rest.trim_ascii_start();
            let quote = *rest.first().filter(|quote| matches!(quote, b'"' | b'\''))?;
            rest[1..].split(|byte| *byte == quote).next()?
        }
        _ => return None,
    };
    let value = std::str::from_utf8(value).ok()?.trim();
    (value.len() <= TEXT).then(|| value.to_owned())
}
