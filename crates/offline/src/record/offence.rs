//! Offences of a client.

use serde::Serialize;

/// Something a correct client does not do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "`request` is the request's number in the record, `account` is its owner")]
pub enum Offence {
    /// A refresh token of this account was presented a second time.
    ReusedRefreshToken { request: u64, account: String },
    /// An authorization code was presented a second time.
    ReusedCode { request: u64 },
    /// An account's usage was requested again too soon.
    UsageRush { request: u64, account: String },
    /// The usage of `together` accounts was requested at once, which are too many.
    UsageCrowd { request: u64, together: usize },
    /// The `chatgpt-account-id` is not the token's; nothing is `claimed` where the header is missing.
    WrongAccount { request: u64, claimed: Option<String>, actual: String },
    /// A bearer token that was never issued here, or none.
    UnknownToken { request: u64 },
    /// The body does not have the `encoding` that its header names.
    WrongEncoding { request: u64, encoding: String },
    /// A cookie that a Codex client must not store came back.
    ForbiddenCookie { request: u64, name: String },
    /// A cookie of one account came back with another.
    CookieCrossed { request: u64, name: String },
    /// A turn state of one account came back with another.
    TurnStateCrossed { request: u64 },
    /// A chain of one account was continued with another.
    ChainCrossed { request: u64 },
    /// A turn was begun on a WebSocket whose last one, `request`, still ran.
    Overlap { request: u64 },
    /// A request matched a condition given to `Running::forbid` with this note, for example "the client left".
    Forbidden { request: u64, note: String },
}
