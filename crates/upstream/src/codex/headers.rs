//! Writes a call's headers in the profile's order.

use http::{HeaderMap, HeaderValue};

use crate::fault::{Fault, FaultKind, Sent};
use crate::profile::HeaderField;

/// Writes the fields of `order` that have a value. Leaves out a value that cannot be a header. For a credential this is an error, because
/// the call is pointless without it.
pub(crate) fn write(order: &[HeaderField], value: impl Fn(HeaderField) -> Option<String>) -> Result<HeaderMap, Fault> {
    let mut headers = HeaderMap::with_capacity(order.len() + 2);
    for &field in order {
        let Some(text) = value(field).filter(|text| !text.is_empty()) else { continue };
        let secret = matches!(field, HeaderField::Authorization | HeaderField::Cookie);
        match HeaderValue::from_str(&text) {
            Ok(mut header) => {
                header.set_sensitive(secret);
                headers.insert(field.name(), header);
            }
            Err(_) if matches!(field, HeaderField::Authorization | HeaderField::Account) => {
                return Err(unsendable(field));
            }
            Err(_) => tracing::debug!(header = %field.name(), "left out a header whose value cannot be sent"),
        }
    }
    Ok(headers)
}

fn unsendable(field: HeaderField) -> Fault {
    let message = format!("the account's {} holds characters that cannot be sent; hint: sign in again", field.name());
    Fault::new(Sent::No, FaultKind::Unsendable, message)
}
