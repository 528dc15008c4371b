//! The limits of all accounts together, as a client is told them that knows of one account only. Such a client must not be
//! stopped while any account can serve: so it hears of whoever serves its next request, and of an end only when nobody can.

#[cfg(test)]
mod tests;

use super::{Credits, Quota, Window};
use crate::Millis;

/// Who serves the next request.
#[derive(Clone, Copy, Debug)]
pub enum Next<'a> {
    /// An account, by its last figures.
    Account(&'a Quota),
    /// A relay, which has no figures.
    Relay,
    /// Nobody can.
    Nobody,
}

/// What is said when nobody can serve and no account says why.
const REACHED: &str = "rate_limit_reached";

/// What a client is told: `next` is who serves its next request, `all` the last figures of every account that is switched on.
/// `allowed` is always said. Spending limits, reset credits and the balance of credits are their owners' business and left out.
pub fn summary<'a>(next: Next<'a>, all: impl Iterator<Item = &'a Quota>, now: Millis) -> Quota {
    match next {
        Next::Account(quota) => Quota { allowed: Some(true), reached: None, ..current_windows(quota, now) },
        Next::Relay => Quota { allowed: Some(true), updated: now, ..Quota::default() },
        Next::Nobody => {
            let first = all.min_by_key(|quota| back_at(quota, now));
            let told = first.map(|quota| current_windows(quota, now)).unwrap_or_default();
            let reached = told.reached.clone().unwrap_or_else(|| REACHED.to_owned());
            Quota { allowed: Some(false), reached: Some(reached), ..told }
        }
    }
}

/// When an account is back: of those that say when, the first one; then those that do not say; then those that have nothing
/// to wait for and are kept from serving by something else.
fn back_at(quota: &Quota, now: Millis) -> (u8, Millis) {
    match quota.full(now) {
        Some((_, Some(at))) => (0, at),
        Some((_, None)) => (1, Millis(0)),
        None => (2, Millis(0)),
    }
}

fn current_windows(quota: &Quota, now: Millis) -> Quota {
    let window = |window: Option<Window>| window.map(|window| Window { used_percent: window.used(now), ..window });
    let (primary, secondary) = (window(quota.primary), window(quota.secondary));
    let credits = quota.credits.as_ref().map(|credits| Credits { balance: None, ..credits.clone() });
    Quota { primary, secondary, credits, spend: None, reset_credits: None, ..quota.now_only() }
}
