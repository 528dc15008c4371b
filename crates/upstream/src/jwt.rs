//! Claims of a token, read without verification: display strings and hints, never proof.

use pool::{Millis, Secret};

/// What a token says of its owner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// Workspace id (`chatgpt_account_id`), empty when absent.
    pub account_id: String,
    /// ChatGPT user id, empty when absent.
    pub user: String,
    /// E-mail, empty when absent.
    pub email: String,
    /// Plan, empty when absent.
    pub plan: String,
    /// Whether the workspace is a FedRAMP one.
    pub fedramp: bool,
    /// `exp`.
    pub expires: Option<Millis>,
}

impl Claims {
    /// Reads a token's payload; `None` when it is no JWT. Odd fields read as absent.
    pub fn read(_token: &Secret) -> Option<Self> {
        unimplemented!()
    }

    /// Who from the id token where it says so, else the access token; expiry from the access token.
    pub fn of(_access: &Secret, _id: Option<&Secret>) -> Self {
        unimplemented!()
    }
}
