//! One request, from call to reply.
//!
//! [`attempt::Attempt`] is a request that may still be tried again; it ends in [`committed::Committed`], which has no way
//! back. In between lies the commit barrier: nothing goes to the client, no status either, before the first real event or
//! the end of `settings.commit`.

mod attempt;
mod choice;
mod committed;
mod opening;
pub(crate) mod post;
mod prewarm;
pub(crate) mod replay;

use std::sync::Arc;

use proto::Failure;
use upstream::offload;

use crate::call::Call;
use crate::core::Core;
use crate::ledger::Ledger;
use crate::reply::{Head, Refusal, Reply};
use crate::stored::{Keep, recall, recalled_bytes};
use attempt::{Attempt, instead};
pub(crate) use attempt::{fingerprint, models};

/// Serves a request.
pub(crate) async fn run(core: Arc<Core>, call: Call) -> Result<Reply, Refusal> {
    if call.request.reply.prewarm {
        return prewarm::run(core, call).await;
    }
    let mut ledger = Ledger::open(&core, &call);
    core.budget.lock().request(core.now());
    let (call, keep) = recalled(&core, call).await;
    let keep = match keep {
        Ok(keep) => keep,
        Err(failure) => return Err(refuse(call, failure, ledger)),
    };
    let catalog = core.accounts.catalog();
    let resolved = catalog.resolve(call.request.model.as_deref(), &core.settings.names);
    drop(catalog);
    let attempt = match resolved {
        Ok(resolved) => {
            ledger.model(&resolved.model.slug);
            core.retired.asked(&resolved, &call.key, core.now());
            Attempt::new(core, call, resolved, ledger)
        }
        Err(failure) => match instead(&core, call.request.model.as_deref()) {
            Some(instead) => Attempt::instead(core, call, (instead, failure), ledger),
            None => return Err(refuse(call, failure, ledger)),
        },
    };
    attempt.keeping(keep).serve().await
}

/// The call with the conversation that it goes on from, and what will be kept of its reply.
async fn recalled(core: &Arc<Core>, mut call: Call) -> (Call, Result<Option<Box<Keep>>, Failure>) {
    let (core, size) = (Arc::clone(core), recalled_bytes(core, &call));
    let work = move || {
        let keep = recall(&core, &mut call);
        (call, keep)
    };
    offload(size, work).await
}

/// The answer to a request that is not tried at all.
fn refuse(call: Call, failure: Failure, mut ledger: Ledger) -> Refusal {
    ledger.refuse(call.dialect, &failure);
    let head = Head { notes: call.notes, ..Head::default() };
    Refusal { failure, head: Box::new(head) }
}
