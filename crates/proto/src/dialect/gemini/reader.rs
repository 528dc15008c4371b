//! Turns Gemini replies into events: streams frame by frame, the array form element by element, and whole bodies that answer a request for
//! a stream.

mod answer;
mod calls;
mod partial;
mod scan;
mod sources;

#[cfg(test)]
mod tests;

use bytes::{BufMut, Bytes, BytesMut};

use self::answer::GeminiAnswer;
use super::wire::Reply;
use crate::canon::Event;
use crate::dialect::Dialect;
use crate::dialect::sink::EventSink;
use crate::dialect::stream_reader::{Answer, Progress, StreamReader};
use crate::failure::{Failure, Kind};
use crate::framing::sse;
use crate::json;
use crate::text::Json;
use crate::upstream_error;

/// Turns upstream Gemini bytes into events.
pub(in crate::dialect) type Reader = StreamReader<GeminiAnswer>;

impl Answer for GeminiAnswer {
    const DIALECT: Dialect = Dialect::Gemini;
    const ARRAYS: bool = true;

    fn frame(&mut self, frame: sse::Frame, out: &mut Vec<Event>) -> Result<Progress, Failure> {
        // Some gateways end their streams with OpenAI's `[DONE]`.
        if frame.data.trim_ascii() == b"[DONE]" {
            return Ok(Progress::More);
        }
        let mut sink = EventSink::new(out, Self::DIALECT, frame.raw);
        if let Some(delta) = scan::text(&frame.data).filter(|_| self.speaking()) {
            self.text_delta(delta, &mut sink);
            return Ok(Progress::More);
        }
        self.reply(&frame.data, &mut sink)
    }

    /// Reads an element or a whole body as a frame of a stream; its events carry that frame.
    fn body(&mut self, body: Bytes, out: &mut Vec<Event>) -> Result<Progress, Failure> {
        let mut sink = EventSink::new(out, Self::DIALECT, as_event(&body));
        self.reply(&body, &mut sink)
    }

    fn is_complete(&self, whole: bool) -> bool {
        self.finished() || (whole && self.opened())
    }

    fn close(&mut self, sink: &mut EventSink<'_>) {
        self.end(sink);
    }

    fn before_failure(&mut self, out: &mut Vec<Event>) {
        self.meter(&mut EventSink::bare(out, Self::DIALECT));
    }
}

impl GeminiAnswer {
    fn reply(&mut self, data: &Bytes, sink: &mut EventSink<'_>) -> Result<Progress, Failure> {
        let data = &json::line(data.clone());
        let parsed = std::str::from_utf8(data).ok().and_then(|text| serde_json::from_str::<Reply<'_>>(text).ok());
        let reply = parsed.ok_or_else(garbled)?;
        if let Some(error) = reply.error {
            let code = Json::slice(data, error).get("code").and_then(|code| code.as_u64());
            return Err(upstream_error::from_body(code.and_then(|code| u16::try_from(code).ok()).unwrap_or(502), data));
        }
        if !reply.has_reply_fields() {
            return Err(garbled());
        }
        self.read(data, &reply, sink)?;
        sink.finish();
        Ok(if self.closed() { Progress::Done } else { Progress::More })
    }
}

/// A whole reply as a server-sent event.
fn as_event(reply: &Bytes) -> Bytes {
    let line = json::line(reply.clone());
    let mut bytes = BytesMut::with_capacity(line.len() + 8);
    bytes.put_slice(b"data: ");
    bytes.put_slice(&line);
    bytes.put_slice(b"\n\n");
    bytes.freeze()
}

fn garbled() -> Failure {
    Failure::new(Kind::Upstream, "The upstream sent something that is not a Gemini reply.").code("bad_chunk")
}
