//! Device-code logins that the admin API began.

use std::sync::Arc;

use parking_lot::Mutex;
use pool::egress::Egress;
use tokio::time::Instant;
use upstream::Upstream;
use upstream::oauth::{Device, Poll, state};

use super::{LoginProblem, Logins, sign_in, step_by};

/// Device logins that may wait at once; the oldest one gives way.
const MOST: usize = 16;

/// A device login that has begun.
#[derive(Clone, Debug)]
pub struct DeviceStart {
    /// What the person types.
    pub user_code: String,
    /// Where.
    pub page: String,
    /// What its starter polls with.
    pub code: String,
    /// Seconds until it ends.
    pub expires_in: u64,
    /// Seconds between two polls.
    pub interval: u64,
}

/// What a poll came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DevicePoll {
    /// Not typed yet.
    Pending,
    /// Asked again too soon; the provider was not asked.
    SlowDown,
    /// Signed in.
    Done {
        /// The account.
        id: String,
    },
}

/// A device login on its way.
pub(super) struct PendingDevice {
    device: Device,
    /// The way that its calls take, and then its account.
    egress: Option<Egress>,
    begun: Instant,
    /// When the provider was asked last.
    asked: Mutex<Instant>,
    /// Held while the provider is asked; with the account once there is one.
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
            page: device.page.to_string(),
            code: code.clone(),
            expires_in: device.lifetime.as_secs(),
            interval: device.interval.as_secs(),
        };
        let (asked, account) = (Mutex::new(now), tokio::sync::Mutex::default());
        let waiting = PendingDevice { device, egress, begun: now, asked, account };
        let mut devices = self.pending.devices.lock();
        devices.retain(|_, waiting| waiting.begun.elapsed() < waiting.device.lifetime);
        if devices.len() >= MOST {
            let oldest = devices.iter().min_by_key(|(_, waiting)| waiting.begun).map(|(code, _)| code.clone());
            oldest.and_then(|code| devices.remove(&code));
        }
        devices.insert(code, Arc::new(waiting));
        Ok(start)
    }

    /// Asks whether the code was typed, at most as often as the provider wants to be asked.
    pub async fn device_poll(self, code: &str) -> Result<DevicePoll, LoginProblem> {
        let waiting = self.pending.devices.lock().get(code).cloned().ok_or(LoginProblem::NotPending)?;
        if waiting.begun.elapsed() >= waiting.device.lifetime {
            return Err(LoginProblem::NotPending);
        }
        let services = Arc::clone(self.services);
        // A client that leaves must not take the tokens along.
        let work = self.services.runtime.tasks.spawn(async move {
            let mut account = waiting.account.lock().await;
            if let Some(id) = &*account {
                return Ok(DevicePoll::Done { id: id.clone() });
            }
            if waiting.soon() {
                return Ok(DevicePoll::SlowDown);
            }
            let device = &waiting.device;
            let step = |upstream: Upstream| async move { upstream.device_poll(device).await };
            let Poll::Done(grant) = step_by(&services, waiting.egress.as_ref(), step).await? else {
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
    /// Whether the provider was asked less than an interval ago; if not, it is asked now.
    fn soon(&self) -> bool {
        let mut asked = self.asked.lock();
        let soon = asked.elapsed() < self.device.interval;
        if !soon {
            *asked = Instant::now();
        }
        soon
    }
}
