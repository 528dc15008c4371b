//! The responses dialect. Placeholder.

use bytes::{Bytes, BytesMut};

use super::{Setting, Target};
use crate::canon::{Event, Request};
use crate::failure::Failure;
use crate::fold::Whole;
use crate::notes::Notes;

pub(super) fn read_request(_body: Bytes) -> Result<(Request, Notes), Failure> {
    Ok(Default::default())
}

pub(super) fn write_request(_request: &Request, _target: &Target) -> Result<(Bytes, Notes), Failure> {
    Ok(Default::default())
}

pub(super) fn whole(_whole: &Whole, _setting: &Setting) -> Bytes {
    Bytes::new()
}

pub(super) fn error(failure: &Failure) -> (u16, Bytes) {
    super::openai_error::write(failure)
}

/// Upstream responses bytes to events.
#[derive(Debug)]
pub struct Reader {}

impl Reader {
    pub(super) fn new() -> Self {
        Self {}
    }
    pub(super) fn push(&mut self, _chunk: Bytes, _out: &mut Vec<Event>) {}
    pub(super) fn end(self, _out: &mut Vec<Event>) {}
}

/// Events to responses bytes.
#[derive(Debug)]
pub struct Writer {}

impl Writer {
    pub(super) fn new(_setting: Setting) -> Self {
        Self {}
    }
    pub(super) fn push(&mut self, _event: &Event, _out: &mut BytesMut) {}
    pub(super) fn heartbeat(&self, _out: &mut BytesMut) {}
    pub(super) fn end(self, _out: &mut BytesMut) {}
}
