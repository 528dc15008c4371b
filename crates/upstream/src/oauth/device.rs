//! Device-code login: the user types a code on another machine.

use std::time::Duration;

use pool::Secret;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::reply::clean;
use super::token::{AuthReply, require_success, unexpected};
use super::{Grant, LoginError};
use crate::{Sent, Upstream};

/// The provider's own limit.
const LIFETIME: Duration = Duration::from_mins(15);

/// A started device login.
#[derive(Clone, Debug)]
pub struct Device {
    /// The code that the user types.
    pub user_code: String,
    /// The page where the user types the code.
    pub page: Url,
    /// The time between two polls, 1 to 60 s.
    pub interval: Duration,
    /// How long the code is valid.
    pub lifetime: Duration,
    id: Secret,
}

/// A poll's outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PollOutcome {
    /// Not yet.
    Pending,
    /// Signed in.
    Done(Grant),
}

#[derive(Serialize)]
struct StartRequest<'a> {
    client_id: &'a str,
}

#[derive(Serialize)]
struct PollRequest<'a> {
    device_auth_id: &'a str,
    user_code: &'a str,
}

#[derive(Deserialize)]
struct StartReply {
    device_auth_id: String,
    // Both spellings occur, but not together.
    #[serde(alias = "usercode")]
    user_code: String,
    // A number in a string; a plain number is accepted too.
    #[serde(default)]
    interval: Value,
}

#[derive(Deserialize)]
struct AuthorizedCode {
    authorization_code: String,
    code_verifier: String,
}

impl Upstream {
    /// Requests a code for the user to type.
    pub async fn device_start(&self) -> Result<Device, LoginError> {
        let start = StartRequest { client_id: &self.config().client_id };
        let reply = self.post_json(&self.endpoints().device_code, &start).await?;
        if reply.status == 404 {
            return Err(LoginError::DeviceDisabled);
        }
        let started: StartReply = read(&require_success(reply)?)?;
        Ok(Device {
            user_code: clean(&started.user_code),
            page: self.endpoints().device_page.clone(),
            interval: interval(&started.interval),
            lifetime: LIFETIME,
            id: Secret::new(started.device_auth_id),
        })
    }

    /// Asks once whether the user has typed the code, and if so exchanges the code at once. The caller waits `interval` between calls and
    /// stops after `lifetime`.
    pub async fn device_poll(&self, device: &Device) -> Result<PollOutcome, LoginError> {
        match self.poll_code(device).await? {
            Some(typed) => self.exchange_code(typed).await.map(PollOutcome::Done),
            None => Ok(PollOutcome::Pending),
        }
    }

    /// Polls until signed in, refused, or the code's lifetime is over.
    pub async fn device_wait(&self, device: &Device) -> Result<Grant, LoginError> {
        let polls = async {
            loop {
                tokio::time::sleep(device.interval).await;
                match self.poll_code(device).await {
                    Ok(Some(typed)) => return self.exchange_code(typed).await,
                    Err(error) if !is_transient(&error) => return Err(error),
                    Ok(None) | Err(_) => {}
                }
            }
        };
        tokio::time::timeout(device.lifetime, polls).await.unwrap_or(Err(LoginError::Expired))
    }

    async fn poll_code(&self, device: &Device) -> Result<Option<AuthorizedCode>, LoginError> {
        let outbound = PollRequest { device_auth_id: device.id.expose(), user_code: &device.user_code };
        let reply = self.post_json(&self.endpoints().device_token, &outbound).await?;
        match reply.status {
            403 | 404 => Ok(None),
            410 => Err(LoginError::Expired),
            _ => read(&require_success(reply)?).map(Some),
        }
    }

    async fn exchange_code(&self, typed: AuthorizedCode) -> Result<Grant, LoginError> {
        let (code, verifier) = (Secret::new(typed.authorization_code), Secret::new(typed.code_verifier));
        self.exchange(&code, &verifier, self.endpoints().device_redirect.as_str()).await
    }
}

/// Whether the next poll may succeed. A poll changes nothing, so it can be repeated even if its answer was lost.
fn is_transient(error: &LoginError) -> bool {
    match error {
        LoginError::Failed { sent, .. } => *sent != Sent::Yes,
        LoginError::Refused { status, .. } => *status == 429 || *status >= 500,
        _ => false,
    }
}

fn read<'a, T: Deserialize<'a>>(reply: &'a AuthReply) -> Result<T, LoginError> {
    serde_json::from_slice(&reply.body).map_err(|_| unexpected("not the fields of a device login"))
}

fn interval(value: &Value) -> Duration {
    let seconds = value.as_u64().or_else(|| value.as_str()?.trim().parse().ok()).unwrap_or(5);
    Duration::from_secs(seconds.clamp(1, 60))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_interval_is_read_either_way_and_bounded() {
        let cases =
            [(json!("7"), 7), (json!(9), 9), (json!(null), 5), (json!("x"), 5), (json!(0), 1), (json!("9999"), 60)];
        for (value, seconds) in cases {
            assert_eq!(interval(&value), Duration::from_secs(seconds), "{value}");
        }
    }
}
