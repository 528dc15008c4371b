//! Named gates: an answer waits at a gate until a test opens the gate.

use std::collections::HashSet;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::plan::Wait;

#[derive(Default)]
pub(crate) struct Gates {
    open: Mutex<HashSet<String>>,
    changed: Notify,
}

impl Gates {
    pub(crate) fn release(&self, name: &str) {
        self.open.lock().insert(name.to_owned());
        self.changed.notify_waiters();
    }

    pub(crate) fn reset(&self) {
        self.open.lock().clear();
    }

    /// Returns when the wait is over; never for [`Wait::Forever`].
    pub(crate) async fn pass(&self, wait: &Wait) {
        match wait {
            Wait::Millis(time) => tokio::time::sleep(std::time::Duration::from_millis(*time)).await,
            Wait::Forever => std::future::pending().await,
            Wait::Gate(name) => loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if self.open.lock().contains(name) {
                    return;
                }
                changed.await;
            },
        }
    }
}
