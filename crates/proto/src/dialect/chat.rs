//! OpenAI Chat Completions: requests and replies, for clients and for relays that speak it.

pub mod completions;
mod encode;
mod outbound;
mod reader;
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

/// Most stop sequences that OpenAI's own API accepts; a longer list is not sent at all.
pub(super) const MOST_STOPS: usize = 4;

#[expect(clippy::needless_pass_by_value, reason = "the verb is the same in every dialect")]
pub(super) fn read_request(body: Bytes) -> Result<(Request, Notes), Failure> {
    request::read(&body)
}

pub(super) fn write_request(request: &Request, target: &Target) -> Result<(Bytes, Notes), Failure> {
    outbound::write(request, target)
}

pub(super) fn whole(whole: &Whole, setting: &ReplySetting) -> Bytes {
    if setting.reply.generate {
        return completions::whole(whole, setting);
    }
    whole::write(whole, setting)
}

pub(super) fn error(failure: &Failure) -> (u16, Bytes) {
    super::openai_error::write(failure)
}
