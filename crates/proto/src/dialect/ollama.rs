//! Ollama.

use bytes::{Bytes, BytesMut};

use super::Setting;
use crate::canon::{Event, Request};
use crate::failure::Failure;
use crate::fold::Whole;
use crate::notes::Notes;

pub(super) fn read_request(_body: Bytes) -> Result<(Request, Notes), Failure> {
    unimplemented!()
}

pub(super) fn whole(_whole: &Whole, _setting: &Setting) -> Bytes {
    unimplemented!()
}

pub(super) fn error(_failure: &Failure) -> (u16, Bytes) {
    unimplemented!()
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
    /// How long ago the request came.
    pub fn at(&mut self, _elapsed: std::time::Duration) {
        unimplemented!()
    }
}
