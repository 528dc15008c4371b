//! Portable files: sealed under a passphrase, readable on any machine.
//!
//! One JSON object with the parameters of the key derivation (Argon2id) and the sealed text (XChaCha20-Poly1305). The file holds the
//! parameters, so that later versions may raise them; [`open`] refuses a file with parameters above a bound.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use pool::Secret;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::seal::random;

/// The `type` of a sealed file.
pub const KIND: &str = "polygate-sealed";
/// KiB of memory and rounds of the key derivation.
const COST: (u32, u32) = (64 << 10, 3);
/// Largest parameters that [`open`] accepts from a file.
const MOST: (u32, u32) = (256 << 10, 10);
/// Fewest characters of a passphrase.
const SHORTEST: usize = 8;

#[derive(Serialize, Deserialize)]
struct Sealed {
    #[serde(rename = "type")]
    kind: String,
    version: u32,
    kdf: String,
    /// KiB.
    memory: u32,
    rounds: u32,
    salt: String,
    nonce: String,
    text: String,
}

/// Why a file was not sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum PortableError {
    /// The passphrase is too short to protect the file.
    #[error("the passphrase has fewer than 8 characters; hint: take several words")]
    PassphraseTooShort,
    /// The file is not sealed by Polygate, or its parameters exceed the bounds.
    #[error("this is no sealed file of Polygate, or one of a newer version")]
    UnknownFormat,
    /// The passphrase is wrong, or the file was changed.
    #[error("the passphrase does not open this file; hint: it may be mistyped, or the file damaged")]
    DecryptionFailed,
    /// The system gave no random bytes.
    #[error("no random bytes: {0}")]
    Random(#[from] std::io::Error),
}

/// Seals a text. Takes a tenth of a second and 64 MiB. Errors: a passphrase that is too short.
pub fn seal(text: &Secret, passphrase: &Secret) -> Result<String, PortableError> {
    if passphrase.expose().chars().count() < SHORTEST {
        return Err(PortableError::PassphraseTooShort);
    }
    let (salt, nonce) = (random::<16>()?, random::<24>()?);
    let mut sealed = Sealed {
        kind: KIND.to_owned(),
        version: 1,
        kdf: "argon2id".to_owned(),
        memory: COST.0,
        rounds: COST.1,
        salt: BASE64_STANDARD.encode(salt),
        nonce: BASE64_STANDARD.encode(nonce),
        text: String::new(),
    };
    let key = key(passphrase, &salt, COST).ok_or(PortableError::UnknownFormat)?;
    let payload = Payload { msg: text.expose().as_bytes(), aad: KIND.as_bytes() };
    let text = cipher(&key).and_then(|cipher| cipher.encrypt(&XNonce::from(nonce), payload).ok());
    sealed.text = BASE64_STANDARD.encode(text.ok_or(PortableError::UnknownFormat)?);
    Ok(serde_json::to_string_pretty(&sealed).expect("invariant: texts and numbers serialise") + "\n")
}

/// Opens a file that [`seal`] made. Errors: [`PortableError`]; the parameters in the file are bounded by 256 MiB and ten rounds.
pub fn open(file: &[u8], passphrase: &Secret) -> Result<Secret, PortableError> {
    let sealed: Sealed = serde_json::from_slice(file).map_err(|_| PortableError::UnknownFormat)?;
    let cost = (sealed.memory, sealed.rounds);
    let known = sealed.kind == KIND && sealed.version == 1 && sealed.kdf == "argon2id";
    if !known || cost.0 > MOST.0 || cost.1 > MOST.1 {
        return Err(PortableError::UnknownFormat);
    }
    let bytes = |text: &str| BASE64_STANDARD.decode(text).map_err(|_| PortableError::UnknownFormat);
    let nonce: [u8; 24] = bytes(&sealed.nonce)?.try_into().map_err(|_| PortableError::UnknownFormat)?;
    let (salt, message) = (bytes(&sealed.salt)?, bytes(&sealed.text)?);
    let key = key(passphrase, &salt, cost).ok_or(PortableError::UnknownFormat)?;
    let payload = Payload { msg: &message, aad: KIND.as_bytes() };
    let plain = cipher(&key).and_then(|cipher| cipher.decrypt(&XNonce::from(nonce), payload).ok());
    let plain = Zeroizing::new(plain.ok_or(PortableError::DecryptionFailed)?);
    std::str::from_utf8(&plain).map(Secret::from).map_err(|_| PortableError::DecryptionFailed)
}

fn key(passphrase: &Secret, salt: &[u8], (memory, rounds): (u32, u32)) -> Option<Zeroizing<[u8; 32]>> {
    let params = Params::new(memory, rounds, 1, Some(32)).ok()?;
    let mut key = Zeroizing::new([0; 32]);
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon.hash_password_into(passphrase.expose().as_bytes(), salt, key.as_mut()).ok()?;
    Some(key)
}

fn cipher(key: &Zeroizing<[u8; 32]>) -> Option<XChaCha20Poly1305> {
    XChaCha20Poly1305::new_from_slice(key.as_slice()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_passphrase_opens_it() {
        let (text, pass) = (Secret::from("rt_canary"), Secret::from("four words of mine"));
        let file = seal(&text, &pass).unwrap();
        assert!(!file.contains("canary") && !file.contains("words"), "{file}");
        assert_eq!(open(file.as_bytes(), &pass).unwrap(), text);
        assert!(matches!(open(file.as_bytes(), &"four words of yours".into()), Err(PortableError::DecryptionFailed)));
        assert_ne!(file, seal(&text, &pass).unwrap(), "a salt and a nonce of its own");
        assert!(matches!(seal(&text, &"short".into()), Err(PortableError::PassphraseTooShort)));
        for (old, new) in [("\"memory\": 65536", "\"memory\": 4294967295"), ("polygate-sealed", "age"), ("{", "")] {
            let odd = file.replacen(old, new, 1);
            assert!(matches!(open(odd.as_bytes(), &pass), Err(PortableError::UnknownFormat)), "{odd}");
        }
        let changed = file.replacen("\"text\": \"", "\"text\": \"AAAA", 1);
        assert!(matches!(open(changed.as_bytes(), &pass), Err(PortableError::DecryptionFailed)));
    }
}
