//! Whether tokens replace stored ones.

#[cfg(test)]
mod tests;

use pool::{Status, Tokens};

use crate::{NewAccount, TokenOrigin};

/// Whether `new` replaces the stored tokens.
///
/// Tokens of a login were issued just now and always replace the stored ones. Imported tokens replace them when they are newer,
/// by the signed expiry, else by the time of the last refresh. An import without a refresh token never removes a stored refresh
/// token. An account that needs a login takes any tokens except the failed ones.
pub(super) fn replaces(new: &NewAccount, stored: &Tokens, status: &Status) -> bool {
    let given = &new.tokens;
    if new.origin == TokenOrigin::Login {
        return true;
    }
    if given.access == stored.access && given.refresh == stored.refresh {
        return false;
    }
    if matches!(status, Status::NeedsLogin { .. } | Status::Expiring { .. }) {
        return true;
    }
    if given.refresh.is_none() && stored.refresh.is_some() {
        return false;
    }
    match (given.expires, stored.expires) {
        (Some(given), Some(stored)) if given != stored => given > stored,
        _ => given.refreshed > stored.refreshed,
    }
}
