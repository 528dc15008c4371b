//! The closed list of protocols. Each operation is one `match`, so the compiler lists all places that a new dialect needs.

mod array;
mod ceiling;
pub mod chat;
mod collected;
pub mod gemini;
pub mod messages;
mod mismatches;
pub mod ollama;
mod open_calls;
pub mod openai_error;
mod output_format;
mod paragraphs;
mod reply_setting;
mod request_values;
pub mod responses;
mod sink;
mod stream_reader;
mod tool_form;
mod tool_pairs;
mod tool_replies;
mod tools;
mod written;

use std::borrow::Cow;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use crate::canon::{Event, Request, SchemaEnvelope, What};
use crate::envelope::{self, Rewrite, Unwrapper};
use crate::failure::{Failure, Kind};
use crate::fold::Whole;
use crate::framing::{Framing, line_ends};
use crate::notes::Notes;
pub use crate::protocol::{Dialect, Wire};
use crate::text::{Json, Text};
pub use reply_setting::ReplySetting;
use tool_form::Rules;
pub use tool_replies::ToolReplies;
pub use written::{Undo, Written};

/// A comment in a stream of server-sent events.
const KEEPALIVE: &[u8] = b": keepalive\n\n";

/// The upstream that a request is written for.
#[derive(Clone, Debug)]
pub enum Target {
    /// The ChatGPT Codex backend, which speaks responses with a strict field list.
    Codex(CodexTarget),
    /// A relay with the public form of a dialect.
    Relay(RelayTarget),
}

impl Target {
    /// Whether to leave out opaque reasoning state that another upstream made.
    fn without_replay(&self) -> bool {
        match self {
            Self::Codex(codex) => codex.without_replay,
            Self::Relay(relay) => relay.without_replay,
        }
    }
}

/// Facts about a Codex model and conversation that shape the request.
#[derive(Clone, Debug, Default)]
pub struct CodexTarget {
    /// Catalogue slug to send.
    pub model: String,
    /// Whether the catalogue entry requires the lite shape.
    pub lite: bool,
    /// Effort from a model suffix or setting, used when the request has none.
    pub effort: Option<String>,
    /// Default effort of the catalogue entry.
    pub default_effort: Option<String>,
    /// Efforts that the model lists; an effort outside the list is lowered to the nearest lower one with a note. Empty: unknown, pass as
    /// is.
    pub efforts: Vec<String>,
    /// Whether the model lists the `priority` tier.
    pub priority_tier: bool,
    /// Tier from a model suffix (`fast`, `flex`), used when the request has none.
    pub tier: Option<String>,
    /// `type`s of hosted tools that the request gets in addition to its own.
    pub tools: Vec<&'static str>,
    /// `prompt_cache_key` for a request without one: stable per conversation.
    pub cache_key: String,
    /// The gateway's `client_metadata` entries (ids of session and thread, and other data about the turn), used when the client sends no
    /// such object.
    pub metadata: Vec<(String, String)>,
    /// Leave out replay-only items (reasoning state, compaction state) that another account made.
    pub without_replay: bool,
}

impl CodexTarget {
    /// The effort in the body of a request.
    pub fn effort_of(&self, request: &Request) -> Option<String> {
        responses::effort(request, self)
    }
}

/// Facts about a relay model.
#[derive(Clone, Debug, Default)]
pub struct RelayTarget {
    /// Model name to send.
    pub model: String,
    /// Effort from a model suffix, used when the request has none.
    pub effort: Option<String>,
    /// Most output tokens that the model can give; used for a protocol that requires a limit when the request has none.
    pub max_output: Option<u64>,
    /// Most output tokens that the upstream accepts, learned from its refusal of more. A larger limit is lowered, with a note.
    pub ceiling: Option<u64>,
    /// Leave out opaque reasoning state that another upstream made.
    pub without_replay: bool,
    /// Whether the relay refuses a chat request with a field that OpenAI's API does not have.
    pub strict: bool,
    /// Whether the relay supports only functions in Chat, and no tools that take free text.
    pub functions_only: bool,
}

/// The format of an image as a data URL names it: PNG unless `format` is another plain word.
fn image_format(format: Option<&Text>) -> Cow<'_, str> {
    let plain = |format: &Cow<'_, str>| !format.is_empty() && format.bytes().all(|byte| byte.is_ascii_alphanumeric());
    format.map(Text::plain).filter(plain).unwrap_or(Cow::Borrowed("png"))
}

impl Dialect {
    /// The same protocol on the upstream side; `None` for Ollama's, which no upstream uses.
    pub fn wire(self) -> Option<Wire> {
        match self {
            Self::Responses => Some(Wire::Responses),
            Self::Chat => Some(Wire::Chat),
            Self::Messages => Some(Wire::Messages),
            Self::Gemini => Some(Wire::Gemini),
            Self::Ollama => None,
        }
    }

    /// Reads a request body. The body's depth, nodes and escapes are checked first ([`crate::json::check`]). Errors: a [`Failure`] of
    /// kind `Invalid` with the path of the offending field.
    pub fn read_request(self, body: Bytes) -> Result<(Request, Notes), Failure> {
        let (mut request, notes) = match self {
            Self::Responses => responses::read_request(body),
            Self::Chat => chat::read_request(body),
            Self::Messages => messages::read_request(body),
            Self::Gemini => gemini::read_request(body),
            Self::Ollama => ollama::read_request(body),
        }?;
        output_format::note_envelope(&mut request);
        Ok((request, notes))
    }

    /// The body of a collected reply.
    pub fn whole(self, whole: &Whole, setting: &ReplySetting) -> Bytes {
        let unwrapped = (setting.envelope != SchemaEnvelope::None).then(|| envelope::whole(whole, setting.envelope));
        let whole = unwrapped.as_ref().unwrap_or(whole);
        match self {
            Self::Responses => responses::whole(whole, setting),
            Self::Chat => chat::whole(whole, setting),
            Self::Messages => messages::whole(whole, setting),
            Self::Gemini => gemini::whole(whole, setting),
            Self::Ollama => ollama::whole(whole, setting),
        }
    }

    /// Status and body of a failure before the stream began.
    pub fn error(self, failure: &Failure) -> (u16, Bytes) {
        match self {
            Self::Responses => responses::error(failure),
            Self::Chat => chat::error(failure),
            Self::Messages => messages::error(failure),
            Self::Gemini => gemini::error(failure),
            Self::Ollama => ollama::error(failure),
        }
    }
}

impl Wire {
    /// Writes a request body for an upstream of this protocol. Errors: `Invalid` where this protocol has no form for a part that must not
    /// be dropped.
    pub fn write_request(self, request: &Request, target: &Target) -> Result<Written, Failure> {
        if self != Self::Gemini {
            gemini::reject_gemini_only(request)?;
        }
        if matches!(target, Target::Relay(_)) && responses::compact::is_compaction_request(request) {
            let message = "Compaction needs a ChatGPT account: this model is served by a relay, which has none.";
            return Err(Failure::new(Kind::Invalid, message).code("compaction_unsupported"));
        }
        let mut changes = Notes::default();
        let prepared = self.prepared(request, target, &mut changes);
        let (body, mut notes) = match self {
            Self::Responses => responses::write_request(&prepared, target),
            Self::Chat => chat::write_request(&prepared, target),
            Self::Messages => messages::write_request(&prepared, target),
            Self::Gemini => gemini::write_request(&prepared, target),
        }?;
        notes.extend(changes);
        let (left, undo) = (written::left(request, self, target), Undo::of(request, self, target));
        Ok(Written { body, notes, left, undo })
    }

    /// The request in a form that every upstream of this protocol accepts.
    fn prepared<'r>(self, request: &'r Request, target: &Target, notes: &mut Notes) -> Cow<'r, Request> {
        let mut prepared = Cow::Borrowed(request);
        if let Some((lowered, note)) = ceiling::lower(&prepared, self, target) {
            notes.add(note);
            prepared = Cow::Owned(lowered);
        }
        if let Some(asking) = output_format::ask_for_json(&prepared, self, notes) {
            prepared = Cow::Owned(asking);
        }
        if let Some(repaired) = tool_pairs::repair(&prepared, self, target, notes) {
            prepared = Cow::Owned(repaired);
        }
        if let Some(fitted) = tool_form::fit(&prepared, self, target, notes) {
            prepared = Cow::Owned(fitted);
        }
        prepared
    }
}

/// Upstream bytes to events, for any chunking.
#[derive(Debug)]
pub struct Reader(DialectReader);

/// The reader of one dialect.
#[derive(Debug)]
enum DialectReader {
    Responses(responses::Reader),
    Chat(chat::Reader),
    Messages(messages::Reader),
    Gemini(gemini::Reader),
}

impl Reader {
    /// A reader for a stream in `wire`.
    pub fn new(wire: Wire) -> Self {
        Self(match wire {
            Wire::Responses => DialectReader::Responses(responses::Reader::new()),
            Wire::Chat => DialectReader::Chat(chat::Reader::new()),
            Wire::Messages => DialectReader::Messages(messages::Reader::new()),
            Wire::Gemini => DialectReader::Gemini(gemini::Reader::new()),
        })
    }

    /// The same for a client whose framing cannot carry a frame in pieces.
    #[must_use]
    pub fn for_framing(mut self, client: Framing) -> Self {
        if let (DialectReader::Responses(reader), Framing::Lines) = (&mut self.0, client) {
            reader.answer.whole_frames = true;
        }
        self
    }

    /// Expects one event in each chunk, as the messages of a WebSocket have it, instead of server-sent events. Call it before the first
    /// chunk. Only Responses has messages; the other wire formats ignore the call.
    pub fn read_messages(&mut self) {
        if let DialectReader::Responses(reader) = &mut self.0 {
            reader.read_messages();
        }
    }

    /// Reads one chunk and appends its events to `out`.
    pub fn push(&mut self, chunk: Bytes, out: &mut Vec<Event>) {
        match &mut self.0 {
            DialectReader::Responses(reader) => reader.push(chunk, out),
            DialectReader::Chat(reader) => reader.push(chunk, out),
            DialectReader::Messages(reader) => reader.push(chunk, out),
            DialectReader::Gemini(reader) => reader.push(chunk, out),
        }
    }

    /// The upstream stream is complete or cut; appends a failure when there was no terminal event.
    pub fn end(self, out: &mut Vec<Event>) {
        match self.0 {
            DialectReader::Responses(reader) => reader.end(out),
            DialectReader::Chat(reader) => reader.end(out),
            DialectReader::Messages(reader) => reader.end(out),
            DialectReader::Gemini(reader) => reader.end(out),
        }
    }
}

/// Events to client bytes.
#[derive(Debug)]
pub struct Writer {
    unwrapper: Option<Unwrapper>,
    inner: DialectWriter,
    /// Whether the terminal event was written; later events are ignored.
    done: bool,
}

/// The writer of one dialect.
#[derive(Debug)]
enum DialectWriter {
    Responses(responses::Writer),
    Chat(chat::Writer),
    Completions(chat::completions::Writer),
    Messages(messages::Writer),
    Gemini(gemini::Writer),
    Ollama(ollama::Writer),
}

impl Writer {
    /// A writer for a client that speaks `dialect`.
    pub fn new(dialect: Dialect, setting: ReplySetting) -> Self {
        let unwrapper = Unwrapper::new(setting.envelope);
        let inner = match dialect {
            Dialect::Responses => DialectWriter::Responses(responses::Writer::new(setting)),
            Dialect::Chat if setting.reply.generate => {
                DialectWriter::Completions(chat::completions::Writer::new(setting))
            }
            Dialect::Chat => DialectWriter::Chat(chat::Writer::new(setting)),
            Dialect::Messages => DialectWriter::Messages(messages::Writer::new(setting)),
            Dialect::Gemini => DialectWriter::Gemini(gemini::Writer::new(setting)),
            Dialect::Ollama => DialectWriter::Ollama(ollama::Writer::new(setting)),
        };
        Self { unwrapper, inner, done: false }
    }

    /// Appends the bytes of `event` in this dialect.
    pub fn push(&mut self, event: &Event, out: &mut BytesMut) {
        if self.done {
            return;
        }
        let rewrite = self.unwrapper.as_mut().map_or(Rewrite::Keep, |unwrapper| unwrapper.event(event));
        let event = match &rewrite {
            Rewrite::Keep => event,
            Rewrite::Drop => return,
            Rewrite::Replace(event) => event,
        };
        let from = out.len();
        match &mut self.inner {
            DialectWriter::Responses(writer) => writer.push(event, out),
            DialectWriter::Chat(writer) => writer.push(event, out),
            DialectWriter::Completions(writer) => writer.push(event, out),
            DialectWriter::Messages(writer) => writer.push(event, out),
            DialectWriter::Gemini(writer) => writer.push(event, out),
            DialectWriter::Ollama(writer) => writer.push(event, out),
        }
        line_ends::escape(out, from, event.carrier.frame().map(|frame| &frame.bytes[..]));
        self.done = matches!(event.what, What::End { .. } | What::Fail(_));
    }

    /// The response object that the client saw last, where [`ReplySetting::stored`] requests it.
    pub fn response(&self) -> Option<&Json> {
        if let DialectWriter::Responses(writer) = &self.inner { writer.response() } else { None }
    }

    /// Drops the text that the writer holds in order to repeat it at the end of the reply, as Responses does. Pieces still pass; after that
    /// only a failure may end the reply. `false` when the writer holds no text, or no longer.
    pub fn forget(&mut self) -> bool {
        if let DialectWriter::Responses(writer) = &mut self.inner { writer.forget() } else { false }
    }

    /// Sets the time since the request came, for dialects whose replies carry durations.
    pub fn at(&mut self, elapsed: Duration) {
        if let DialectWriter::Ollama(writer) = &mut self.inner {
            writer.at(elapsed);
        }
    }

    /// Appends a keepalive for an idle client.
    pub fn heartbeat(&self, out: &mut BytesMut) {
        if self.done {
            return;
        }
        let from = out.len();
        match &self.inner {
            DialectWriter::Responses(writer) => writer.heartbeat(out),
            DialectWriter::Chat(_) | DialectWriter::Completions(_) => out.put_slice(KEEPALIVE),
            DialectWriter::Messages(writer) => writer.heartbeat(out),
            // A blank line: Google's Python SDK parses every line that is not data as a reply, comments too.
            DialectWriter::Gemini(_) => out.put_u8(b'\n'),
            DialectWriter::Ollama(writer) => writer.heartbeat(out),
        }
        line_ends::escape(out, from, None);
    }

    /// Closes the stream; writes a failure when no terminal event was pushed, so there is exactly one.
    pub fn end(mut self, out: &mut BytesMut) {
        if !self.done {
            let why = match self.inner {
                DialectWriter::Responses(_) => "The stream ended before the reply was complete.",
                _ => stream_reader::CUT,
            };
            let cut = Failure::new(Kind::Upstream, why).code("stream_cut");
            self.push(&Event::new(What::Fail(cut)), out);
        }
    }
}
