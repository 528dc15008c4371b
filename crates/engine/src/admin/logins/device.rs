//! Device-code logins that the admin API began.

use std::sync::Arc;

use parking_lot::Mutex;
use pool::egress::Egress;
use tokio::time::Instant;
use upstream::Upstream;
use upstream::oauth::{Device, PollOutcome, state};

use super::{LoginProblem, Logins, sign_in, step_by};

/// Most device logins that may wait; a new one removes the oldest.
const MOST: usize = 16;

/// A device login that has begun.
#[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DeviceStarted)]
pub struct DeviceStart {
    /// The code that the person enters.
    pub user_code: String,
    /// The page where the person enters it.
    pub verification_uri: String,
    /// The same page.
    pub verification_uri_complete: String,
    /// The code to poll with.
    pub device_code: String,
    /// Seconds until it ends.
    pub expires_in: u64,
    /// Seconds between two polls.
    pub interval: u64,
}

/// The result of a poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DevicePoll {
    /// The code was not entered yet.
    Pending,
    /// Polled too soon; the provider was not asked.
    SlowDown,
    /// Signed in.
    Done {
        /// The account.
        id: String,
    },
}

/// A device login that waits.
pub(super) struct PendingDevice {
    device: Device,
    /// The egress of its calls and then of its account.
    egress: Option<Egress>,
    begun: Instant,
    /// When the provider was asked last.
    last_poll: Mutex<Instant>,
    /// Held while the provider is asked; holds the account's id once there is one.
    account: tokio::sync::Mutex<Option<String>>,
}

impl Logins<'_> {
    /// Begins a device login.
    pub async fn device_start(self, egress: Option<Egress>) -> Result<DeviceStart, LoginProblem> {
        let step = |upstream: Upstream| async move { upstream.device_start().await };
        let device = self.step_by(egress.as_ref(), step).await?;
        let (code, now) = (state(), Instant::now());
        let start = DeviceStart {
            user_code: device.user_code.clone(),
            verification_uri: device.page.to_string(),
            verification_uri_complete: device.page.to_string(),
            device_code: code.clone(),
            expires_in: device.lifetime.as_secs(),
            interval: device.interval.as_secs(),
        };
        let (last_poll, account) = (Mutex::new(now), tokio::sync::Mutex::default());
        let waiting = PendingDevice { device, egress, begun: now, last_poll, account };
        let mut devices = self.pending.devices.lock();
        devices.retain(|_, waiting| waiting.begun.elapsed() < waiting.device.lifetime);
        if devices.len() >= MOST {
            let oldest = devices.iter().min_by_key(|(_, waiting)| waiting.begun).map(|(code, _)| code.clone());
            oldest.and_then(|code| devices.remove(&code));
        }
        devices.insert(code, Arc::new(waiting));
        Ok(start)
    }

    /// Asks whether the code was entered, at most as often as the provider allows.
    pub async fn device_poll(self, code: &str) -> Result<DevicePoll, LoginProblem> {
        let waiting = self.pending.devices.lock().get(code).cloned().ok_or(LoginProblem::NotPending)?;
        if waiting.begun.elapsed() >= waiting.device.lifetime {
            return Err(LoginProblem::NotPending);
        }
        let services = Arc::clone(self.services);
        // The task stores the tokens also when the client leaves.
        let work = self.services.runtime.tasks.spawn(async move {
            let mut account = waiting.account.lock().await;
            if let Some(id) = &*account {
                return Ok(DevicePoll::Done { id: id.clone() });
            }
            if waiting.is_too_soon() {
                return Ok(DevicePoll::SlowDown);
            }
            let device = &waiting.device;
            let step = |upstream: Upstream| async move { upstream.device_poll(device).await };
            let PollOutcome::Done(grant) = step_by(&services, waiting.egress.as_ref(), step).await? else {
                return Ok(DevicePoll::Pending);
            };
            let put = sign_in(&services, grant, waiting.egress.clone()).await?;
            *account = Some(put.id.0.clone());
            Ok(DevicePoll::Done { id: put.id.0 })
        });
        work.await.unwrap_or(Err(LoginProblem::NotPending))
    }
}

impl PendingDevice {
    /// Whether the provider was asked less than an interval ago; if not, the interval begins now.
    fn is_too_soon(&self) -> bool {
        let mut last_poll = self.last_poll.lock();
        let soon = last_poll.elapsed() < self.device.interval;
        if !soon {
            *last_poll = Instant::now();
        }
        soon
    }
}
