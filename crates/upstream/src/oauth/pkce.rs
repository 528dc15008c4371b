//! PKCE and state.

use pool::Secret;

/// A PKCE pair (RFC 7636, S256).
#[derive(Clone, Debug)]
pub struct Pkce {
    /// 86 characters, sent at the exchange.
    pub verifier: Secret,
    /// Its SHA-256, base64url, sent at the start.
    pub challenge: String,
}

impl Pkce {
    /// A fresh pair from the system's randomness.
    pub fn fresh() -> Self {
        unimplemented!()
    }
}

/// A fresh `state`: 43 characters, 256 bits.
pub fn state() -> String {
    unimplemented!()
}
