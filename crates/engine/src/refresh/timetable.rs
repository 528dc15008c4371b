//! Refreshes tokens before requests need it.

use std::sync::Arc;
use std::time::Duration;

use pool::{AccountId, Millis, Status};
use upstream::oauth::RefreshReason;

use super::Wish;
use crate::accounts::Entry;
use crate::core::Core;

/// The wall clock may jump (sleep, correction): it is looked at this often.
const LOOK: Duration = Duration::from_secs(30);

/// Starts refreshes when they are due, until the engine stops.
pub(crate) async fn keep_fresh(core: Arc<Core>) {
    loop {
        let now = core.now();
        let mut next = now.plus(i64::try_from(LOOK.as_millis()).unwrap_or(i64::MAX));
        for entry in core.accounts.list().iter() {
            match core.due(entry) {
                Some(due) if due <= now => core.start(&entry.account.id, entry),
                Some(due) => next = next.min(due),
                None => {}
            }
        }
        let pause = Duration::from_millis(now.until(next).max(1));
        tokio::select! {
            () = core.stop.cancelled() => return,
            () = core.accounts.rescheduled.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

impl Core {
    /// When the account's tokens are due; `None` when nothing is to be done.
    fn due(&self, entry: &Entry) -> Option<Millis> {
        let over =
            matches!(entry.account.status, Status::Disabled | Status::NeedsLogin { .. } | Status::Blocked { .. });
        let id = &entry.account.id;
        if over || self.refresh.flying(id) {
            return None;
        }
        let due = pool::refresh::due(entry.tokens.as_deref()?, entry.jitter)?;
        let due = self.refresh.pause(id).map_or(due, |pause| due.max(pause.until));
        // Until its way is open again, which is told, or is worth a try.
        let (now, table) = (self.now(), self.egress.table());
        let look = now.plus(i64::try_from(LOOK.as_millis()).unwrap_or(i64::MAX));
        Some(table.stuck(id, now).map_or(due, |stuck| due.max(stuck.until().unwrap_or(look))))
    }

    /// The flight belongs to its own task; whoever wants its result asks for it.
    fn start(self: &Arc<Self>, id: &AccountId, entry: &Entry) {
        if let Some(tokens) = &entry.tokens {
            drop(self.renew(id, Wish::of(tokens, RefreshReason::ProactiveExpiry)));
        }
    }
}
