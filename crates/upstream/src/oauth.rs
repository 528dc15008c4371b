//! Logins and token refresh.

mod callback;
mod device;
mod pkce;
mod token;

pub use callback::{Callback, CallbackError};
pub use device::{Device, Poll};
pub use pkce::{Pkce, state};
pub use token::{Grant, LoginError, RefreshError, RefreshReason};
