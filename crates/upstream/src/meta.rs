//! The small calls beside the model call: catalogue, usage, workspace routing.

use bytes::Bytes;
use pool::{Account, Secret};

use crate::{Answer, Fault, Upstream};

/// A catalogue call's outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelsAnswer {
    /// The given etag still holds.
    NotModified,
    /// A new catalogue.
    Fresh {
        /// Its etag.
        etag: Option<String>,
        /// `{"models": [...]}`.
        body: Bytes,
    },
    /// Any other status, for the retry table.
    Refused {
        /// The status.
        status: u16,
        /// Its body.
        body: Bytes,
    },
}

/// A small call's outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Small {
    /// Any status but 3xx.
    pub status: u16,
    /// The body, at most 1 MiB.
    pub body: Bytes,
}

impl Upstream {
    /// The account's live catalogue.
    pub async fn models(&self, _a: &Account, _s: &Secret, _etag: Option<&str>) -> Result<ModelsAnswer, Fault> {
        let _: Option<Answer> = None;
        unimplemented!()
    }

    /// The account's quota, as JSON.
    pub async fn usage(&self, _account: &Account, _access: &Secret) -> Result<Small, Fault> {
        unimplemented!()
    }

    /// The account's workspaces and their routing, as JSON.
    pub async fn accounts_check(&self, _account: &Account, _access: &Secret) -> Result<Small, Fault> {
        unimplemented!()
    }
}
