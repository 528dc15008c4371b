//! A committed reply that runs: the upstream's body, the transcoder, the timers. The server polls the stream directly, without a task or
//! a channel.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use pool::attempt::{self, History, Step};
use pool::pick::CandidateKind;
use pool::quota::Quota;
use pool::status::Signal;
use pool::{AccountId, Millis};
use proto::{Failure, Json, Kind};
use tokio::time::Instant;
use upstream::{Body, BodyReadError};
use wire_body::offload;

use super::timers::{Due, Timers};
use super::transcoder::{Progress, ReplyShape, SideEvent, Transcoder};
use crate::dispatch::limiter::Permit;
use crate::request::attempt::Credentials;
use crate::request::estimate;
use crate::request::reply::{Head, Refusal, Reply, ReplyBody};
use crate::request::run::call::{PendingCall, RequestPlan};
use crate::request::run::fingerprint;
use crate::request::services::Services;
use crate::request::stored::PendingStore;
use crate::request::usage::UsageRecorder;

/// How long the rest of an upstream body is read after its terminal event, so that the connection is reused.
pub(crate) const DRAIN: Duration = Duration::from_secs(2);
/// Reads without output in one poll before other tasks run.
const TURNS: usize = 64;

/// Where a reply's bytes come from.
pub(crate) enum Source {
    /// The model call, which has no answer yet: the reply was committed first.
    Head(Box<UnansweredCall>),
    /// The answer's body.
    Body(Body),
    /// The upstream is released.
    Ended,
}

/// A model call that outlived the commit barrier.
pub(crate) struct UnansweredCall {
    pub(crate) pending: PendingCall,
    /// The history for judging its failure; no retry is possible any more.
    pub(crate) history: History,
}

/// The model call of a committed reply.
pub(crate) struct ServedCall {
    pub(crate) plan: Arc<RequestPlan>,
    /// When the call began.
    pub(crate) begun: Millis,
    /// The credentials of the call; the account may have other credentials when the call fails.
    pub(crate) credentials: Option<Credentials>,
}

/// A committed reply: upstream bytes in, client bytes out. It cannot be tried again. Dropping it cancels the upstream.
pub struct ReplyStream {
    services: Arc<Services>,
    account: AccountId,
    call: ServedCall,
    source: Source,
    transcoder: Transcoder,
    timers: Timers,
    /// The end; `None` while the reply runs.
    ended: Option<Progress>,
    permit: Option<Permit>,
    usage: UsageRecorder,
    /// Whether the retry table has judged the current failure already.
    judged: bool,
    /// The plan to store the reply, until it is stored.
    pending_store: Option<Box<PendingStore>>,
}

/// The initial state of a reply.
pub(crate) struct ReplyStart {
    pub(crate) source: Source,
    pub(crate) transcoder: Transcoder,
    /// When the last byte of the upstream arrived.
    pub(crate) last_read: Instant,
    pub(crate) permit: Permit,
    pub(crate) usage: UsageRecorder,
    pub(crate) call: ServedCall,
    pub(crate) pending_store: Option<Box<PendingStore>>,
}

/// One step of a reply.
enum ReplyStep {
    /// Bytes were read or a timer was due; check the transcoder.
    Step,
    /// The reply has ended.
    Over,
}

impl ReplyStream {
    /// Takes over a committed reply and writes the events that were held back.
    pub(crate) fn new(services: Arc<Services>, start: ReplyStart, heartbeat: bool) -> Self {
        let ReplyStart { source, transcoder, last_read, permit, usage, call, pending_store } = start;
        let account = permit.account().clone();
        let settings = &services.runtime.settings;
        let timers = Timers::new(last_read, settings.idle, heartbeat.then_some(settings.heartbeat));
        let (ended, permit, judged) = (None, Some(permit), false);
        let mut reply =
            Self { services, account, call, source, transcoder, timers, ended, permit, usage, judged, pending_store };
        reply.transcoder.set_elapsed(reply.usage.started().elapsed());
        let progress = reply.transcoder.start(&mut reply.usage);
        reply.on_progress(progress);
        reply
    }

    /// Reads further. Afterwards the transcoder has the bytes for the client, if any.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ReplyStep> {
        if self.ended.is_some() {
            self.release_upstream(cx);
            return Poll::Ready(ReplyStep::Over);
        }
        if self.pending_store.as_mut().is_some_and(|pending| pending.cancelled(cx)) {
            self.source = Source::Ended;
            let progress = self.transcoder.cancel(&mut self.usage);
            self.on_progress(progress);
            self.usage.abort();
            return Poll::Ready(ReplyStep::Step);
        }
        let chunk = match self.read(cx) {
            Poll::Ready(chunk) => chunk,
            Poll::Pending => return self.poll_timers(cx),
        };
        let now = Instant::now();
        self.timers.last_read = now;
        self.transcoder.set_elapsed(now.duration_since(self.usage.started()));
        let progress = match chunk {
            Some(Ok(chunk)) => self.transcoder.push(chunk, &mut self.usage),
            Some(Err(failure)) => {
                self.source = Source::Ended;
                self.transcoder.fail(*failure, &mut self.usage)
            }
            None => {
                self.source = Source::Ended;
                self.transcoder.end(&mut self.usage)
            }
        };
        self.on_progress(progress);
        if self.ended.is_some() {
            self.release_upstream(cx);
        }
        Poll::Ready(ReplyStep::Step)
    }

    /// The next bytes for the client, one piece per upstream read, heartbeats included. A failed upstream is written in the
    /// client's protocol; `None` follows the terminal event at once.
    pub fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        for _ in 0..TURNS {
            if let Some(bytes) = self.transcoder.take_output() {
                self.timers.last_write = self.timers.last_read.max(self.timers.last_write);
                return Poll::Ready(Some(bytes));
            }
            match std::task::ready!(self.poll(cx)) {
                ReplyStep::Step => {}
                ReplyStep::Over => return Poll::Ready(None),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Ends the reply midway because the server stops: the upstream is cancelled, and no account is marked as failed. Returns the bytes
    /// with which the client's protocol reports the failure; empty when the reply has ended already.
    pub fn cut(&mut self, failure: &Failure) -> Bytes {
        if self.ended.is_none() {
            self.source = Source::Ended;
            // No upstream failed: the failure is written unchanged.
            let _ = self.transcoder.fail(failure.clone(), &mut self.usage);
            self.ended = Some(self.transcoder.write_failure(failure.clone(), &mut self.usage));
            self.usage.mark_reply_failed();
            self.permit = None;
            self.store_response();
        }
        self.transcoder.take_output().unwrap_or_default()
    }

    /// Reads to the end and writes the whole body. A failure becomes a refusal with its own status, because nothing has been sent.
    pub(crate) async fn collect(mut self: Box<Self>, mut head: Head, shape: ReplyShape) -> Result<Reply, Refusal> {
        while let ReplyStep::Step = std::future::poll_fn(|cx| self.poll(cx)).await {}
        let (Self { transcoder, mut usage, pending_store, .. }, ReplyShape { dialect, setting, .. }) = (*self, shape);
        let mut whole = transcoder.into_whole();
        head.notes.extend(usage.noted().clone());
        if let Some(failure) = whole.failure.take() {
            usage.refuse(&failure);
            return Err(Refusal { failure, head: Box::new(head) });
        }
        let size = estimate::reply(&whole);
        let work = move || {
            let body = dialect.whole(&whole, &setting);
            if let Some(pending) = pending_store {
                pending.finish(setting.stored.keep(&Json::from_valid(body.clone())).as_ref());
            }
            body
        };
        let body = offload(size, work).await;
        Ok(Reply { head, body: ReplyBody::Whole(body) })
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Box<Failure>>>> {
        loop {
            match &mut self.source {
                Source::Ended => return Poll::Ready(None),
                Source::Body(body) => {
                    return match std::task::ready!(body.poll_chunk(cx)) {
                        Some(Ok(chunk)) => Poll::Ready(Some(Ok(chunk))),
                        None => Poll::Ready(None),
                        Some(Err(cut)) => {
                            let who = self.services.registry.accounts.log_subject(&self.account);
                            tracing::debug!(account = who.account(), relay = who.relay(), %cut, "upstream cut a reply");
                            Poll::Ready(cut_end(&cut))
                        }
                    };
                }
                Source::Head(late) => match std::task::ready!(late.pending.as_mut().poll(cx)) {
                    Ok(answer) => {
                        self.services.dispatch.mark_answering(&self.account);
                        if answer.body.has_messages() {
                            self.transcoder.read_messages();
                        }
                        self.source = Source::Body(answer.body);
                    }
                    Err(mut error) => {
                        if let Some(access) = &self.call.credentials {
                            error.outcome.hide(access.secret());
                        }
                        let mut history = late.history.clone();
                        let (signal, step) =
                            history.on_outcome(&self.account, &error.outcome, self.services.runtime.now());
                        let (Step::Fail(failure) | Step::Again { otherwise: failure, .. }) = step;
                        self.report_outcome(&signal, &error.outcome);
                        self.judged = true;
                        return Poll::Ready(Some(Err(Box::new(error.name(failure)))));
                    }
                },
            }
        }
    }

    fn poll_timers(&mut self, cx: &mut Context<'_>) -> Poll<ReplyStep> {
        if let Source::Body(body) = &self.source
            && let Some(read) = body.last_read()
        {
            self.timers.last_read = self.timers.last_read.max(read);
        }
        match std::task::ready!(self.timers.poll(cx)) {
            Due::Heartbeat => self.transcoder.heartbeat(),
            Due::Idle => {
                self.source = Source::Ended;
                let silence = self.timers.idle.as_secs();
                let failure = Failure::new(Kind::Timeout, format!("the upstream sent nothing for {silence} s"));
                let progress = self.transcoder.fail(failure.code("upstream_timeout"), &mut self.usage);
                self.on_progress(progress);
            }
        }
        Poll::Ready(ReplyStep::Step)
    }

    /// Handles the progress after an event. A failure is written as a failure of all accounts.
    fn on_progress(&mut self, progress: Progress) {
        let progress = match progress {
            Progress::Failing(failure) => {
                if self.transcoder.is_over_memory() {
                    // The upstream may continue endlessly, and a full budget is not the account's fault.
                    self.source = Source::Ended;
                    self.judged |= failure.kind == Kind::Overloaded;
                }
                self.judged |= self.transcoder.is_text_lost(&failure);
                let client_failure = self.failure_for_client(&failure);
                self.transcoder.write_failure(client_failure, &mut self.usage)
            }
            progress => progress,
        };
        for side_event in self.transcoder.take_side_events() {
            on_side_event(&self.services, (&self.account, &self.call.plan), &side_event);
        }
        match &progress {
            Progress::Running | Progress::Failing(_) => return self.note_response_id(),
            Progress::Ended | Progress::LimitReached => self.note_served(),
            Progress::Failed(_) => self.usage.mark_reply_failed(),
        }
        self.ended = Some(progress);
        self.permit = None;
        self.store_response();
    }

    /// Notes a complete reply. The upstream's token counts show how much input the model accepts.
    fn note_served(&mut self) {
        self.usage.complete();
        if let Some(usage) = self.usage.upstream_usage() {
            let model = self.call.plan.model_for(&self.account);
            self.services.registry.accounts.note_served(&self.account, model, (usage.input, usage.output));
        }
    }

    /// Notes the id of the reply once the client has it.
    fn note_response_id(&mut self) {
        if let Some(pending) = self.pending_store.as_mut().filter(|pending| pending.is_unnamed())
            && let Some(response) = self.transcoder.response()
        {
            pending.note_running(response);
        }
    }

    /// Stores a streamed reply that has ended; a collected reply is stored when its body is written.
    fn store_response(&mut self) {
        if let Some(pending) = self.pending_store.take_if(|_| self.transcoder.is_streaming()) {
            pending.finish(self.transcoder.response());
        }
    }

    /// Reports a failure after the commit to the pool, and returns the failure for the client.
    fn failure_for_client(&mut self, failure: &Failure) -> Failure {
        let mut failure = failure.clone();
        if let Some(access) = &self.call.credentials {
            attempt::hide(&mut failure, access.secret());
        }
        if !std::mem::take(&mut self.judged) {
            let keyed = self.call.plan.candidate_kind() == CandidateKind::Relays;
            let history = History { rest: Some(self.services.runtime.settings.rest), keyed, ..History::default() };
            let outcome = attempt::Outcome::EarlyFail(failure.clone());
            let (signal, _) = attempt::next(&outcome, &history, self.services.runtime.now());
            self.report_outcome(&signal, &outcome);
        }
        self.call.plan.final_failure(&self.services, failure)
    }

    fn report_outcome(&self, signal: &Signal, outcome: &attempt::Outcome) {
        self.services.dispatch.note_model(&self.account, self.call.plan.model_for(&self.account), signal);
        self.services.dispatch.signal(&self.account, signal);
        self.services.dispatch.record_outcome(
            &self.account,
            (self.call.begun, self.call.plan.conversation_hash()),
            outcome,
        );
    }

    /// Releases the upstream: a complete answer is read to its end by a task, so that its connection is reused; any other answer is
    /// cancelled.
    fn release_upstream(&mut self, cx: &mut Context<'_>) {
        let source = std::mem::replace(&mut self.source, Source::Ended);
        let (Source::Body(mut body), Some(Progress::Ended | Progress::Failed(_))) = (source, &self.ended) else {
            return;
        };
        // Usually the end has arrived already.
        if let Poll::Ready(None | Some(Err(_))) = body.poll_chunk(cx) {
            return;
        }
        self.services.runtime.tasks.spawn(body.drain(DRAIN));
    }
}

/// `None` for a broken body: a reader without a terminal event reports that itself when it ends.
fn cut_end(cut: &BodyReadError) -> Option<Result<Bytes, Box<Failure>>> {
    match cut {
        BodyReadError::Broken(_) => None,
        BodyReadError::TooLarge(_) => Some(Err(Box::new(Failure::new(Kind::Upstream, cut.to_string())))),
    }
}

/// Handles an event for the engine itself.
fn on_side_event(services: &Services, (account, plan): (&AccountId, &RequestPlan), side_event: &SideEvent) {
    match side_event {
        SideEvent::Limits(json) => {
            if let Some(quota) = Quota::from_event(json, services.runtime.now()) {
                services.dispatch.learn_quota(account, quota);
            }
        }
        SideEvent::Metadata(json) => {
            let Ok(Metadata { headers }) = json.parse::<Metadata>() else { return };
            if let Some(etag) = headers.etag {
                services.dispatch.model_queue.saw_etag(&services.registry.accounts, account, &etag);
            }
            if let Some(state) = headers.turn_state {
                services.dispatch.affinity.set_turn_state(plan.conversation.id, account, fingerprint(&state));
            }
        }
    }
}

#[derive(serde::Deserialize)]
struct Metadata {
    headers: Inner,
}

#[derive(serde::Deserialize)]
struct Inner {
    #[serde(rename = "x-models-etag")]
    etag: Option<String>,
    #[serde(rename = "x-codex-turn-state")]
    turn_state: Option<String>,
}

#[cfg(test)]
mod tests;
