//! Simulated encrypted reasoning: the content names its account and is valid only for that account.

use base64::prelude::{BASE64_URL_SAFE, Engine as _};

use crate::errors::Reject;
use crate::token;

/// The prefix of real content too: a Fernet token of this decade.
const HEAD: &str = "gAAAAAB";

/// New content for an account.
pub(crate) fn mint(account: &str) -> String {
    format!("{HEAD}{}", BASE64_URL_SAFE.encode(format!("offline:{account}:{}", token::random(96))))
}

/// Checks that content was made here for this account.
pub(super) fn verify(content: &str, account: &str) -> Result<(), Reject> {
    let plain = content.strip_prefix(HEAD).and_then(|text| BASE64_URL_SAFE.decode(text).ok());
    let plain = plain.and_then(|plain| String::from_utf8(plain).ok());
    let reason = match plain.as_deref().and_then(|plain| plain.strip_prefix("offline:")) {
        Some(rest) if rest.strip_prefix(account).is_some_and(|rest| rest.starts_with(':')) => return Ok(()),
        Some(_) => "Encrypted content organization_id did not match the target organization.",
        None => "Encrypted content could not be decrypted or parsed.",
    };
    let shown: String = content.chars().take(16).collect();
    let message = format!("The encrypted content {shown}... could not be verified. Reason: {reason}");
    Err(Reject::invalid(message, None, Some("invalid_encrypted_content")))
}
