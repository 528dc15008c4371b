//! Opaque tokens and codes, time formats of answers, and the reasons to refuse a token.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde::{Deserialize, Serialize};

/// The reason to refuse an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Revocation {
    /// Past its `exp`.
    Expired,
    /// Signed out elsewhere.
    Invalidated,
    /// Revoked by its owner.
    Revoked,
    /// The account is deactivated.
    Deactivated,
}

/// Unix seconds.
pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// An RFC 3339 time.
pub(crate) fn iso(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| String::new(), |time| time.to_string())
}

/// A `Date` header's value.
pub(crate) fn http_date(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds);
    time.map_or_else(|_| String::new(), |time| time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
}

/// `bytes` random bytes, base64url.
pub(crate) fn random(bytes: usize) -> String {
    let mut raw = Vec::with_capacity(bytes + 8);
    while raw.len() < bytes {
        raw.extend_from_slice(&rand::random::<u64>().to_le_bytes());
    }
    BASE64_URL_SAFE_NO_PAD.encode(&raw[..bytes])
}

/// 48 hexadecimal digits, for response and item ids.
pub(crate) fn hex() -> String {
    format!("{:016x}{:016x}{:016x}", rand::random::<u64>(), rand::random::<u64>(), rand::random::<u64>())
}
