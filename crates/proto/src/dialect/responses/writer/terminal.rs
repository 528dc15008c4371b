//! The one terminal event of a reply.

use bytes::{BufMut, Bytes, BytesMut};

use super::object::{Facets, status, with_output};
use super::{State, Writer};
use crate::canon::Finish;
use crate::failure::Failure;
use crate::framing::sse;
use crate::json::{self, Shape, patch};
use crate::text::Json;

impl Writer {
    pub(super) fn finish(&mut self, finish: Finish, response: Option<&Json>, raw: Option<&[u8]>, out: &mut BytesMut) {
        self.enter(out);
        let whole_frame = raw.filter(|raw| !raw.is_empty());
        match whole_frame {
            Some(raw) => self.pass_terminal(raw, out),
            None => self.say_terminal(finish, response, out),
        }
        self.state = State::Done;
    }

    pub(super) fn fail(&mut self, failure: &Failure, raw: Option<&[u8]>, out: &mut BytesMut) {
        if self.state == State::Done {
            return;
        }
        self.enter(out);
        if raw.is_some_and(|raw| !raw.is_empty()) {
            self.pass(raw, out);
        } else {
            let output = self.items.output();
            let usage = self.usage;
            let failure = Some(failure.clone());
            let response = self
                .facts
                .response("failed", |facets| *facets = Facets { output, usage, failure, ..Facets::default() });
            self.frame("response.failed", out, |pen| pen.json("response", &response));
        }
        self.state = State::Done;
    }

    /// Brings the stream to where a terminal event may stand.
    fn enter(&mut self, out: &mut BytesMut) {
        if let Some(pieces) = self.pieces.take() {
            pieces.close(out);
        }
        if self.state == State::Before {
            self.begin(out);
        }
    }

    /// The upstream's own frame; only its output is filled in where it is empty.
    fn pass_terminal(&mut self, raw: &[u8], out: &mut BytesMut) {
        match self.filled(raw) {
            Some((event, data)) => {
                if !event.is_empty() {
                    out.put_slice(b"event: ");
                    out.put_slice(&event);
                    out.put_slice(b"\n");
                }
                out.put_slice(b"data: ");
                out.put_slice(data.bytes());
                out.put_slice(b"\n\n");
            }
            None => self.pass(Some(raw), out),
        }
    }

    /// Event name and data of the frame with its output filled in; `None` when the frame can stay.
    fn filled(&self, raw: &[u8]) -> Option<(Bytes, Json)> {
        let frame = sse::parse(Bytes::copy_from_slice(raw))?;
        // A line break in the data would end the line that it is written on.
        let one_line = !frame.data.contains(&b'\n') && json::valid(&frame.data);
        let data = one_line.then(|| Json::from_valid(frame.data.clone()))?;
        let response = data.get("response")?;
        let filled = with_output(&response, &self.items.output(), false);
        let event = Bytes::copy_from_slice(frame.event());
        (filled != response).then(|| (event, patch::set(&data, "response", &filled)))
    }

    fn say_terminal(&mut self, finish: Finish, response: Option<&Json>, out: &mut BytesMut) {
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
        self.frame(name, out, |pen| pen.json("response", &response));
    }
}
