//! Signatures of thinking blocks. A signature is valid only for the key that it was made for; the provider's are bound to an organisation.

use base64::prelude::{BASE64_STANDARD, Engine as _};

use crate::token;

const HEAD: &str = "offline-thought:";

/// A new signature, or the data of a redacted thinking block.
pub(super) fn mint(owner: &str) -> String {
    BASE64_STANDARD.encode(format!("{HEAD}{owner}:{}", token::random(48)))
}

/// Whether the signature was made here for this key.
pub(super) fn is_valid(seal: &str, owner: &str) -> bool {
    let plain = BASE64_STANDARD.decode(seal).ok().and_then(|plain| String::from_utf8(plain).ok());
    let rest = plain.as_deref().and_then(|plain| plain.strip_prefix(HEAD));
    rest.and_then(|rest| rest.strip_prefix(owner)).is_some_and(|rest| rest.starts_with(':'))
}
