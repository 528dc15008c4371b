//! One request, from call to reply.
//!
//! [`attempt::ModelAttempt`] is a request that may still be tried again; it ends in a [`crate::ReplyStream`], which cannot be tried
//! again. The commit barrier is between them: the client gets nothing, not even a status, before the first real event or the end of
//! `settings.commit`.

mod attempt;
pub(crate) mod call;
mod choice;
mod opening;
mod prewarm;
pub(crate) mod replay;

use std::sync::Arc;

use proto::Failure;
use wire_body::offload;

use crate::request::call::Call;
use crate::request::reply::{Head, Refusal, Reply};
use crate::request::services::Services;
use crate::request::stored::{PendingStore, recall, recalled_bytes};
use crate::request::usage::UsageRecorder;
use attempt::{ModelAttempt, first_fallback};
pub(crate) use attempt::{fingerprint, serving_models};

/// Serves a request.
pub(crate) async fn run(services: Arc<Services>, call: Call) -> Result<Reply, Refusal> {
    if call.request.reply.prewarm {
        return prewarm::run(services, call).await;
    }
    let mut recorder = UsageRecorder::open(&services, &call);
    services.dispatch.record_request(services.runtime.now());
    let (call, keep) = recall_conversation(&services, call).await;
    let keep = match keep {
        Ok(keep) => keep,
        Err(failure) => return Err(refuse(call, failure, recorder)),
    };
    let catalog = services.registry.accounts.catalog();
    let resolved = catalog.resolve(call.request.model.as_deref(), &services.runtime.settings.names);
    drop(catalog);
    let attempt = match resolved {
        Ok(resolved) => {
            recorder.model(&resolved.model.slug);
            services.retired.note(&resolved, &call.key, services.runtime.now());
            ModelAttempt::new(services, call, resolved, recorder)
        }
        Err(failure) => match first_fallback(&services, call.request.model.as_deref()) {
            Some(instead) => ModelAttempt::with_fallback(services, call, (instead, failure), recorder),
            None => return Err(refuse(call, failure, recorder)),
        },
    };
    attempt.with_pending_store(keep).serve().await
}

/// The call with the conversation that it continues, and the plan to store its reply.
async fn recall_conversation(
    services: &Arc<Services>,
    mut call: Call,
) -> (Call, Result<Option<Box<PendingStore>>, Failure>) {
    let (services, size) = (Arc::clone(services), recalled_bytes(services, &call));
    let work = move || {
        let keep = recall(&services, &mut call);
        (call, keep)
    };
    offload(size, work).await
}

/// The refusal of a request that is never attempted.
fn refuse(call: Call, failure: Failure, mut recorder: UsageRecorder) -> Refusal {
    recorder.refuse(&failure);
    let head = Head { notes: call.notes, ..Head::default() };
    Refusal { failure, head: Box::new(head) }
}
