//! The one terminal event of a reply.

use bytes::{BufMut, Bytes, BytesMut};

use super::super::encode::{Facets, status, with_output};
use super::super::wire::{is_message, type_of};
use super::Writer;
use crate::canon::Finish;
use crate::failure::Failure;
use crate::framing::sse;
use crate::json::{self, Shape, patch};
use crate::text::Json;

impl Writer {
    pub(super) fn finish(&mut self, finish: Finish, response: Option<&Json>, raw: Option<&[u8]>, out: &mut BytesMut) {
        self.enter(out);
        match raw.filter(|raw| !raw.is_empty()) {
            Some(raw) => self.pass_object(Some(raw), true, out),
            None => self.write_terminal(finish, response, out),
        }
    }

    pub(super) fn fail(&mut self, failure: &Failure, raw: Option<&[u8]>, out: &mut BytesMut) {
        self.enter(out);
        if raw.is_some_and(|raw| !raw.is_empty()) {
            // The upstream's frame has the contents of a failed response.
            self.pass_object(raw, self.facts.stored().reads(), out);
        } else {
            let output = self.items.output();
            let usage = self.usage;
            let failure = Some(failure.clone());
            let response = self
                .facts
                .response("failed", |facets| *facets = Facets { output, usage, failure, ..Facets::default() });
            self.close("response.failed", &response, out);
        }
    }

    /// Prepares the stream for a terminal event: closes a partial frame and opens the reply.
    fn enter(&mut self, out: &mut BytesMut) {
        if let Some(pieces) = self.pieces.take() {
            pieces.close_truncated(out);
        }
        if !self.opened {
            self.begin(out);
        }
    }

    /// Passes the upstream's own frame around a response object; changes the object only if it lacks something. `over` is whether
    /// the frame is the last one.
    pub(super) fn pass_object(&mut self, raw: Option<&[u8]>, over: bool, out: &mut BytesMut) {
        let reads = over || self.facts.stored().reads();
        let read = raw.filter(|_| reads).and_then(parse);
        let Some(Around { event, data, response }) = read else { return self.pass(raw, out) };
        let output = if over { self.items.output() } else { Vec::new() };
        let full = if over { with_output(&response, &output, false) } else { response.clone() };
        let marked = self.facts.stored().mark(&full, over);
        self.response = self.facts.stored().keep(&marked);
        if marked == response {
            return self.pass(raw, out);
        }
        self.sequence += 1;
        self.event(&event, out, |out| out.put_slice(patch::set(&data, "response", &marked).bytes()));
    }

    /// Writes a terminal frame of ours.
    fn close(&mut self, name: &str, response: &Json, out: &mut BytesMut) {
        let response = self.facts.stored().mark(response, true);
        self.frame(name, out, |writer| writer.json("response", &response));
        self.response = self.facts.stored().keep(&response);
    }

    fn write_terminal(&mut self, finish: Finish, response: Option<&Json>, out: &mut BytesMut) {
        self.close_items(out);
        let output = self.items.output();
        let (status, incomplete) = status(finish);
        let usage = self.usage;
        let response = if let Some(response) = response.filter(|response| response.shape() == Shape::Object) {
            with_output(response, &output, false)
        } else {
            let facets = Facets { output, usage, incomplete, failure: None };
            self.facts.response(status, |all| *all = facets)
        };
        let name = if status == "completed" { "response.completed" } else { "response.incomplete" };
        self.close(name, &response, out);
    }
}

/// A frame around a response object.
struct Around {
    event: Bytes,
    data: Json,
    response: Json,
}

/// Parses a frame; `None` for a frame that cannot be rewritten.
fn parse(raw: &[u8]) -> Option<Around> {
    let raw = Bytes::copy_from_slice(raw);
    let (event, data) = if is_message(&raw) {
        (type_of(&raw).map(|name| raw.slice_ref(name)).unwrap_or_default(), raw)
    } else {
        let frame = sse::parse(raw)?;
        (frame.raw.slice_ref(frame.event()), frame.data)
    };
    // A line break in the data would end the data line early.
    let one_line = !data.contains(&b'\n') && json::valid(&data);
    let data = one_line.then(|| Json::from_valid(data))?;
    data.get("response").map(|response| Around { event, data, response })
}
