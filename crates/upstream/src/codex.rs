//! The model call.

use bytes::Bytes;
use pool::{Account, Secret};

use crate::{Body, Fault, Upstream};

/// Request headers of a Codex client that are passed on; any other is not sent.
pub const PASSED: [&str; 5] = [
    "x-codex-beta-features",
    "x-codex-window-id",
    "x-codex-turn-metadata",
    "x-codex-parent-thread-id",
    "x-openai-subagent",
];

/// One model call.
pub struct Leg<'a> {
    /// Whose call.
    pub account: &'a Account,
    /// Its bearer.
    pub access: &'a Secret,
    /// The JSON body, not yet compressed.
    pub body: Bytes,
    /// What the headers say of it.
    pub call: CallFacts<'a>,
}

/// What the headers say of a call.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallFacts<'a> {
    /// Model slug.
    pub model: &'a str,
    /// Service tier as in the body (`priority`).
    pub tier: Option<&'a str>,
    /// Whether the body has the Responses Lite shape.
    pub lite: bool,
    /// Root session id; equal to `thread` except for subagents.
    pub session: &'a str,
    /// Thread id; also the `x-client-request-id`.
    pub thread: &'a str,
    /// Turn state of an earlier answer of the same turn and account.
    pub turn_state: Option<&'a str>,
    /// Region from `accounts/check`, when it named one.
    pub routing: Option<&'a str>,
    /// A Codex client's own headers; only those in [`PASSED`] are sent.
    pub passed: &'a [(&'static str, String)],
}

/// An answer whose body is still to come.
pub struct Answer {
    /// Any status but 3xx.
    pub status: u16,
    /// Its headers without `set-cookie`.
    pub headers: http::HeaderMap,
    /// Its body.
    pub body: Body,
}

impl Upstream {
    /// `POST {base}/codex/responses`; resolves at the answer's headers.
    pub async fn responses(&self, _leg: Leg<'_>) -> Result<Answer, Fault> {
        unimplemented!()
    }
}
