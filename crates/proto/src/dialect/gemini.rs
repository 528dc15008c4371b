//! Google Gemini, `generateContent` and `streamGenerateContent`: requests and replies, for clients and for relays that speak it. Source:
//! the Gemini API, v1 and v1beta, and its official SDKs, autumn 2026.

mod encode;
mod error;
mod outbound;
mod reader;
mod reasoning_state;
mod request;
mod whole;
mod wire;
mod writer;

#[cfg(test)]
mod tests;

use bytes::Bytes;

use super::{ReplySetting, Target};
use crate::canon::Request;
use crate::failure::Failure;
use crate::fold::Whole;
use crate::notes::Notes;

pub(super) use reader::Reader;
pub use writer::Writer;

/// Most stop sequences that the API accepts; a longer list is not sent at all.
pub(super) const MOST_STOPS: usize = 5;

#[expect(clippy::needless_pass_by_value, reason = "the verb is the same in every dialect")]
pub(super) fn read_request(body: Bytes) -> Result<(Request, Notes), Failure> {
    request::read(&body)
}

/// Refuses features that only Gemini upstreams have and that a note could not make up for. Errors: `Invalid` with the path of the field.
pub(super) fn reject_gemini_only(request: &Request) -> Result<(), Failure> {
    request::reject_gemini_only(request)
}

pub(super) fn write_request(request: &Request, target: &Target) -> Result<(Bytes, Notes), Failure> {
    outbound::write(request, target)
}

pub(super) fn whole(whole: &Whole, setting: &ReplySetting) -> Bytes {
    whole::write(whole, setting)
}

pub(super) fn error(failure: &Failure) -> (u16, Bytes) {
    error::write(failure)
}
