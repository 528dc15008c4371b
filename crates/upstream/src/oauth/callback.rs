//! The loopback listener of a browser login.

use pool::Secret;

/// A listener that lives only while one login is pending.
pub struct Callback(());

/// Why no code came.
#[derive(Debug, thiserror::Error)]
pub enum CallbackError {
    /// Both ports are taken.
    #[error("ports 1455 and 1457 are taken; hint: end the other login, or use `login --device` or `login --import`")]
    Taken,
    /// Nobody finished in 10 minutes.
    #[error("the login was not finished within 10 minutes; hint: start it again")]
    Expired,
    /// The provider sent an error instead of a code.
    #[error("the provider refused the login: {0}")]
    Denied(String),
}

impl Callback {
    /// Listens on 127.0.0.1 and ::1, port 1455 else 1457.
    pub async fn bind(_state: String) -> Result<Self, CallbackError> {
        unimplemented!()
    }

    /// The redirect to name in the authorize URL and at the exchange.
    pub fn redirect(&self) -> String {
        unimplemented!()
    }

    /// Waits for the browser, 10 minutes at most; ends the listener.
    pub async fn code(self) -> Result<Secret, CallbackError> {
        unimplemented!()
    }
}
