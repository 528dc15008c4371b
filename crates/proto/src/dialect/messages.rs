//! Anthropic Messages: requests and replies, for clients and for relays that speak it.

mod encode;
mod error;
mod outbound;
mod reader;
mod reasoning_state;
mod request;
mod whole;
mod wire;
mod writer;

use bytes::Bytes;

use super::{ReplySetting, Target};
use crate::canon::Request;
use crate::failure::Failure;
use crate::fold::Whole;
use crate::notes::Notes;

pub(super) use reader::Reader;
pub use writer::Writer;

/// Whether an upstream that speaks this dialect accepts a stop sequence: Anthropic answers 400 to one that is only whitespace.
/// [`crate::trim`] applies the stop sequences that are not sent.
pub(super) fn takes_stop(stop: &str) -> bool {
    !stop.trim().is_empty()
}

#[expect(clippy::needless_pass_by_value, reason = "the verb is the same in every dialect")]
pub(super) fn read_request(body: Bytes) -> Result<(Request, Notes), Failure> {
    request::read(&body)
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
