//! The limits of all accounts for a client that expects one account. Such a client must not stop while any account can serve. So it
//! gets the figures of the account that serves its next request, and a used-up quota only when no account can serve.

#[cfg(test)]
mod tests;

use super::{Credits, Quota, Window};
use crate::Millis;

/// The provider of the next request.
#[derive(Clone, Copy, Debug)]
pub enum Next<'a> {
    /// An account, by its last figures.
    Account(&'a Quota),
    /// A relay, which has no figures.
    Relay,
    /// Nobody can.
    Nobody,
}

/// The reason when nobody can serve and no account has one.
const REACHED: &str = "rate_limit_reached";

/// The figures for a client: `next` is the provider of its next request, `all` the last figures of every account that is switched
/// on. `allowed` is always set. Spending limits, reset credits and the balance of credits are private to the owners and left out.
pub fn summary<'a>(next: Next<'a>, all: impl Iterator<Item = &'a Quota>, now: Millis) -> Quota {
    match next {
        Next::Account(quota) => Quota { allowed: Some(true), reached: None, ..current_windows(quota, now) },
        Next::Relay => Quota { allowed: Some(true), updated: now, ..Quota::default() },
        Next::Nobody => {
            let first = all.min_by_key(|quota| back_at(quota, now));
            let windows = first.map(|quota| current_windows(quota, now)).unwrap_or_default();
            let reached = windows.reached.clone().unwrap_or_else(|| REACHED.to_owned());
            Quota { allowed: Some(false), reached: Some(reached), ..windows }
        }
    }
}

/// The sort key for when an account is back: first the accounts with a reset time, by that time; then those without one; then those
/// whose quota is not used up and that cannot serve for another reason.
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
