//! Offences of a client.

use serde::Serialize;

/// Something a correct client does not do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Offence {
    /// A refresh token was presented a second time.
    ReusedRefreshToken {
        /// The request.
        request: u64,
        /// Whose token it is.
        account: String,
    },
    /// An authorization code was presented a second time.
    ReusedCode {
        /// The request.
        request: u64,
    },
    /// An account's usage was requested again too soon.
    UsageRush {
        /// The request.
        request: u64,
        /// Whose.
        account: String,
    },
    /// The usage of too many accounts was requested at once.
    UsageCrowd {
        /// The request.
        request: u64,
        /// How many were under way.
        together: usize,
    },
    /// The `chatgpt-account-id` is not the token's.
    WrongAccount {
        /// The request.
        request: u64,
        /// What the header said, if there was one.
        claimed: Option<String>,
        /// The token's account.
        actual: String,
    },
    /// A bearer token that was never issued here, or none.
    UnknownToken {
        /// The request.
        request: u64,
    },
    /// The body is not what `content-encoding` says.
    WrongEncoding {
        /// The request.
        request: u64,
        /// What the header said.
        encoding: String,
    },
    /// A cookie that a Codex client must not store came back.
    ForbiddenCookie {
        /// The request.
        request: u64,
        /// Its name.
        name: String,
    },
    /// A cookie of one account came back with another.
    CookieCrossed {
        /// The request.
        request: u64,
        /// Its name.
        name: String,
    },
    /// A turn state of one account came back with another.
    TurnStateCrossed {
        /// The request.
        request: u64,
    },
    /// A chain of one account was continued with another.
    ChainCrossed {
        /// The request.
        request: u64,
    },
    /// A turn was begun on a WebSocket whose last one still ran.
    Overlap {
        /// The request that still ran.
        request: u64,
    },
    /// A request matched a condition given to [`crate::Running::forbid`].
    Forbidden {
        /// The request.
        request: u64,
        /// The condition's note, for example "the client left".
        note: String,
    },
}
