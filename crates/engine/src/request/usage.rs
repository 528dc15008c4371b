//! The usage row of one request: exactly one in every case. The row is written when the recorder is dropped; a request without a recorded
//! end was abandoned by its client, or cut by a server that stops.

use std::sync::Arc;
use std::time::Duration;

use pool::AccountId;
use pool::relay::Service;
use proto::canon::{Channel, Usage};
use proto::{Dialect, Event, Failure, Notes, What};
use store::{Outcome, TokenUsage, UsageRow};
use tokio::time::Instant;
use uuid::Uuid;

use crate::registry::keys::KeyId;
use crate::request::call::Call;
use crate::request::services::Services;

/// The status of a request whose client left, as nginx logs it.
const CLIENT_LEFT: u16 = 499;
/// Longest model name in a row, bytes: a client may send any name.
const NAME: usize = 128;

/// The fields of a usage row that are known at the start.
pub(crate) struct Requested<'a> {
    /// The client's id of the request, or the gateway's.
    pub(crate) request_id: &'a str,
    pub(crate) key: &'a KeyId,
    /// The model's name as the client wrote it.
    pub(crate) model: Option<&'a str>,
}

/// Fills in the usage row of one request.
pub(crate) struct UsageRecorder {
    services: Arc<Services>,
    dialect: Dialect,
    row: UsageRow,
    started: Instant,
    /// Input tokens of the request as sent upstream, estimated.
    input: u64,
    /// Bytes of output, for an estimate; 32 bits keep every stream's state small.
    output_bytes: u32,
    usage: Option<Usage>,
    /// What was dropped or approximated.
    notes: Notes,
}

impl UsageRecorder {
    /// Opens the row of a model call.
    pub(crate) fn open(services: &Arc<Services>, call: &Call) -> Self {
        let (request_id, model) = (&call.client.request_id, call.request.model.as_deref());
        let mut recorder = Self::start(services, call.dialect, &Requested { request_id, key: &call.key, model });
        recorder.row.dialect = name(call.dialect).into();
        recorder.row.stream = call.request.reply.stream;
        recorder
    }

    /// Opens the row of a forwarded call. Its figures are the upstream's own or none: nothing is estimated.
    pub(crate) fn open_forwarded(services: &Arc<Services>, service: Service, requested: &Requested<'_>) -> Self {
        let mut recorder = Self::start(services, Dialect::Chat, requested);
        recorder.row.dialect = service.as_str().into();
        recorder.usage = Some(Usage::default());
        recorder
    }

    /// `dialect` is the protocol of a refusal.
    fn start(services: &Arc<Services>, dialect: Dialect, requested: &Requested<'_>) -> Self {
        let row = UsageRow {
            id: Uuid::now_v7(),
            request_id: requested.request_id.into(),
            at: services.runtime.now(),
            key: requested.key.0.clone(),
            account: None,
            dialect: "".into(),
            model: requested.model.map(truncated).unwrap_or_default(),
            status: CLIENT_LEFT,
            outcome: Outcome::Aborted,
            tokens: TokenUsage::default(),
            attempts: 0,
            ttft_ms: None,
            duration_ms: 0,
            stream: false,
            notes: String::new(),
        };
        let (started, notes) = (Instant::now(), Notes::default());
        Self { services: Arc::clone(services), dialect, row, started, input: 0, output_bytes: 0, usage: None, notes }
    }

    /// The client's id of the request, or the gateway's.
    pub(crate) fn request_id(&self) -> &str {
        &self.row.request_id
    }

    /// When the request began.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// Sets the resolved model.
    pub(crate) fn model(&mut self, slug: &str) {
        slug.clone_into(&mut self.row.model);
    }

    /// Notes that a call of about `input` tokens goes to `account`.
    pub(crate) fn call_started(&mut self, account: &AccountId, input: u64) {
        self.row.account = Some(account.clone());
        self.row.attempts += 1;
        self.input = input;
    }

    /// Input tokens of the last model call, estimated.
    pub(crate) fn input(&self) -> u64 {
        self.input
    }

    /// Model calls so far.
    pub(crate) fn attempts(&self) -> u32 {
        self.row.attempts
    }

    /// What was dropped or approximated.
    pub(crate) fn notes(&mut self, notes: &Notes) {
        self.notes = notes.clone();
    }

    /// The notes so far, those of the reply included.
    pub(crate) fn noted(&self) -> &Notes {
        &self.notes
    }

    /// Sets whether the answer is a stream, for calls where only the upstream's headers tell.
    pub(crate) fn set_stream(&mut self, stream: bool) {
        self.row.stream = stream;
    }

    /// Sets token counts that the upstream gave outside of events.
    pub(crate) fn set_usage(&mut self, usage: Usage) {
        self.usage = Some(usage);
    }

    /// Notes the time of the first output.
    pub(crate) fn note_first_token(&mut self) {
        if self.row.ttft_ms.is_none() {
            self.row.ttft_ms = Some(millis(self.started.elapsed()));
        }
    }

    /// Counts an event on its way to the client.
    pub(crate) fn on_event(&mut self, event: &Event) {
        if self.row.ttft_ms.is_none() && is_committing(&event.what) {
            self.note_first_token();
        }
        match &event.what {
            What::Delta { channel: Channel::Image, .. } => {}
            What::Delta { data, .. } => {
                let bytes = u32::try_from(data.escaped().len()).unwrap_or(u32::MAX);
                self.output_bytes = self.output_bytes.saturating_add(bytes);
            }
            What::Usage(usage) => self.usage = Some(*usage),
            What::Note(note) => self.notes.add(note),
            _ => {}
        }
    }

    /// Records that the reply ended well.
    pub(crate) fn complete(&mut self) {
        self.row.status = 200;
        self.row.outcome = Outcome::Completed;
    }

    /// Records that the reply was cancelled after its 200.
    pub(crate) fn abort(&mut self) {
        self.row.status = 200;
        self.row.outcome = Outcome::Aborted;
    }

    /// Records that the reply failed after its 200.
    pub(crate) fn mark_reply_failed(&mut self) {
        self.row.status = 200;
        self.row.outcome = Outcome::Failed;
    }

    /// Records that the request was answered with another status.
    pub(crate) fn refuse(&mut self, failure: &Failure) {
        self.row.status = self.dialect.error(failure).0;
        self.row.outcome = Outcome::Failed;
    }

    /// The upstream's own figures.
    pub(crate) fn upstream_usage(&self) -> Option<Usage> {
        self.usage.filter(|usage| !usage.estimated)
    }

    /// The token counts: given by the upstream, or estimated when the model had begun to answer.
    fn figures(&self) -> Option<Usage> {
        let output = proto::tokens::estimate(u64::from(self.output_bytes));
        let estimate = || Usage { input: self.input, output, estimated: true, ..Usage::default() };
        // Some upstreams have counted only the input of a reply that was cut.
        let uncounted = |usage: &Usage| usage.estimated && usage.output == 0;
        let counted = self.usage.map(|usage| if uncounted(&usage) { Usage { output, ..usage } } else { usage });
        counted.or_else(|| self.row.ttft_ms.is_some().then(estimate))
    }
}

impl Drop for UsageRecorder {
    fn drop(&mut self) {
        if self.row.status == CLIENT_LEFT
            && let Some(why) = self.services.shutdown_failure.get().cloned()
        {
            self.refuse(&why);
        }
        let usage = self.figures().unwrap_or_default();
        let Usage { input, cached, output, reasoning, estimated, .. } = usage;
        let tokens = TokenUsage { input, cached, output, reasoning, estimated };
        let notes = self.notes.header();
        let row = UsageRow { tokens, notes, duration_ms: millis(self.started.elapsed()), ..self.row.clone() };
        self.services.runtime.store.usage().record(row);
    }
}

/// Whether a client waits for such an event. The reply is not committed before the first of them.
pub(crate) fn is_committing(what: &What) -> bool {
    match what {
        What::Open(_)
        | What::Limits(_)
        | What::Metadata(_)
        | What::Usage(_)
        | What::Note(_)
        | What::Other
        | What::Fail(_) => false,
        What::ItemOpen { .. }
        | What::Delta { .. }
        | What::Annotation { .. }
        | What::ItemDone { .. }
        | What::Piece { .. }
        | What::Stopped(_)
        | What::End { .. } => true,
    }
}

fn truncated(name: &str) -> String {
    name[..name.floor_char_boundary(NAME)].to_owned()
}

fn name(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Responses => "responses",
        Dialect::Chat => "chat",
        Dialect::Messages => "messages",
        Dialect::Gemini => "gemini",
        Dialect::Ollama => "ollama",
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
