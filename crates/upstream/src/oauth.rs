//! Logins: PKCE, the token endpoint, device codes, and the loopback listener that a browser login ends at.
//!
//! Nothing here retries, stores or decides; a refresh token given to [`crate::Upstream::refresh`] may be used up
//! whatever comes back, so its caller writes down the intent first.

mod callback;
mod device;
mod page;
mod pkce;
mod reply;
mod token;

pub use callback::{Callback, CallbackError, pasted};
pub use device::{Device, Poll};
pub use pkce::{Pkce, state};
pub use token::{Grant, LoginError, RefreshError, RefreshReason};
