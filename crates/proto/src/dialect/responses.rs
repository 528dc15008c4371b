//! OpenAI Responses: the protocol of the Codex backend, so replies in it pass through unchanged.

pub mod compact;
mod echo;
mod encode;
mod frame;
mod item;
mod outbound;
mod reader;
mod request;
pub mod socket;
mod stored;
mod tool;
mod whole;
mod wire;
mod writer;

use bytes::Bytes;

use super::{CodexTarget, ReplySetting, Target, openai_error};
use crate::canon::Request;
use crate::failure::Failure;
use crate::fold::Whole;
use crate::notes::Notes;

pub use echo::Echo;
pub use frame::{metadata, refusal};
pub use item::draws;
pub(super) use reader::Reader;
pub use request::MOST_ITEMS;
pub(super) use request::input;
pub use stored::{ListedItem, Stored, list_items, pack, unpack};
pub use writer::Writer;

/// The least `max_output_tokens` that the public API accepts; other protocols allow smaller limits.
pub(super) const LEAST_OUTPUT: u64 = 16;

pub(super) fn read_request(body: Bytes) -> Result<(Request, Notes), Failure> {
    request::read(body)
}

pub(super) fn write_request(request: &Request, target: &Target) -> Result<(Bytes, Notes), Failure> {
    outbound::write(request, target)
}

pub(super) fn effort(request: &Request, target: &CodexTarget) -> Option<String> {
    outbound::effort(request, target)
}

pub(super) fn error(failure: &Failure) -> (u16, Bytes) {
    openai_error::write(failure)
}

pub(super) fn whole(whole: &Whole, setting: &ReplySetting) -> Bytes {
    whole::write(whole, setting)
}
