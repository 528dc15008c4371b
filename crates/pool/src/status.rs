//! Whether an account can serve: one enum, whose transitions are named by signals.
//!
//! Signals come from answers (`attempt`), quota figures (`quota`) and people who sign in. Passing states end by
//! themselves when their time is over; no write of `Active` is needed.

mod describe;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::Millis;
use crate::limits;

/// An account's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Status {
    /// Can serve.
    #[default]
    Active,
    /// Rests until an instant after a passing trouble.
    Cooling {
        /// When it may serve again.
        until: Millis,
        /// What happened.
        why: String,
    },
    /// A quota window is used up.
    Exhausted {
        /// When the window resets.
        until: Millis,
        /// `primary`, `secondary` or a named limit.
        window: String,
    },
    /// Its login cannot be refreshed any more. Its access token serves until it ends or is refused.
    Expiring {
        /// What the token endpoint said.
        why: String,
        /// When it serves again: the end of its last rest.
        from: Millis,
        /// When the access token ends.
        until: Millis,
    },
    /// Its login no longer works; a person must sign in again.
    NeedsLogin {
        /// What the token endpoint or backend said.
        why: String,
    },
    /// The provider says that this account may not be used.
    Blocked {
        /// What it said.
        why: String,
    },
    /// Switched off by its owner.
    Disabled,
}

/// An event that may change an account's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Nothing about the account itself.
    None,
    /// It served a request. Apply this signal before the figures of the same answer, which may show that the reply used the quota
    /// up. It does not end a rest: a resting account gets no requests, so the request is older than the refusal.
    Served,
    /// Fresh figures show quota left. Heals `Exhausted` only: a cooling account may still be rate limited.
    Ample,
    /// A person signed in again, or new tokens were imported.
    SignedIn,
    /// Its login cannot be refreshed any more, and its access token was not refused.
    Expiring {
        /// What the token endpoint said.
        why: String,
        /// When the access token ends.
        until: Millis,
    },
    /// Its login is refused for good.
    NeedsLogin {
        /// What the token endpoint or backend said.
        why: String,
    },
    /// A passing trouble.
    Cool {
        /// When it may serve again.
        until: Millis,
        /// What happened.
        why: String,
    },
    /// A quota window is used up.
    Exhaust {
        /// When it resets.
        until: Millis,
        /// `primary`, `secondary`, `credits`, `plan` or a named limit.
        window: String,
    },
    /// Figures that are newer than the last refusal show a used-up window. Their end replaces that of the refusal.
    Measured {
        /// When it resets.
        until: Millis,
        /// `primary` or `secondary`.
        window: String,
    },
    /// The limit of one model is used up; the account serves its other models. No change of state.
    ModelExhausted {
        /// When it resets.
        until: Millis,
        /// The limit's id (`codex_bengalfox`).
        limit: String,
    },
    /// The provider refuses the account itself.
    Block {
        /// What it said.
        why: String,
    },
    /// The account does not have the model although its catalogue lists it. The model is left out of that catalogue until the next
    /// one arrives. No change of state.
    ModelMissing,
}

/// Why an account does not serve a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// [`Status::Cooling`], and the time is not over.
    Cooling {
        /// When it may serve again.
        until: Millis,
        /// What happened.
        why: String,
    },
    /// [`Status::Exhausted`], and the window has not reset.
    Exhausted {
        /// When the window resets.
        until: Millis,
        /// Which window.
        window: String,
    },
    /// [`Status::NeedsLogin`].
    NeedsLogin {
        /// What was said.
        why: String,
    },
    /// [`Status::Blocked`].
    Blocked {
        /// What was said.
        why: String,
    },
    /// [`Status::Disabled`].
    Disabled,
    /// The egress route that its owner chose is unavailable. No other route is taken.
    NoEgress {
        /// When it may be available again; `None` when only the owner can fix it.
        until: Option<Millis>,
        /// What is wrong with it.
        why: String,
    },
    /// Its catalogue does not list the model.
    NoModel,
    /// Its plan cannot draw.
    NoImages,
    /// This request has tried it already.
    Tried,
    /// All its places and its whole queue are taken.
    Full,
    /// Its breaker is open ([`crate::breaker`]).
    Failing {
        /// When one call may try it again.
        until: Millis,
    },
}

/// When a status allows an account to serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// Now.
    Open,
    /// From this instant.
    Until(Millis),
    /// From the first instant until the second.
    Between(Millis, Millis),
    /// Not before a person changes the status.
    Shut,
}

impl Availability {
    /// Whether it is open at `now`.
    #[must_use]
    pub fn open(self, now: Millis) -> bool {
        match self {
            Self::Open => true,
            Self::Until(until) => rested(until, now),
            Self::Between(from, until) => rested(from, now) && now < until,
            Self::Shut => false,
        }
    }
}

impl Signal {
    /// The end of the rest that it causes.
    fn rest(&self) -> Option<Millis> {
        match self {
            Self::Cool { until, .. } | Self::Exhaust { until, .. } | Self::Measured { until, .. } => Some(*until),
            _ => None,
        }
    }
}

impl Status {
    /// The state after `signal` at `now`.
    ///
    /// No signal of the provider changes `Disabled`. `Expiring` takes rests, and a refusal turns it into `NeedsLogin`. `Blocked` and
    /// `NeedsLogin` end only when a person signs in, so a late answer or quota figure never brings such an account back. The later end
    /// of two rests wins, so concurrent refusals never shorten each other; only newer figures shorten the rest of a refusal. Ends are
    /// clamped to [`limits::RESET_MAX`].
    #[must_use]
    pub fn apply(&self, signal: &Signal, now: Millis) -> Self {
        match (self, signal) {
            (Self::Disabled, _)
            | (_, Signal::None | Signal::ModelMissing | Signal::ModelExhausted { .. })
            | (Self::Exhausted { .. }, Signal::SignedIn) => self.clone(),
            (_, Signal::SignedIn) => Self::Active,
            (Self::Blocked { .. }, _) => self.clone(),
            (_, Signal::Block { why }) => Self::Blocked { why: why.clone() },
            (Self::NeedsLogin { .. }, _) => self.clone(),
            (_, Signal::NeedsLogin { why }) => Self::NeedsLogin { why: why.clone() },
            (Self::Expiring { .. }, _) => self.rests_while_expiring(signal, now),
            (_, Signal::Expiring { why, until }) => {
                Self::Expiring { why: why.clone(), from: self.end().unwrap_or(now), until: *until }
            }
            (_, Signal::Served) if !self.serves(now) => self.clone(),
            (_, Signal::Served) | (Self::Exhausted { .. }, Signal::Ample) => Self::Active,
            (_, Signal::Ample) => self.clone(),
            (_, Signal::Cool { until, why }) => {
                self.later(Self::Cooling { until: (*until).min(latest(now)), why: why.clone() }, now)
            }
            (Self::Exhausted { .. }, Signal::Measured { until, window }) => {
                Self::Exhausted { until: (*until).min(latest(now)), window: window.clone() }
            }
            (_, Signal::Exhaust { until, window } | Signal::Measured { until, window }) => {
                self.later(Self::Exhausted { until: (*until).min(latest(now)), window: window.clone() }, now)
            }
        }
    }

    /// Applies a rest to an expiring account. It serves after the rest until its access token ends.
    fn rests_while_expiring(&self, signal: &Signal, now: Millis) -> Self {
        let (Self::Expiring { why, from, until: end }, Some(rest)) = (self, signal.rest()) else { return self.clone() };
        let from = if rested(*from, now) { rest } else { rest.max(*from) }.min(latest(now));
        Self::Expiring { why: why.clone(), from, until: *end }
    }

    /// Whether the account may serve at `now`.
    pub fn serves(&self, now: Millis) -> bool {
        self.availability().open(now)
    }

    /// When the account may serve.
    pub fn availability(&self) -> Availability {
        match self {
            Self::Active => Availability::Open,
            Self::Cooling { until, .. } | Self::Exhausted { until, .. } => Availability::Until(*until),
            Self::Expiring { from, until, .. } => Availability::Between(*from, *until),
            Self::NeedsLogin { .. } | Self::Blocked { .. } | Self::Disabled => Availability::Shut,
        }
    }

    /// Whether only a person ends it.
    pub fn needs_person(&self) -> bool {
        matches!(self, Self::NeedsLogin { .. } | Self::Blocked { .. } | Self::Disabled)
    }

    /// Whether its tokens may be refreshed: the account is not switched off or blocked, and its login was not refused.
    pub fn refreshes(&self) -> bool {
        !self.needs_person() && !matches!(self, Self::Expiring { .. })
    }

    /// A notice for the owner although the account serves at `now`.
    pub fn notice(&self, now: Millis) -> Option<String> {
        match self {
            Self::Expiring { why, until, .. } if *until > now => {
                Some(format!("needs a new login: {why}; its access token serves for {} more", Span(now.until(*until))))
            }
            _ => None,
        }
    }

    /// `Ok` when the account may serve at `now`, else the reason.
    pub fn usable(&self, now: Millis) -> Result<(), Reason> {
        match self {
            _ if self.serves(now) => Ok(()),
            Self::Active => Ok(()),
            Self::Cooling { until, why } => Err(Reason::Cooling { until: *until, why: why.clone() }),
            Self::Exhausted { until, window } => Err(Reason::Exhausted { until: *until, window: window.clone() }),
            Self::Expiring { why, from, until } if now < *until => {
                Err(Reason::Cooling { until: *from, why: format!("it rests, and needs a new login: {why}") })
            }
            Self::Expiring { why, .. } | Self::NeedsLogin { why } => Err(Reason::NeedsLogin { why: why.clone() }),
            Self::Blocked { why } => Err(Reason::Blocked { why: why.clone() }),
            Self::Disabled => Err(Reason::Disabled),
        }
    }

    /// One word for lists and logs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Cooling { .. } => "cooling",
            Self::Exhausted { .. } => "exhausted",
            Self::Expiring { .. } => "expiring",
            Self::NeedsLogin { .. } => "needs_login",
            Self::Blocked { .. } => "blocked",
            Self::Disabled => "disabled",
        }
    }

    fn end(&self) -> Option<Millis> {
        match self {
            Self::Cooling { until, .. } | Self::Exhausted { until, .. } => Some(*until),
            _ => None,
        }
    }

    fn later(&self, new: Self, now: Millis) -> Self {
        let keeps = self.end().is_some_and(|end| !rested(end, now) && Some(end) > new.end());
        if keeps { self.clone() } else { new }
    }
}

/// The latest end of a rest that begins at `now`.
fn latest(now: Millis) -> Millis {
    now.plus(i64::try_from(limits::RESET_MAX.as_millis()).unwrap_or(i64::MAX))
}

/// Whether a rest that ends at `until` is over. An end beyond the longest rest can only come from a clock that was set back, and
/// counts as over.
fn rested(until: Millis, now: Millis) -> bool {
    until <= now || until > latest(now)
}

impl Reason {
    /// When this reason ends by itself; `None` when it does not.
    pub fn until(&self) -> Option<Millis> {
        match self {
            Self::Cooling { until, .. } | Self::Exhausted { until, .. } | Self::Failing { until } => Some(*until),
            Self::NoEgress { until, .. } => *until,
            _ => None,
        }
    }

    /// One word for programs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Cooling { .. } => "cooling",
            Self::Exhausted { .. } => "exhausted",
            Self::NeedsLogin { .. } => "needs_login",
            Self::Blocked { .. } => "blocked",
            Self::Disabled => "disabled",
            Self::NoModel => "no_model",
            Self::NoImages => "no_images",
            Self::Tried => "tried",
            Self::Full => "full",
            Self::Failing { .. } => "failing",
            Self::NoEgress { .. } => "no_way",
        }
    }

    /// The reason for people, with the time left.
    pub fn describe(&self, now: Millis) -> String {
        match self {
            Self::Cooling { until, why } => format!("cooling down for {}: {why}", Span(now.until(*until))),
            Self::Exhausted { until, window } => {
                format!("{window} quota used up, resets in {}", Span(now.until(*until)))
            }
            Self::NeedsLogin { why } => format!("needs a new login: {why}"),
            Self::Blocked { why } => format!("blocked by the provider: {why}"),
            Self::Disabled => "switched off".into(),
            Self::NoEgress { why, .. } => why.clone(),
            Self::NoModel => "does not list this model".into(),
            Self::NoImages => "its plan has no images".into(),
            Self::Tried => "already tried for this request".into(),
            Self::Full => "busy, and its queue is full".into(),
            Self::Failing { until } => format!("its last calls failed, tried again in {}", Span(now.until(*until))),
        }
    }
}

/// Milliseconds for people: the two largest units, rounded up to a second.
pub(crate) struct Span(pub(crate) u64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.div_ceil(1000);
        let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
        match (days, hours, minutes) {
            (0, 0, 0) => write!(f, "{seconds} s"),
            (0, 0, _) => write!(f, "{minutes} min {} s", seconds % 60),
            (0, _, _) => write!(f, "{hours} h {minutes} min"),
            _ => write!(f, "{days} d {hours} h"),
        }
    }
}
