//! Logins in progress.

use std::collections::HashMap;

use crate::account::LoginIndex;
use crate::token;

/// An authorization code is valid for ten minutes.
const CODE_LIFETIME: i64 = 600;

/// Logins in progress.
#[derive(Default)]
pub(crate) struct PendingLogins {
    pub(crate) codes: HashMap<String, AuthCode>,
    pub(crate) devices: Vec<PendingDevice>,
}

/// An authorization code with its login, challenge and redirect URI.
pub(crate) struct AuthCode {
    pub(crate) who: LoginIndex,
    pub(crate) challenge: String,
    pub(crate) redirect: String,
    pub(crate) expires: i64,
    pub(crate) used: bool,
}

impl PendingLogins {
    pub(crate) fn issue(&mut self, who: LoginIndex, challenge: &str, redirect: &str) -> String {
        let code = format!("ac_{}", token::random(32));
        let expires = token::now() + CODE_LIFETIME;
        let entry =
            AuthCode { who, challenge: challenge.to_owned(), redirect: redirect.to_owned(), expires, used: false };
        self.codes.insert(code.clone(), entry);
        code
    }

    /// Approves the device with this code; `false` for an unknown code.
    pub(crate) fn approve(&mut self, user_code: &str) -> bool {
        let device = self.devices.iter_mut().find(|device| device.user_code.eq_ignore_ascii_case(user_code.trim()));
        device.map(|device| device.approved = true).is_some()
    }
}

/// A device login that waits for its approval.
pub(crate) struct PendingDevice {
    pub(crate) id: String,
    pub(crate) user_code: String,
    pub(crate) expires: i64,
    pub(crate) polls: u32,
    pub(crate) approved: bool,
}
