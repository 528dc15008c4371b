//! Keys of clients and admins: their text, their stored form, their scopes.
//!
//! `pgk_` (client) or `pga_` (admin) + 8-char id + `_` + 43 base62 chars (256 bit) + 6-char CRC32. The prefix lets secret
//! scanners find a leaked one, the checksum refuses a typo without a database hit. The store holds an HMAC with a pepper of the
//! installation; high entropy needs no slow hash.

mod base62;
#[cfg(test)]
mod tests;

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::hosted::Hosted;
use crate::{Millis, Secret};

/// Random bytes of one key: 8 for the id, 32 for the secret.
pub const RANDOM: usize = 40;

const PREFIX: usize = 4;
const ID: usize = 8;
const SECRET: usize = 43;
const SUM: usize = 6;
const LENGTH: usize = PREFIX + ID + 1 + SECRET + SUM;

/// Least characters of a user-chosen key for a public address.
const STRONG: usize = 24;
/// Keys that documentation and sample files of gateways show, in lower case.
const SAMPLES: [&str; 9] =
    ["codex-proxy", "sk-tmp", "pwd", "password", "secret", "test", "sk-test", "sk-xxx", "sk-codex-proxy"];
/// Prefixes of such keys.
const SAMPLE_PREFIXES: [&str; 6] = ["your-api-key", "your_api_key", "changeme", "change-me", "change_me", "sk-your-"];

/// Whose key it is. The two never stand in for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// Calls models.
    Client,
    /// Administers the gateway.
    Admin,
}

/// What an admin token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// See state, without secrets.
    Read,
    /// Change state.
    Write,
    /// Take secrets out.
    Export,
}

/// A set of scopes; text form `read,write`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scopes(u8);

/// A stored key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// 8 characters, shown to people and logs.
    pub id: String,
    /// Client or admin.
    pub kind: KeyKind,
    /// Its owner's name for it.
    pub name: String,
    /// What is compared.
    pub digest: Digest,
    /// What an admin token may do; empty for client keys.
    pub scopes: Scopes,
    /// When it was made.
    pub created: Millis,
    /// When it ends; `None` for never.
    pub expires: Option<Millis>,
    /// When it was revoked.
    pub revoked: Option<Millis>,
    /// Hosted tools that its requests get without asking; `None` leaves them to the settings.
    pub tools: Option<Vec<Hosted>>,
}

/// A new key. The text is shown once and never stored.
#[derive(Debug)]
pub struct Minted {
    /// 8 characters.
    pub id: String,
    /// What its owner presents.
    pub text: Secret,
    /// What is stored.
    pub digest: Digest,
}

/// A presented text with the form of our keys. The key itself may still be unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parsed<'a> {
    /// Client or admin.
    pub kind: KeyKind,
    /// Whom to look up.
    pub id: &'a str,
}

/// Why a presented text is not one of our keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Another prefix: perhaps a user-chosen key.
    #[error("not a Polygate key")]
    Foreign,
    /// Our prefix, but another length or alphabet, or the checksum is wrong.
    #[error("damaged or mistyped Polygate key")]
    Damaged,
}

/// HMAC-SHA-256 of a whole key text under the install's pepper.
#[derive(Clone, Copy)]
pub struct Digest(pub [u8; 32]);

/// A key that its owner chose (configuration, environment).
#[derive(Debug)]
pub struct Fixed {
    /// `fixed-` and 8 hex digits of the digest: stable, and reveals nothing.
    pub id: String,
    /// What is compared.
    pub digest: Digest,
    /// Whether it may guard a public address.
    pub strength: Strength,
}

/// How good a user-chosen key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strength {
    /// A sample from somebody's documentation.
    Known,
    /// Under 24 characters.
    Weak,
    /// Fit for a public address.
    Strong,
}

/// Why a stored key does not work any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyEnded {
    /// It has expired.
    #[error("the key has expired")]
    Expired,
    /// It was revoked.
    #[error("the key was revoked")]
    Revoked,
}

/// Makes a key from fresh random bytes.
pub fn mint(kind: KeyKind, random: &[u8; RANDOM], pepper: &[u8; 32]) -> Minted {
    let (name, secret) = random.split_at(RANDOM - 32);
    let id = base62::encode(name, ID);
    let body = format!("{}{id}_{}", kind.prefix(), base62::encode(secret, SECRET));
    let text = format!("{body}{}", checksum(&body));
    Minted { id, digest: digest(&text, pepper), text: Secret::new(text) }
}

/// Reads the form of a presented text.
pub fn parse(text: &str) -> Result<Parsed<'_>, ParseError> {
    let kinds = [KeyKind::Client, KeyKind::Admin];
    let kind = kinds.into_iter().find(|kind| text.starts_with(kind.prefix())).ok_or(ParseError::Foreign)?;
    let whole = text.len() == LENGTH && text.is_ascii() && text.as_bytes()[PREFIX + ID] == b'_';
    if !whole {
        return Err(ParseError::Damaged);
    }
    let (body, sum) = text.split_at(LENGTH - SUM);
    let (id, secret) = (&body[PREFIX..PREFIX + ID], &body[PREFIX + ID + 1..]);
    if !base62::is(id) || !base62::is(secret) || checksum(body) != sum {
        return Err(ParseError::Damaged);
    }
    Ok(Parsed { kind, id })
}

/// The key in a presented text: the text itself, or the signature of a JWT when that is one of our client keys. A Codex client can
/// only present the token of its login. The claims of the token are ignored.
pub fn bare(presented: &str) -> &str {
    let mut parts = presented.split('.');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(_), Some(_), Some(key), None) if key.starts_with(KeyKind::Client.prefix()) => key,
        _ => presented,
    }
}

/// The stored form of a key text.
pub fn digest(text: &str, pepper: &[u8; 32]) -> Digest {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(pepper).expect("invariant: HMAC takes keys of any length");
    mac.update(text.as_bytes());
    Digest(mac.finalize().into_bytes().into())
}

/// Rates and digests a key that its owner chose.
pub fn fixed(text: &str, pepper: &[u8; 32]) -> Fixed {
    let digest = digest(text, pepper);
    let id = digest.0[..4].iter().fold("fixed-".to_owned(), |id, byte| format!("{id}{byte:02x}"));
    Fixed { id, digest, strength: Strength::of(text) }
}

fn checksum(body: &str) -> String {
    base62::encode(&crc32fast::hash(body.as_bytes()).to_be_bytes(), SUM)
}

impl Strength {
    /// Rates a key by its text alone.
    pub fn of(text: &str) -> Self {
        let lower = text.trim().to_ascii_lowercase();
        if SAMPLES.contains(&lower.as_str()) || SAMPLE_PREFIXES.iter().any(|prefix| lower.starts_with(prefix)) {
            Self::Known
        } else if text.chars().count() < STRONG {
            Self::Weak
        } else {
            Self::Strong
        }
    }
}

impl Digest {
    /// Whether both are equal, in constant time.
    pub fn matches(&self, other: &Self) -> bool {
        use subtle::ConstantTimeEq;
        self.0.ct_eq(&other.0).into()
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.matches(other)
    }
}

impl Eq for Digest {}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(***)")
    }
}

impl Key {
    /// Whether it still works at `now`.
    pub fn live(&self, now: Millis) -> Result<(), KeyEnded> {
        match (self.revoked, self.expires) {
            (Some(_), _) => Err(KeyEnded::Revoked),
            (None, Some(end)) if end <= now => Err(KeyEnded::Expired),
            _ => Ok(()),
        }
    }
}

impl KeyKind {
    /// The text prefix.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Client => "pgk_",
            Self::Admin => "pga_",
        }
    }
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Export];

    /// Its name in text and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Export => "export",
        }
    }

    fn bit(self) -> u8 {
        match self {
            Self::Read => 1,
            Self::Write => 2,
            Self::Export => 4,
        }
    }
}

impl Scopes {
    /// Whether `scope` is in the set.
    pub fn has(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Whether the set is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The scopes in order.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |set, scope| set | scope.bit()))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Scope::name).collect();
        f.write_str(&names.join(","))
    }
}

/// A word that is no scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown scope `{0}`; the scopes are read, write, export")]
pub struct UnknownScope(pub String);

impl std::str::FromStr for Scopes {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        let scope = |word: &str| Scope::ALL.into_iter().find(|scope| scope.name() == word);
        words.map(|word| scope(word).ok_or_else(|| UnknownScope(word.to_owned()))).collect()
    }
}
