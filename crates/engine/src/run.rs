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
pub(crate) mod replay;

use std::sync::Arc;

use crate::call::Call;
use crate::core::Core;
use crate::ledger::Ledger;
use crate::reply::{Head, Refusal, Reply};
use attempt::{Attempt, instead};
pub(crate) use attempt::{fingerprint, models};

/// Serves a request.
pub(crate) async fn run(core: Arc<Core>, call: Call) -> Result<Reply, Refusal> {
    let dialect = call.dialect;
    let mut ledger = Ledger::open(&core, &call);
    core.budget.lock().request(core.now());
    let catalog = core.accounts.catalog();
    let resolved = match catalog.resolve(call.request.model.as_deref(), &core.settings.names) {
        Ok(resolved) => resolved,
        Err(failure) => {
            if let Some(instead) = instead(&core, call.request.model.as_deref()) {
                return Attempt::instead(core, call, (instead, failure), ledger).serve().await;
            }
            ledger.refuse(dialect, &failure);
            let head = Head { notes: call.notes, ..Head::default() };
            return Err(Refusal { failure, head: Box::new(head) });
        }
    };
    drop(catalog);
    ledger.model(&resolved.model.slug);
    Attempt::new(core, call, resolved, ledger).serve().await
}
