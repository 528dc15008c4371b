//! One turn of a socket: recorded, checked for protocol violations, matched with a plan, answered and sent.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::create::Create;
use super::{Session, SocketEnd, frame};
use crate::account::Login;
use crate::answer::{Answer, Payload};
use crate::errors::{self, Reject};
use crate::plan::shape::Frames;
use crate::plan::{Body, Endpoint, Idle, Plan};
use crate::record::{EndKind, RecordedRequest, RequestGuard, Violation};
use crate::responses::{self, EventFrames, ModelCall, ModelReply, events, read};
use crate::script::RequestFacts;
use crate::state::Chain;
use crate::token::Revocation;

/// The input of a turn with the conversation before it, and their size in bytes.
type TurnInput = (Value, usize);

impl Session {
    /// Answers a client's message.
    pub(super) async fn turn(&mut self, text: Utf8Bytes) -> Result<(), SocketEnd> {
        let mut visit = self.shared.recorder.open(|id, at| self.seen(id, at));
        let body = Bytes::from(text);
        self.shared.recorder.body(visit.id, body.clone(), body.len());
        let create = self.read(&body, visit.id);
        let plan = self.plan(create.as_ref().ok(), visit.id);
        let answer = match &create {
            _ if !plan.act && !matches!(plan.body, Body::Auto) => Answer::empty(200),
            Ok(create) => self.decide(create, visit.id).unwrap_or_else(|answer| *answer),
            Err(reject) => reject.clone().into(),
        };
        let answer = answer.apply_plan(&plan, &self.shared);
        visit.status(answer.status);
        for wait in &plan.before_headers {
            let shared = Arc::clone(&self.shared);
            self.listen(shared.gates.pass(wait), visit.id).await?;
        }
        let asking = create.ok().map(|mut create| (create.body["input"].take(), create.bytes));
        self.answer(answer, &plan, (asking, &mut visit)).await
    }

    fn seen(&self, id: u64, at: Duration) -> RecordedRequest {
        RecordedRequest {
            id,
            connection: self.peer.connection,
            peer: self.peer.address,
            at,
            place: Endpoint::Responses,
            method: "WS".to_owned(),
            path: self.peer.path.clone(),
            account: Some(self.account()),
            ..RecordedRequest::default()
        }
    }

    /// The account of the upgrade's token.
    fn account(&self) -> String {
        let accounts = self.shared.accounts.lock();
        let access = accounts.access.get(&self.peer.token);
        access.map_or_else(String::new, |access| accounts.logins[access.who].account_id.clone())
    }

    /// Reads a frame and adds the conversation that the frame continues.
    fn read(&self, body: &Bytes, request: u64) -> Result<Create, Reject> {
        let mut create = Create::read(&String::from_utf8_lossy(body))?;
        if let Some(previous) = &create.previous
            && self.shared.chains.lock().foreign(previous, &self.account())
        {
            self.shared.recorder.record_offence(Violation::ChainCrossed { request });
        }
        create.follow(self.chain.as_ref())?;
        Ok(create)
    }

    /// Records the prompt, checks for protocol violations, and takes the turn's plan.
    fn plan(&self, create: Option<&Create>, request: u64) -> Plan {
        let (shared, account) = (&self.shared, self.account());
        let prompt = create.map(|create| read::last_prompt(&create.body));
        shared.recorder.edit(request, |seen| seen.prompt.clone_from(&prompt));
        let facts = RequestFacts {
            place: Endpoint::Responses,
            account: Some(&account),
            prompt: prompt.as_deref(),
            model: create.and_then(|create| create.body["model"].as_str()),
            prewarm: create.is_some_and(|create| create.prewarm),
            headers: &self.peer.headers,
        };
        if let Some(note) = shared.script.forbidden(facts) {
            shared.recorder.record_offence(Violation::Forbidden { request, note });
        }
        shared.script.take(facts).unwrap_or_default()
    }

    /// The backend's own answer.
    fn decide(&self, create: &Create, request: u64) -> Result<Answer, Box<Answer>> {
        let person = self.person()?;
        let asked = ModelCall {
            request,
            body: Some(&create.body),
            bytes: create.bytes,
            lite: create.lite,
            state: create.state.as_deref(),
            previous: create.previous.as_deref(),
        };
        let ModelReply { turn, headers } = responses::reply(&self.shared, &person, asked)?;
        let turn = if create.prewarm { turn.without_output() } else { turn };
        let frames = EventFrames::new(turn, self.shared.options.completed_output);
        let frames = std::iter::once(events::rate_limits(&person)).chain(frames);
        let mut answer = Answer::stream(frame::timed(Box::new(frames)));
        answer.headers = HeaderMap::new();
        answer.header("x-request-id", &uuid::Uuid::new_v4().to_string());
        for (name, value) in &headers {
            answer.header(name, value);
        }
        Ok(answer)
    }

    /// The account of the turn. A token that expires while its socket is open stays valid for the socket; a revoked token does not.
    fn person(&self) -> Result<Login, Reject> {
        let accounts = self.shared.accounts.lock();
        let access = accounts.access.get(&self.peer.token);
        let refused = access.map_or(Some(None), |access| access.refused.map(Some));
        match (access, refused) {
            (Some(access), None | Some(Some(Revocation::Expired))) => Ok(accounts.logins[access.who].clone()),
            (_, refused) => Err(Reject { status: 401, body: errors::unauthorized(refused.flatten()) }),
        }
    }

    /// Sends an answer. Only a completed response can be continued.
    async fn answer(
        &mut self,
        answer: Answer,
        plan: &Plan,
        (asking, visit): (Option<TurnInput>, &mut RequestGuard),
    ) -> Result<(), SocketEnd> {
        self.chain = None;
        let auto = matches!(plan.body, Body::Auto);
        let preamble = if auto { frame::preamble(&answer, self.shared.options.turn_state_event) } else { Vec::new() };
        let frames: Frames = match answer.payload {
            Payload::Stream(mut frames) if answer.status == 200 => {
                let limits = auto.then(|| frames.next()).flatten();
                Box::new(limits.into_iter().chain(preamble).chain(frames))
            }
            Payload::Whole(bytes) if answer.status == 200 => frame::alone(&bytes),
            _ => frame::alone(&frame::refusal(&answer)),
        };
        let outcome = match &plan.body {
            Body::Wire(steps) => return Err(self.raw(steps, visit).await),
            _ => self.send_frames(frames, &plan.shape, visit).await?,
        };
        if let (Some((Value::Array(mut items), bytes)), Some(id)) = (asking, outcome.completed) {
            items.extend(outcome.items);
            self.shared.chains.lock().add(&id, &self.account());
            self.chain = Some(Chain { id, items, bytes: bytes + outcome.bytes });
        }
        if let Some(idle) = plan.idle {
            self.line.idle(idle);
        }
        if plan.idle == Some(Idle::Close) { Err(SocketEnd(EndKind::Cut)) } else { Ok(()) }
    }
}
