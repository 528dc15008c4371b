//! Logins: PKCE, the token endpoint, device codes, and the loopback listener for the redirect of a browser login.
//!
//! This module does not retry, store or decide. A refresh token given to [`crate::Upstream::refresh`] may be used up even if the call
//! fails, so the caller stores the intent first.

mod callback;
mod device;
mod page;
mod pkce;
mod reply;
mod token;

pub use callback::{Callback, CallbackError, code_from_pasted};
pub use device::{Device, PollOutcome};
pub use pkce::{Pkce, state};
pub use token::{Grant, LoginError, RefreshError, RefreshReason};
