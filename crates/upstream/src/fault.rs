//! Faults before an answer's headers, with how much of the request had been sent.

use std::error::Error as StdError;
use std::time::Duration;

pub use pool::attempt::Sent;
use pool::attempt::{Trouble, TroubleKind};
use pool::guard::Denied;

/// A call that ended without a usable answer. Holds no URL, header or token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// How much of the request was sent.
    pub sent: Sent,
    /// The kind.
    pub kind: FaultKind,
    /// One line for people and logs.
    pub message: String,
}

/// Kinds of [`Fault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// Name lookup or TCP connect failed.
    Connect,
    /// A pooled connection was closed before any byte of the request was sent, or the server says that it did not process the request.
    Closed,
    /// The turn was sent over a reused WebSocket that broke or closed within 5 s, or whose other end had forgotten the previous
    /// turn. The retry table may send it once more.
    Stale,
    /// Certificate refused, handshake failed or stalled.
    Tls,
    /// The proxy refused, failed or stalled.
    Proxy,
    /// No headers in time.
    Timeout,
    /// The connection ended or broke the protocol before or in the answer.
    Cut,
    /// The answer is in a content coding that is not read here.
    Encoding,
    /// No WebSocket could be opened, and no fallback is allowed.
    Upgrade,
    /// A 3xx; never followed.
    Redirect,
    /// Larger than its cap.
    TooLarge,
    /// A token or account id that cannot be a header; no call was made.
    Unsendable,
    /// A relay's address that may not be called; nothing was sent.
    Denied,
}

impl FaultKind {
    /// The machine-readable code shown to clients and in logs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Connect => "upstream_connect",
            Self::Closed => "upstream_closed",
            Self::Tls => "upstream_tls",
            Self::Proxy => "upstream_proxy",
            Self::Timeout => "upstream_timeout",
            Self::Cut | Self::Stale => "upstream_cut",
            Self::Encoding => "upstream_encoding",
            Self::Upgrade => "upstream_websocket",
            Self::Redirect => "upstream_redirect",
            Self::TooLarge => "upstream_too_large",
            Self::Unsendable => "upstream_unsendable",
            Self::Denied => "upstream_denied",
        }
    }
}

impl Fault {
    pub(crate) fn new(sent: Sent, kind: FaultKind, message: impl Into<String>) -> Self {
        Self { sent, kind, message: message.into() }
    }

    /// The fault for an answer that did not arrive completely within `limit`.
    pub(crate) fn timed_out(limit: Duration) -> Self {
        Self::new(Sent::Maybe, FaultKind::Timeout, format!("no full answer within {} s", limit.as_secs_f32()))
    }

    /// The result of `call`, or [`Fault::timed_out`] after `limit`.
    pub(crate) async fn within<T>(limit: Duration, call: impl Future<Output = Result<T, Self>>) -> Result<T, Self> {
        tokio::time::timeout(limit, call).await.unwrap_or_else(|_| Err(Self::timed_out(limit)))
    }

    /// Waits for `limit`, then returns [`Fault::timed_out`].
    pub(crate) async fn timeout_after(limit: Duration) -> Self {
        tokio::time::sleep(limit).await;
        Self::timed_out(limit)
    }

    /// An address that may not be called.
    pub(crate) fn denied(denied: &Denied) -> Self {
        Self::new(Sent::No, FaultKind::Denied, format!("the relay is not called: {denied}"))
    }
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        let kind = match fault.kind {
            FaultKind::Connect => TroubleKind::Connect,
            FaultKind::Closed => TroubleKind::Closed,
            FaultKind::Tls => TroubleKind::Tls,
            FaultKind::Proxy => TroubleKind::Proxy,
            FaultKind::Timeout => TroubleKind::Timeout,
            FaultKind::Cut | FaultKind::Stale => TroubleKind::Cut,
            FaultKind::Encoding
            | FaultKind::Upgrade
            | FaultKind::Redirect
            | FaultKind::TooLarge
            | FaultKind::Unsendable
            | FaultKind::Denied => TroubleKind::Protocol,
        };
        Self { kind, message: fault.message }
    }
}

/// The first error of type `E` in the chain. An `io::Error` hides its inner error from `source`, so this function also looks inside.
pub(crate) fn find_source<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        next = next_source(error);
    }
    None
}

/// The innermost error's message: it names the cause and not the layers above the cause.
pub(crate) fn root_cause(error: &(dyn StdError + 'static)) -> String {
    let mut last = error;
    while let Some(next) = next_source(last) {
        last = next;
    }
    last.to_string()
}

fn next_source<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}
