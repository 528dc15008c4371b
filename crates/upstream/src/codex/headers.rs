//! Builds a call's headers in the profile's order.

use http::{HeaderMap, HeaderValue};

use crate::fault::{Fault, FaultKind, Sent};
use crate::profile::Slot;

/// Writes the slots of `order` that `value` has something for. A value that cannot be a header is left out, except a
/// credential's, without which the call is pointless.
pub(crate) fn write(order: &[Slot], value: impl Fn(Slot) -> Option<String>) -> Result<HeaderMap, Fault> {
    let mut headers = HeaderMap::with_capacity(order.len() + 2);
    for &slot in order {
        let Some(text) = value(slot).filter(|text| !text.is_empty()) else { continue };
        let secret = matches!(slot, Slot::Authorization | Slot::Cookie);
        match HeaderValue::from_str(&text) {
            Ok(mut header) => {
                header.set_sensitive(secret);
                headers.insert(slot.name(), header);
            }
            Err(_) if matches!(slot, Slot::Authorization | Slot::Account) => return Err(unsendable(slot)),
            Err(_) => tracing::debug!(header = %slot.name(), "left out a header whose value cannot be sent"),
        }
    }
    Ok(headers)
}

fn unsendable(slot: Slot) -> Fault {
    let message = format!("the account's {} holds characters that cannot be sent; hint: sign in again", slot.name());
    Fault::new(Sent::No, FaultKind::Unsendable, message)
}
