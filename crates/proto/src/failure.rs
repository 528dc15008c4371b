//! Why a request or a reply failed, independent of the dialect. Each dialect has one function that turns a [`Failure`] into its own status
//! and body.

/// A failure on its way to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The class, which decides status and type in each dialect.
    pub kind: Kind,
    /// Message for people; never holds secrets, at most 2 KiB.
    pub message: String,
    /// Machine-readable code, in OpenAI's spelling where one exists (`usage_limit_reached`, `context_length_exceeded`).
    pub code: Option<String>,
    /// Path of the offending field (`messages[3].content[0].type`).
    pub param: Option<String>,
    /// Seconds until a retry makes sense.
    pub retry_after: Option<u64>,
    /// Unix seconds at which a quota resets (`usage_limit_reached` carries it in its body).
    pub resets_at: Option<u64>,
}

/// Classes of failure. The status in brackets is the OpenAI dialects' answer before the stream begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The request is wrong (400).
    Invalid,
    /// No client key, or an unknown or revoked one (401).
    Unauthorized,
    /// The key may not do this (403).
    Forbidden,
    /// No such path or object (404).
    NotFound,
    /// No such model (404, `model_not_found`).
    ModelNotFound,
    /// Wrong method for the path (405).
    Method,
    /// The body stopped arriving (408).
    Stalled,
    /// The body is over a limit (413).
    TooLarge,
    /// Content type or encoding that the gateway does not read (415).
    Unsupported,
    /// Too many requests or no slot in time (429, `rate_limit_exceeded`).
    RateLimited,
    /// Every account's quota is used up (429, `usage_limit_reached`).
    Exhausted,
    /// The conversation does not fit the model (400, `context_length_exceeded`).
    ContextLength,
    /// A content policy (400).
    Filtered,
    /// A defect of the gateway (500).
    Internal,
    /// The upstream failed or sent an invalid answer (502).
    Upstream,
    /// No account can serve: none configured, or all need a login (503).
    NoAccount,
    /// The upstream reports that it is overloaded (503).
    Overloaded,
    /// The upstream did not answer in time (504).
    Timeout,
}

impl Failure {
    /// A failure with a class and a message.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), code: None, param: None, retry_after: None, resets_at: None }
    }

    /// Sets the path of the offending field.
    #[must_use]
    pub fn at(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Sets the machine-readable code.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// Sets the time until a retry makes sense, in seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}
