//! The base of every part of the engine: the store, the backend, the settings, the clocks and the tasks.

use pool::Millis;
use store::Store;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use upstream::Upstream;

use crate::clock::{Clock, Skew};
use crate::settings::Settings;

/// Shared by all owners; holds no state of accounts or requests.
pub(crate) struct Runtime {
    pub(crate) store: Store,
    pub(crate) upstream: Upstream,
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
    pub(crate) skew: Skew,
    /// Owns every task.
    pub(crate) tasks: TaskTracker,
    /// Ends the background tasks.
    pub(crate) stop: CancellationToken,
}

impl Runtime {
    /// No task runs yet. The backend's clock is learned from the `Date` of its answers.
    pub(crate) fn new(store: Store, upstream: Upstream, settings: Settings, clock: Clock) -> Self {
        let skew = Skew::default();
        let (learner, wall, send_clock) = (skew.clone(), clock.clone(), clock.clone());
        upstream.on_date(move || send_clock.now(), move |date, sent_at| learner.learn(date, (sent_at, wall.now())));
        Self { store, upstream, settings, clock, skew, tasks: TaskTracker::new(), stop: CancellationToken::new() }
    }

    /// Runs a job in a task of its own, which is dropped at its next wait once the engine stops.
    pub(crate) fn spawn_job(&self, job: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(self.stop.clone().run_until_cancelled_owned(job));
    }

    /// The time of day.
    pub(crate) fn now(&self) -> Millis {
        self.clock.now()
    }

    /// The time of day at the backend. The ends of tokens are judged by it: the backend's clock wrote them.
    pub(crate) fn backend_now(&self) -> Millis {
        self.skew.to_backend(self.now())
    }
}
