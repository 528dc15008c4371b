//! Protocol violations of a client.

use serde::Serialize;

/// A request that a correct client does not make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "`request` is the request's number in the record, `account` is its owner")]
pub enum Violation {
    /// A refresh token of this account was presented a second time.
    ReusedRefreshToken { request: u64, account: String },
    /// An authorization code was presented a second time.
    ReusedCode { request: u64 },
    /// An account's usage was requested again within the minimum interval.
    UsageRush { request: u64, account: String },
    /// The usage of `together` accounts was requested at once, above the limit.
    UsageCrowd { request: u64, together: usize },
    /// The `chatgpt-account-id` is not the token's account; `claimed` is `None` without the header.
    WrongAccount { request: u64, claimed: Option<String>, actual: String },
    /// The bearer token is missing or was never issued here.
    UnknownToken { request: u64 },
    /// The body does not have the `encoding` that its header names.
    WrongEncoding { request: u64, encoding: String },
    /// A request had a cookie that a Codex client must not store.
    ForbiddenCookie { request: u64, name: String },
    /// A cookie of one account was sent with another account.
    CookieCrossed { request: u64, name: String },
    /// A turn state of one account was sent with another account.
    TurnStateCrossed { request: u64 },
    /// A chain of one account was continued with another account.
    ChainCrossed { request: u64 },
    /// A turn started on a WebSocket while the previous turn, `request`, was open.
    Overlap { request: u64 },
    /// A request matched a condition given to `Running::forbid` with this note, for example "the client left".
    Forbidden { request: u64, note: String },
}
