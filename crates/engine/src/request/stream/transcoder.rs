//! The bytes-to-bytes part of a reply: reader, limits, usage recorder, writer or fold. It knows no sockets and no time.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use proto::canon::{Channel, Finish, Limits, SchemaEnvelope};
use proto::dialect::ReplySetting;
use proto::trim::{Trim, Verdict};
use proto::{Dialect, Event, Failure, Fold, Json, Reader, Text, ToolReplies, What, Writer};

use super::reply_memory::{ReplyMemory, Retention};
use crate::memory::RequestMemory;
use crate::request::usage::UsageRecorder;

/// First size of the output buffer: some ten small events.
const OUTPUT: usize = 2048;
/// Output size from which the buffer is not reused.
const LARGE: usize = 16 << 10;
/// Number of events in one read from which their list is not reused.
const MANY: usize = 64;

/// Turns the bytes of an upstream into the bytes of a client.
pub(crate) struct Transcoder {
    reader: Option<Reader>,
    tool_replies: Option<Box<ToolReplies>>,
    trim: Option<Trim>,
    output: Output,
    memory: ReplyMemory,
    /// The failure at the end of a reply whose text was dropped, because it was too long to be repeated.
    text_lost: Option<Box<Failure>>,
    /// Events between reader and limits; empty between two calls.
    events: Vec<Event>,
    /// Events between limits and output; empty between two calls.
    trimmed: Vec<Event>,
    side_events: Vec<SideEvent>,
    /// The failure that is not written yet. It is boxed, because a running stream must be small.
    withheld_failure: Option<Box<Event>>,
    /// The last response object of a reply that is stored.
    last_response: Option<Box<Json>>,
}

/// An event for the engine itself.
#[derive(Debug)]
pub(crate) enum SideEvent {
    /// Quota figures.
    Limits(proto::Json),
    /// Headers inside the stream.
    Metadata(proto::Json),
}

/// The destination of events.
enum Output {
    Stream { writer: Option<Writer>, out: BytesMut },
    Fold(Fold),
}

/// The progress of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// More events may come.
    Running,
    /// The terminal event is written; later events are read and dropped.
    Ended,
    /// As `Ended`, by one of the gateway's limits: the upstream is still generating.
    LimitReached,
    /// The reply fails; the failure is not written before [`Transcoder::write_failure`].
    Failing(Box<Failure>),
    /// The reply failed; the failure is written.
    Failed(Box<Failure>),
}

/// How a reply is written.
pub(crate) struct ReplyShape {
    /// The client's protocol.
    pub(crate) dialect: Dialect,
    /// The settings of its writer.
    pub(crate) setting: ReplySetting,
    /// Limits that the upstream does not know.
    pub(crate) limits: Limits,
    /// How tool calls are converted back to the client's tools.
    pub(crate) tool_replies: Option<ToolReplies>,
    /// Input tokens to report when a limit ends the reply.
    pub(crate) input_tokens: u64,
    /// Whether the reply streams.
    pub(crate) stream: bool,
}

impl Transcoder {
    /// A transcoder that continues `reader`, which has given the events in `held` so far. Call [`Self::start`] first.
    pub(crate) fn new(shape: &ReplyShape, reader: Reader, held: Vec<Event>, memory: RequestMemory) -> Self {
        let sink = if shape.stream {
            let writer = Some(Writer::new(shape.dialect, shape.setting.clone()));
            Output::Stream { writer, out: BytesMut::with_capacity(OUTPUT) }
        } else {
            Output::Fold(Fold::for_client(shape.dialect))
        };
        let trim = Trim::new(&shape.limits).map(|trim| trim.with_input(shape.input_tokens));
        let replies = shape.tool_replies.clone().map(Box::new);
        let keeps = match shape.dialect {
            dialect if !shape.stream => Retention::All(dialect),
            Dialect::Responses => {
                let edited = trim.is_some() || replies.is_some() || shape.setting.envelope != SchemaEnvelope::None;
                Retention::Text { passes: !edited }
            }
            // Text that waits for the end of a stop sequence is held.
            _ if trim.is_some() => Retention::Waiting,
            _ => Retention::Nothing,
        };
        Self {
            reader: Some(reader),
            tool_replies: replies,
            trim,
            output: sink,
            memory: ReplyMemory::new(memory, keeps),
            text_lost: None,
            events: held,
            trimmed: Vec::new(),
            side_events: Vec::new(),
            withheld_failure: None,
            last_response: None,
        }
    }

    /// Sets the time since the request came, for replies that carry durations.
    pub(crate) fn set_elapsed(&mut self, elapsed: Duration) {
        match &mut self.output {
            Output::Stream { writer: Some(writer), .. } => writer.at(elapsed),
            Output::Stream { .. } => {}
            Output::Fold(fold) => fold.at(elapsed),
        }
    }

    /// Expects messages from an upstream that had not answered at the commit.
    pub(crate) fn read_messages(&mut self) {
        if let Some(reader) = &mut self.reader {
            reader.read_messages();
        }
    }

    /// Writes the events that were held back before the commit.
    pub(crate) fn start(&mut self, usage: &mut UsageRecorder) -> Progress {
        self.process_events(usage)
    }

    /// Reads a chunk of the upstream.
    pub(crate) fn push(&mut self, chunk: Bytes, usage: &mut UsageRecorder) -> Progress {
        if let Some(reader) = &mut self.reader {
            reader.push(chunk, &mut self.events);
        }
        self.process_events(usage)
    }

    /// Ends the reply because the upstream ended or was cut. Without a terminal event this is a failure.
    pub(crate) fn end(&mut self, usage: &mut UsageRecorder) -> Progress {
        if let Some(reader) = self.reader.take() {
            reader.end(&mut self.events);
        }
        match self.process_events(usage) {
            Progress::Running => {
                self.fail(Failure::new(proto::Kind::Upstream, "the upstream ended without an end"), usage)
            }
            progress => progress,
        }
    }

    /// Ends the reply with a failure of the gateway.
    pub(crate) fn fail(&mut self, failure: Failure, usage: &mut UsageRecorder) -> Progress {
        self.events.clear();
        self.events.push(Event::new(What::Fail(failure)));
        self.process_events(usage)
    }

    /// Ends the reply because its client cancelled it.
    pub(crate) fn cancel(&mut self, usage: &mut UsageRecorder) -> Progress {
        self.deliver(&Event::new(What::End { finish: Finish::Cancelled, response: None }), usage)
    }

    /// The last response object that the client got, of a streamed reply that is stored.
    pub(crate) fn response(&self) -> Option<&Json> {
        match &self.output {
            Output::Stream { writer: Some(writer), .. } => writer.response(),
            Output::Stream { writer: None, .. } | Output::Fold(_) => self.last_response.as_deref(),
        }
    }

    /// Whether the reply streams.
    pub(crate) fn is_streaming(&self) -> bool {
        matches!(self.output, Output::Stream { .. })
    }

    /// Writes the failure that ends the reply: the event as it came, or another failure in its place.
    pub(crate) fn write_failure(&mut self, failure: Failure, usage: &mut UsageRecorder) -> Progress {
        let came = self
            .withheld_failure
            .take()
            .filter(|event| matches!(&event.what, What::Fail(withheld) if *withheld == failure));
        let event = came.map_or_else(|| Event::new(What::Fail(failure)), |event| *event);
        self.deliver(&event, usage)
    }

    /// Writes a heartbeat, so that an idle client keeps waiting.
    pub(crate) fn heartbeat(&mut self) {
        if let Output::Stream { writer: Some(writer), out } = &mut self.output {
            writer.heartbeat(out);
        }
    }

    /// Takes the output so far, as one piece.
    pub(crate) fn take_output(&mut self) -> Option<Bytes> {
        match &mut self.output {
            Output::Stream { out, .. } if !out.is_empty() => {
                let piece = out.split().freeze();
                if piece.len() > LARGE {
                    // The buffer for one large piece is not reused for the small pieces that follow.
                    *out = BytesMut::with_capacity(OUTPUT);
                }
                Some(piece)
            }
            _ => None,
        }
    }

    /// Whether the reply was refused more memory, which ends it.
    pub(crate) fn is_over_memory(&self) -> bool {
        self.memory.is_over()
    }

    /// Whether `failure` is the one of a complete reply whose text could not be repeated.
    pub(crate) fn is_text_lost(&self, failure: &Failure) -> bool {
        self.text_lost.as_deref() == Some(failure)
    }

    /// Takes the side events so far, in order.
    pub(crate) fn take_side_events(&mut self) -> std::vec::Drain<'_, SideEvent> {
        self.side_events.drain(..)
    }

    /// The collected reply.
    pub(crate) fn into_whole(self) -> proto::Whole {
        match self.output {
            Output::Fold(fold) => fold.finish(),
            Output::Stream { .. } => proto::Whole { id: Text::default(), ..proto::Whole::default() },
        }
    }

    fn process_events(&mut self, usage: &mut UsageRecorder) -> Progress {
        let mut events = std::mem::take(&mut self.events);
        let mut progress = Progress::Running;
        for event in events.drain(..) {
            progress = self.process_event(event, usage);
            if progress != Progress::Running {
                break;
            }
        }
        if events.capacity() <= MANY {
            self.events = events;
        }
        progress
    }

    fn process_event(&mut self, event: Event, usage: &mut UsageRecorder) -> Progress {
        let mut event = event;
        if let Err(failure) = self.memory.count(&event)
            && !self.drop_repeated_text(&event, &failure)
        {
            return self.withhold_failure(Event::new(What::Fail(failure)), usage);
        }
        if let (Some(lost), What::End { .. }) = (&self.text_lost, &event.what) {
            event = Event::new(What::Fail((**lost).clone()));
        }
        let Some(replies) = &mut self.tool_replies else { return self.apply_limits(event, usage) };
        let mut progress = Progress::Running;
        for event in replies.event(event).into_iter().flatten() {
            progress = self.apply_limits(event, usage);
        }
        progress
    }

    /// Drops the text that the end of a stream repeats, so that the stream can continue; `false` where that does not help.
    fn drop_repeated_text(&mut self, event: &Event, why: &Failure) -> bool {
        let Output::Stream { writer: Some(writer), .. } = &mut self.output else { return false };
        let call = matches!(event.what, What::Delta { channel: Channel::Arguments, .. });
        if call || self.trim.is_some() || !writer.forget() {
            return false;
        }
        self.memory.release();
        self.text_lost = Some(Box::new(why.clone()));
        true
    }

    /// Applies the limits that the upstream does not know.
    fn apply_limits(&mut self, event: Event, usage: &mut UsageRecorder) -> Progress {
        let Some(trim) = &mut self.trim else { return self.withhold_failure(event, usage) };
        let mut trimmed = std::mem::take(&mut self.trimmed);
        let verdict = trim.push(event, &mut trimmed);
        let mut progress = Progress::Running;
        for event in trimmed.drain(..) {
            if progress == Progress::Running {
                progress = self.withhold_failure(event, usage);
            }
        }
        self.trimmed = trimmed;
        if verdict == Verdict::Done { Progress::LimitReached } else { progress }
    }

    /// Writes all events but a failure. The owner of the transcoder decides how the failure is reported to the client.
    fn withhold_failure(&mut self, event: Event, usage: &mut UsageRecorder) -> Progress {
        let What::Fail(failure) = &event.what else { return self.deliver(&event, usage) };
        let failing = Progress::Failing(Box::new(failure.clone()));
        self.withheld_failure = Some(Box::new(event));
        failing
    }

    fn deliver(&mut self, event: &Event, usage: &mut UsageRecorder) -> Progress {
        usage.on_event(event);
        match &mut self.output {
            Output::Stream { writer: Some(writer), out } => writer.push(event, out),
            Output::Stream { .. } => {}
            Output::Fold(fold) => fold.push(event),
        }
        match &event.what {
            What::Limits(json) => self.side_events.push(SideEvent::Limits(json.clone())),
            What::Metadata(json) => self.side_events.push(SideEvent::Metadata(json.clone())),
            What::End { .. } => return self.close_writer(Progress::Ended),
            What::Fail(failure) => return self.close_writer(Progress::Failed(Box::new(failure.clone()))),
            _ => {}
        }
        Progress::Running
    }

    fn close_writer(&mut self, progress: Progress) -> Progress {
        if let Output::Stream { writer, out } = &mut self.output
            && let Some(writer) = writer.take()
        {
            self.last_response = writer.response().cloned().map(Box::new);
            writer.end(out);
        }
        progress
    }
}
