//! Google Gemini.

use bytes::{Bytes, BytesMut};

use super::{Setting, Target};
use crate::canon::{Event, Request};
use crate::failure::Failure;
use crate::fold::Whole;
use crate::notes::Notes;

pub(super) fn read_request(_body: Bytes) -> Result<(Request, Notes), Failure> {
    unimplemented!()
}

pub(super) fn write_request(_request: &Request, _target: &Target) -> Result<(Bytes, Notes), Failure> {
    unimplemented!()
}

pub(super) fn whole(_whole: &Whole, _setting: &Setting) -> Bytes {
    unimplemented!()
}

pub(super) fn error(_failure: &Failure) -> (u16, Bytes) {
    unimplemented!()
}

/// Stream to events.
#[derive(Debug)]
pub struct Reader {}

impl Reader {
    /// A new reader.
    pub fn new() -> Self {
        Self {}
    }
    /// Reads one chunk.
    pub fn push(&mut self, _chunk: Bytes, _out: &mut Vec<Event>) {
        unimplemented!()
    }
    /// The upstream is done.
    pub fn end(self, _out: &mut Vec<Event>) {
        unimplemented!()
    }
}

/// Events to stream.
#[derive(Debug)]
pub struct Writer {}

impl Writer {
    /// A new writer.
    pub fn new(_setting: Setting) -> Self {
        Self {}
    }
    /// Appends an event.
    pub fn push(&mut self, _event: &Event, _out: &mut BytesMut) {
        unimplemented!()
    }
    /// Appends a heartbeat.
    pub fn heartbeat(&self, _out: &mut BytesMut) {
        unimplemented!()
    }
    /// Closes the stream.
    pub fn end(self, _out: &mut BytesMut) {
        unimplemented!()
    }
}
