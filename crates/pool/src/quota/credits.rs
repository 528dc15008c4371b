//! Reset credits: each sets used-up windows back to zero, once.

#[cfg(test)]
mod tests;

use serde::Deserialize;

use super::TEXT;
use crate::lenient::{self, Number};
use crate::sanitize::short;

/// Most credits that are read.
const MOST: usize = 64;
/// Longest description, bytes.
const WORDS: usize = 512;

/// The reset credits of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct ResetCredits {
    /// How many can be consumed.
    pub available_count: u64,
    /// All of them, consumed ones too, as the provider lists them; at most 64.
    pub credits: Vec<ResetCredit>,
    /// When the next of the available ones ends, as the provider writes it.
    pub next_expires_at: Option<String>,
}

/// One reset credit. Instants are texts as the provider writes them (RFC 3339).
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct ResetCredit {
    /// The provider's id.
    #[serde(deserialize_with = "text")]
    pub id: String,
    /// `available`, `redeemed`, ...
    #[serde(deserialize_with = "text")]
    pub status: String,
    /// Which windows it resets.
    #[serde(deserialize_with = "lenient::field")]
    pub reset_type: Option<String>,
    /// When it was given.
    #[serde(deserialize_with = "lenient::field")]
    pub granted_at: Option<String>,
    /// When it ends.
    #[serde(deserialize_with = "lenient::field")]
    pub expires_at: Option<String>,
    /// When it was consumed.
    #[serde(deserialize_with = "lenient::field")]
    pub redeemed_at: Option<String>,
    /// For people.
    #[serde(deserialize_with = "lenient::field")]
    pub title: Option<String>,
    /// For people.
    #[serde(deserialize_with = "lenient::field")]
    pub description: Option<String>,
}

/// What consuming a credit came to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Redeemed {
    /// Windows are back at zero.
    Reset {
        /// How many.
        windows: u64,
    },
    /// No window was used up; the credit is still there.
    NothingToReset,
    /// There is no credit.
    NoCredit,
    /// This very request was carried out before.
    AlreadyRedeemed,
    /// A code that is not known here.
    Other {
        /// The code.
        outcome: String,
        /// The same code under the earlier name of `outcome`. Use `outcome`.
        said: String,
    },
}

#[derive(Deserialize)]
struct CreditsBody {
    credits: Vec<ResetCredit>,
    #[serde(default, deserialize_with = "lenient::field")]
    available_count: Option<Number>,
}

#[derive(Deserialize)]
struct Reply {
    code: String,
    #[serde(default, deserialize_with = "lenient::field")]
    windows_reset: Option<Number>,
}

impl ResetCredits {
    /// From the body of `GET /wham/rate-limit-reset-credits`; `None` when it is no such list.
    pub fn read(body: &[u8]) -> Option<Self> {
        let list: CreditsBody = serde_json::from_slice(body).ok()?;
        let credits: Vec<_> = list.credits.into_iter().take(MOST).map(ResetCredit::bounded).collect();
        let available = || credits.iter().filter(|credit| credit.status == "available");
        let counted = || u64::try_from(available().count()).unwrap_or(0);
        Some(Self {
            available_count: list.available_count.and_then(Number::count).unwrap_or_else(counted),
            // Texts of one form (RFC 3339, UTC) sort as their instants do.
            next_expires_at: available().filter_map(|credit| credit.expires_at.clone()).min(),
            credits,
        })
    }
}

impl ResetCredit {
    fn bounded(self) -> Self {
        let cut = |text: Option<String>, most| text.map(|text| short(&text, most));
        Self {
            id: short(&self.id, WORDS),
            status: short(&self.status, TEXT),
            reset_type: cut(self.reset_type, TEXT),
            granted_at: cut(self.granted_at, TEXT),
            expires_at: cut(self.expires_at, TEXT),
            redeemed_at: cut(self.redeemed_at, TEXT),
            title: cut(self.title, WORDS),
            description: cut(self.description, WORDS),
        }
    }
}

impl Redeemed {
    /// From the body of `POST /wham/rate-limit-reset-credits/consume`; `None` when it says no code.
    pub fn read(body: &[u8]) -> Option<Self> {
        let reply: Reply = serde_json::from_slice(body).ok()?;
        Some(match reply.code.as_str() {
            "reset" => Self::Reset { windows: reply.windows_reset.and_then(Number::count).unwrap_or(0) },
            "nothing_to_reset" => Self::NothingToReset,
            "no_credit" => Self::NoCredit,
            "already_redeemed" => Self::AlreadyRedeemed,
            other => {
                let outcome = short(other, TEXT);
                Self::Other { said: outcome.clone(), outcome }
            }
        })
    }

    /// Whether windows are back at zero, now or since the same request before.
    pub fn done(&self) -> bool {
        matches!(self, Self::Reset { .. } | Self::AlreadyRedeemed)
    }

    /// For people.
    pub fn describe(&self) -> String {
        match self {
            Self::Reset { windows: 1 } => "one window is back at zero".into(),
            Self::Reset { windows } => format!("{windows} windows are back at zero"),
            Self::NothingToReset => "nothing to reset: no window is used up, and the credit is still there".into(),
            Self::NoCredit => "there is no reset credit".into(),
            Self::AlreadyRedeemed => "this request was carried out before; no further credit was consumed".into(),
            Self::Other { outcome, .. } => format!("the provider answered {outcome:?}"),
        }
    }
}

/// Text, empty when it is of another type.
fn text<'de, D: serde::Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(lenient::field(from)?.unwrap_or_default())
}
