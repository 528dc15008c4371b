//! PKCE (RFC 7636, S256) and `state`.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use pool::Secret;
use rand::TryRng as _;
use rand::rngs::SysRng;
use sha2::{Digest as _, Sha256};

/// A PKCE pair.
#[derive(Clone, Debug)]
pub struct Pkce {
    /// 86 characters, sent at the exchange.
    pub verifier: Secret,
    /// Its SHA-256, base64url, sent at the start.
    pub challenge: String,
}

impl Pkce {
    /// A fresh pair from the system's randomness: 64 bytes.
    pub fn fresh() -> Self {
        Self::of(&random::<64>())
    }

    fn of(verifier: &str) -> Self {
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
        Self { verifier: Secret::new(verifier), challenge }
    }
}

/// A fresh `state`: 43 characters, 256 bits.
pub fn state() -> String {
    random::<32>()
}

fn random<const N: usize>() -> String {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes).expect("invariant: the system has randomness");
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pair_of_rfc_7636_appendix_b() {
        let pkce = Pkce::of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(pkce.challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn lengths_are_those_of_the_official_client_and_values_differ() {
        let (one, two) = (Pkce::fresh(), Pkce::fresh());
        assert_eq!((one.verifier.expose().len(), one.challenge.len(), state().len()), (86, 43, 43));
        assert_ne!(one.verifier, two.verifier);
        assert_ne!(state(), state());
    }
}
