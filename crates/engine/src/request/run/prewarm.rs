//! A request with `generate: false`, which only announces its conversation. The gateway answers it with an empty reply. The connection
//! remembers the input, and the backend gets the input too if the conversation has a socket, so that the next request need not repeat the
//! input.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use pool::catalog::Resolved;
use proto::canon::{Finish, Open, Usage};
use proto::dialect::ReplySetting;
use proto::dialect::responses::Echo;
use proto::{Dialect, Event, Failure, Fold, Json, Text, What, Writer};
use uuid::Uuid;

use super::attempt::{ModelAttempt, first_fallback};
use super::{recall_conversation, refuse};
use crate::request::call::Call;
use crate::request::conversation::Conversation;
use crate::request::reply::{Head, Refusal, Reply, ReplyBody};
use crate::request::services::Services;
use crate::request::stored::PendingStore;
use crate::request::usage::UsageRecorder;

/// How long the client waits until the backend has the input. A turn that comes earlier sends the whole input.
const PATIENCE: Duration = Duration::from_secs(10);

/// The empty reply.
struct EmptyReply {
    dialect: Dialect,
    stream: bool,
    setting: ReplySetting,
    head: Head,
    keep: Option<Box<PendingStore>>,
}

/// Sends the input to the backend, if possible, and answers. A failure is ignored: the next turn will report it.
pub(super) async fn run(services: Arc<Services>, call: Call) -> Result<Reply, Refusal> {
    let mut recorder = UsageRecorder::open(&services, &call);
    let (call, keep) = recall_conversation(&services, call).await;
    let (resolved, answer) = match keep.and_then(|keep| prepare_reply(&services, &call, keep)) {
        Ok(prepared) => prepared,
        Err(failure) => return Err(refuse(call, failure, recorder)),
    };
    recorder.model(&resolved.model.slug);
    ModelAttempt::new(services, call, resolved, recorder).prewarm(PATIENCE).await;
    Ok(answer.reply())
}

fn prepare_reply(
    services: &Arc<Services>,
    call: &Call,
    mut keep: Option<Box<PendingStore>>,
) -> Result<(Resolved, EmptyReply), Failure> {
    let requested = call.request.model.as_deref();
    let resolved = services.registry.accounts.catalog().resolve(requested, &services.runtime.settings.names);
    let resolved = resolved.or_else(|failure| first_fallback(services, requested).ok_or(failure))?;
    let model = resolved.model.slug.clone();
    if let Some(keep) = &mut keep {
        keep.set_conversation(Conversation::of(call, &model).id);
    }
    let setting = ReplySetting {
        id: format!("resp_{}", Uuid::new_v4().simple()),
        model,
        created: u64::try_from(services.runtime.now().seconds()).unwrap_or(0),
        reply: call.request.reply.clone(),
        envelope: call.request.envelope,
        codex: call.client.codex,
        framing: call.client.framing(),
        stored: keep.as_ref().map(|keep| keep.marks()).unwrap_or_default(),
        echo: Echo::of(&call.request),
    };
    let (dialect, stream) = (call.dialect, call.request.reply.stream);
    let head = Head::of(&resolved, call.notes.clone());
    Ok((resolved, EmptyReply { dialect, stream, setting, head, keep }))
}

impl EmptyReply {
    fn reply(self) -> Reply {
        let Self { dialect, stream, setting, head, keep } = self;
        let open = Open { id: Text::from(setting.id.as_str()), model: None, created: setting.created };
        let end = What::End { finish: Finish::Stop, response: None };
        let events = [What::Open(open), What::Usage(Usage::default()), end].map(Event::new);
        if !stream {
            let mut fold = Fold::new();
            for event in &events {
                fold.push(event);
            }
            let body = dialect.whole(&fold.finish(), &setting);
            store_ended(keep, setting.stored.keep(&Json::from_valid(body.clone())).as_ref());
            return Reply { head, body: ReplyBody::Whole(body) };
        }
        let (mut writer, mut out) = (Writer::new(dialect, setting), BytesMut::new());
        for event in &events {
            writer.push(event, &mut out);
        }
        store_ended(keep, writer.response());
        writer.end(&mut out);
        Reply { head, body: ReplyBody::Whole(out.freeze()) }
    }
}

fn store_ended(keep: Option<Box<PendingStore>>, response: Option<&Json>) {
    if let Some(keep) = keep {
        keep.finish(response);
    }
}
