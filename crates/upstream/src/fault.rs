//! What can go wrong before an answer's headers, and how much of the request had gone out by then.

/// What reached the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Certainly nothing of the request.
    No,
    /// Perhaps all of it.
    Maybe,
    /// All of it: an answer came.
    Yes,
}

/// A call that ended without a usable answer. Holds no URL, header or token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// How much went out.
    pub sent: Sent,
    /// Which kind.
    pub kind: FaultKind,
    /// One line for people and logs.
    pub message: String,
}

/// Kinds of [`Fault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// Name lookup or TCP connect failed, or a pooled connection was gone before the request.
    Connect,
    /// Certificate refused, handshake failed or stalled.
    Tls,
    /// The proxy refused, failed or stalled.
    Proxy,
    /// No headers in time.
    Timeout,
    /// The connection ended or broke the protocol before or in the answer.
    Cut,
    /// A 3xx; never followed.
    Redirect,
    /// Larger than its cap.
    TooLarge,
}
