//! An upstream's answer: status, headers, and a body that is still to come.

mod body;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use wire_body::Unsupported;

pub(crate) use self::body::ByteSource;
pub use self::body::{Body, BodyReadError};
use crate::fault::{Fault, FaultKind, Sent};

/// An answer whose body is still to come.
pub struct Answer {
    /// Any status but 3xx.
    pub status: u16,
    /// Its headers without `set-cookie`; for a decoded body also without the length and the codings.
    pub headers: http::HeaderMap,
    /// Its body.
    pub body: Body,
}

impl Answer {
    /// Decodes the body as it arrives. No request asks for a coding, but middleboxes add them.
    pub(crate) fn decoded(mut self) -> Result<Self, Fault> {
        if !self.headers.contains_key(CONTENT_ENCODING) {
            return Ok(self);
        }
        let codings = wire_body::codings(&self.headers);
        self.headers.remove(CONTENT_ENCODING);
        if codings.as_ref().is_ok_and(Vec::is_empty) {
            return Ok(self);
        }
        self.headers.remove(CONTENT_LENGTH);
        self.body = match codings {
            Ok(codings) => self.body.decoded(&codings),
            Err(unsupported) if self.status == 200 => {
                let message = match unsupported {
                    Unsupported::Unknown(name) => {
                        format!("the upstream's answer has a content-encoding that is not read here: {name}")
                    }
                    Unsupported::TooMany => {
                        format!("the upstream's answer has more than {} content-encodings", wire_body::MOST_CODINGS)
                    }
                };
                return Err(Fault::new(Sent::Yes, FaultKind::Encoding, message));
            }
            // For a refusal, the status is enough without the body.
            Err(_) => Body::whole(Bytes::new()),
        };
        Ok(self)
    }
}
