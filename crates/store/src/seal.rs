//! Secrets at rest: XChaCha20-Poly1305 per field. A sealed text names its key and opens only in its own field.
//!
//! `s1.<key id>.<base64 of nonce and ciphertext>`; the associated data is `table|row|column|1`, so that a text that is moved to another row
//! or column does not open.

#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use pool::Secret;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::files::{self, PathKind};
use crate::{Error, OpenError};

/// Bytes of a data key.
const KEY: usize = 32;
/// Bytes of a nonce. Random nonces of this length never repeat.
const NONCE: usize = 24;
/// Format of sealed texts, also part of the associated data.
const FORMAT: &str = "s1";

/// The field that a sealed text is bound to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FieldId<'a> {
    pub(crate) table: &'static str,
    pub(crate) column: &'static str,
    pub(crate) row: &'a str,
}

/// Seals and unseals with the data key.
pub(crate) struct Sealer {
    cipher: XChaCha20Poly1305,
    id: String,
}

impl Sealer {
    /// Reads the data key. Creates a missing key, unless `sealed` rows exist, which need the old key.
    pub(crate) fn load(path: &Path, sealed: bool) -> Result<Self, OpenError> {
        match files::exists(path)? {
            true => Self::read(path),
            false if sealed => Err(OpenError::MissingDataKey { path: path.to_path_buf() }),
            false => Self::make(path),
        }
    }

    fn read(path: &Path) -> Result<Self, OpenError> {
        files::check(path, PathKind::File)?;
        let found = files::size(path);
        if found != KEY as u64 {
            return Err(OpenError::BadDataKey { path: path.to_path_buf(), found });
        }
        let bytes = std::fs::read(path).map(Zeroizing::new).map_err(|source| OpenError::io(path, source))?;
        Self::new(&bytes).ok_or_else(|| OpenError::BadDataKey { path: path.to_path_buf(), found: bytes.len() as u64 })
    }

    fn make(path: &Path) -> Result<Self, OpenError> {
        let io = |source| OpenError::io(path, source);
        let key = Zeroizing::new(random::<KEY>().map_err(io)?);
        files::write_new(path, key.as_slice()).map_err(io)?;
        Self::read(path)
    }

    fn new(key: &[u8]) -> Option<Self> {
        let cipher = XChaCha20Poly1305::new_from_slice(key).ok()?;
        let digest = Sha256::new().chain_update(b"polygate data key id\0").chain_update(key).finalize();
        Some(Self { cipher, id: hex(&digest[..4]) })
    }

    /// Returns the stored form of a secret.
    pub(crate) fn seal(&self, place: FieldId<'_>, secret: &Secret) -> Result<String, Error> {
        let nonce = random::<NONCE>()?;
        let aad = place.aad();
        let payload = Payload { msg: secret.expose().as_bytes(), aad: aad.as_bytes() };
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| place.sealed())?;
        let mut bytes = nonce.to_vec();
        bytes.extend_from_slice(&sealed);
        Ok(format!("{FORMAT}.{}.{}", self.id, BASE64_URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Returns the secret of a stored form.
    pub(crate) fn open(&self, place: FieldId<'_>, sealed: &str) -> Result<Secret, Error> {
        self.unseal(place, sealed).ok_or_else(|| place.sealed())
    }

    /// Whether the stored form names this key.
    pub(crate) fn is_sealed_by_this_key(&self, sealed: &str) -> bool {
        split(sealed).is_some_and(|(id, _)| id == self.id)
    }

    fn unseal(&self, place: FieldId<'_>, sealed: &str) -> Option<Secret> {
        let (id, text) = split(sealed)?;
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let (nonce, message) = bytes.split_first_chunk::<NONCE>()?;
        let aad = place.aad();
        let payload = Payload { msg: message, aad: aad.as_bytes() };
        let plain = Zeroizing::new(self.cipher.decrypt(&XNonce::from(*nonce), payload).ok()?);
        (id == self.id).then_some(())?;
        std::str::from_utf8(&plain).ok().map(Secret::from)
    }
}

impl FieldId<'_> {
    fn aad(&self) -> String {
        format!("{}|{}|{}|1", self.table, self.row, self.column)
    }

    fn sealed(&self) -> Error {
        Error::CannotUnseal { table: self.table, column: self.column, row: self.row.to_owned() }
    }

    /// The error for a value that cannot be read.
    pub(crate) fn damaged(&self) -> Error {
        Error::Damaged { table: self.table, column: self.column, row: self.row.to_owned() }
    }
}

/// Key id and payload of a sealed text.
fn split(sealed: &str) -> Option<(&str, &str)> {
    sealed.strip_prefix(FORMAT)?.strip_prefix('.')?.split_once('.')
}

/// A keyed fingerprint of a secret, which identifies the secret without storing it.
pub(crate) fn fingerprint(secret: &Secret, pepper: &[u8; 32]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(pepper).expect("invariant: HMAC takes a key of any length");
    mac.update(b"refresh intent\0");
    mac.update(secret.expose().as_bytes());
    hex(&mac.finalize().into_bytes())
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for half in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(half), 16).unwrap_or('0'));
        }
        text
    })
}

/// Fresh random bytes of the system.
pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes)
}

/// Reads 32 bytes of hex text.
pub(crate) fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text.chars().map(|digit| digit.to_digit(16)?.try_into().ok()).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    (digits.len() == 64).then(|| bytes.try_into().ok()).flatten()
}
