//! What an account is. Claims from its tokens (e-mail, plan) are display strings; they never grant anything.

use std::fmt;

use crate::Millis;
use crate::quota::Quota;
use crate::secret::Secret;
use crate::status::Status;

/// Our own id of an account: UUID v7 text.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(transparent)]
pub struct AccountId(pub String);

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An account without its secrets.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// Our id.
    pub id: AccountId,
    /// Name shown to people; e-mail at first.
    pub label: String,
    /// E-mail claim, empty when unknown.
    pub email: String,
    /// Plan claim (`plus`, `pro`, ...), empty when unknown; unknown values are kept.
    pub plan: String,
    /// The `chatgpt-account-id` header's value. With `user`, it makes an account unique.
    pub upstream_id: String,
    /// ChatGPT user id claim, empty when unknown. Two users may share one workspace `upstream_id`.
    pub user: String,
    /// Whether the workspace is a FedRAMP one.
    pub fedramp: bool,
    /// Whether it can serve, and if not why.
    pub status: Status,
    /// Last known quota.
    pub quota: Quota,
    /// The limits that its owner set.
    pub limits: AccountLimits,
    /// When it was added.
    pub created: Millis,
    /// Grows with every write of its row; fences late writers.
    pub version: i64,
    /// Grows with every write of the status, a sign-in included; fences results that were learned under an older status.
    pub status_rev: i64,
}

impl Account {
    /// Whether the plan can draw. The backend drops the image tool for other plans without a notice. An unknown plan counts as able.
    pub fn draws(&self) -> bool {
        !PLAIN.iter().any(|plan| self.plan.eq_ignore_ascii_case(plan))
    }
}

/// Plans without images (icebear0828/codex-proxy's account tests, 2026; `guest` and `free_workspace` are kinds of free plans).
const PLAIN: [&str; 3] = ["free", "guest", "free_workspace"];

/// The limits that an owner set for an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountLimits {
    /// Requests at a time; 0 is no limit, `None` leaves it to the settings.
    pub max_concurrent: Option<u32>,
    /// Accounts with a lower number serve first; at most [`PRIORITY`] away from 0.
    pub priority: i32,
}

/// The largest priority; the smallest is its opposite.
pub const PRIORITY: i32 = 1000;
/// The highest ceiling of requests at a time.
pub const CEILING: u32 = 100_000;

/// Why limits are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLimits {
    /// The ceiling is too high.
    #[error("{0} requests at a time are too many; hint: 0 to 100000, 0 is no limit")]
    Ceiling(u32),
    /// The priority is out of bounds.
    #[error("the priority {0} is out of bounds; hint: -1000 to 1000, lower serves first")]
    Priority(i32),
}

impl AccountLimits {
    /// Checks that the limits are within bounds. Errors: [`InvalidLimits`] for the first that is not.
    pub fn check(self) -> Result<Self, InvalidLimits> {
        match self {
            Self { max_concurrent: Some(most), .. } if most > CEILING => Err(InvalidLimits::Ceiling(most)),
            Self { priority, .. } if !(-PRIORITY..=PRIORITY).contains(&priority) => {
                Err(InvalidLimits::Priority(priority))
            }
            sound => Ok(sound),
        }
    }
}

/// An account's secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// Bearer for the backend.
    pub access: Secret,
    /// Single-use; `None` for an account added by access token.
    pub refresh: Option<Secret>,
    /// Identity token, where known.
    pub id: Option<Secret>,
    /// `exp` of the access token; `None` when unreadable.
    pub expires: Option<Millis>,
    /// When the tokens were last refreshed or imported.
    pub refreshed: Millis,
}
