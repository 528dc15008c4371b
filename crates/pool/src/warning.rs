//! When an owner is warned: the used share of a window passes a threshold, or only a person can bring an account back.
//!
//! Each warning is issued once per window and threshold, and again after a reset. Issued warnings are data ([`Issued`]) that survives
//! a restart.

#[cfg(test)]
mod tests;

use crate::Millis;
use crate::account::{Account, AccountId};
use crate::quota::{Quota, Window};
use crate::status::{Span, Status};

/// Tolerance for equal reset instants, milliseconds: spans come in seconds, and answers take time.
const SLACK: u64 = 60_000;
/// Points by which a share must fall below a threshold before that threshold counts again: less is rounding.
const FALL: f64 = 5.0;
/// From this threshold on a warning is urgent, percent.
const URGENT: u8 = 95;

/// Which of an account's windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = WindowName)]
pub enum WindowKind {
    /// The first.
    Primary,
    /// The second.
    Secondary,
}

/// Used shares at which a warning is issued, percent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Of the first window.
    pub primary: Vec<u8>,
    /// Of the second window.
    pub secondary: Vec<u8>,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { primary: vec![80, 95], secondary: vec![80, 95] }
    }
}

/// A warning.
#[derive(Clone, Debug, PartialEq, serde::Serialize, utoipa::ToSchema)]
pub struct Warning {
    /// Whose.
    pub account: AccountId,
    /// The account's name for people.
    pub label: String,
    /// What about.
    #[serde(flatten)]
    pub what: What,
    /// When it was given.
    pub at: Millis,
}

/// What a warning is about.
#[derive(Clone, Debug, PartialEq, serde::Serialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schema(as = WarningKind)]
pub enum What {
    /// A window's share has passed a threshold.
    Quota {
        /// Which window.
        window: WindowKind,
        /// Its length.
        minutes: Option<u32>,
        /// The threshold, percent.
        threshold: u8,
        /// The share, percent.
        used_percent: f64,
        /// When it resets.
        resets_at: Option<Millis>,
    },
    /// The account must be signed in again.
    NeedsLogin {
        /// Why.
        why: String,
        /// Until when its access token serves all the same.
        #[serde(skip_serializing_if = "Option::is_none")]
        until: Option<Millis>,
    },
    /// The provider refuses the account.
    Blocked {
        /// What it said.
        why: String,
    },
}

/// The issued warnings of one account that still hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Issued {
    #[serde(skip_serializing_if = "Option::is_none")]
    primary: Option<LastThreshold>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secondary: Option<LastThreshold>,
    /// `needs_login` or `blocked`.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
}

/// The last threshold that was reported, and its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct LastThreshold {
    threshold: u8,
    resets_at: Option<Millis>,
    /// When the figures that passed the threshold were learned; 0 where an earlier version stored none.
    #[serde(default)]
    learned: Millis,
}

/// Every current warning of an account, issued or not: the highest threshold of each window, and its state.
pub fn standing(account: &Account, thresholds: &Thresholds, now: Millis) -> Vec<Warning> {
    let of = |what| Warning { account: account.id.clone(), label: account.label.clone(), what, at: now };
    let windows = match account.status {
        Status::Disabled => [None, None],
        _ => [WindowKind::Primary, WindowKind::Secondary].map(|kind| passed(kind, &account.quota, thresholds, now)),
    };
    let state = match &account.status {
        Status::NeedsLogin { why } => Some(What::NeedsLogin { why: why.clone(), until: None }),
        Status::Expiring { why, until, .. } => Some(What::NeedsLogin { why: why.clone(), until: Some(*until) }),
        Status::Blocked { why } => Some(What::Blocked { why: why.clone() }),
        _ => None,
    };
    windows.into_iter().flatten().chain(state).map(of).collect()
}

/// The warnings to issue now; updates `issued`, the warnings issued before. Nodes that share `issued` may have figures of different
/// age: older figures move no reset instant, and only newer figures show that a share has fallen.
pub fn newly_due(issued: &mut Issued, account: &Account, thresholds: &Thresholds, now: Millis) -> Vec<Warning> {
    for kind in [WindowKind::Primary, WindowKind::Secondary] {
        let window = kind.window(&account.quota);
        let last = issued.last(kind);
        if last.is_some_and(|last| last.was_reset(window, account.quota.updated, now)) {
            *last = None;
        }
        if let (Some(last), Some(window)) = (last, window)
            && account.quota.updated >= last.learned.believed(now)
        {
            last.follow(window.resets_at);
        }
    }
    let state = matches!(account.status, Status::Expiring { .. } | Status::NeedsLogin { .. } | Status::Blocked { .. });
    let state = state.then(|| account.status.as_str().to_owned());
    let entered = state.is_some() && issued.state != state;
    issued.state = state;
    let mut warnings = standing(account, thresholds, now);
    warnings.retain(|warning| match warning.what {
        What::Quota { window, threshold, resets_at, .. } => {
            let passed = LastThreshold { threshold, resets_at, learned: account.quota.updated };
            issued.record(window, passed)
        }
        What::NeedsLogin { .. } | What::Blocked { .. } => entered,
    });
    warnings
}

/// The highest threshold that a window has passed.
fn passed(kind: WindowKind, quota: &Quota, thresholds: &Thresholds, now: Millis) -> Option<What> {
    let window = kind.window(quota)?;
    let used_percent = window.used(now);
    let own = match kind {
        WindowKind::Primary => &thresholds.primary,
        WindowKind::Secondary => &thresholds.secondary,
    };
    let threshold = own.iter().copied().filter(|threshold| used_percent >= f64::from(*threshold)).max()?;
    let (minutes, resets_at) = (window.minutes, window.resets_at);
    Some(What::Quota { window: kind, minutes, threshold, used_percent, resets_at })
}

impl WindowKind {
    fn window(self, quota: &Quota) -> Option<Window> {
        match self {
            Self::Primary => quota.primary,
            Self::Secondary => quota.secondary,
        }
    }

    /// One word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
        }
    }
}

impl LastThreshold {
    /// Takes over a reset instant that has moved.
    fn follow(&mut self, resets_at: Option<Millis>) {
        if !self.resets_at.zip(resets_at).is_some_and(|(old, new)| is_same_instant(old, new)) {
            self.resets_at = resets_at;
        }
    }

    /// Whether the window was reset since: its time is over, or newer figures show a lower share.
    fn was_reset(&self, window: Option<Window>, updated: Millis, now: Millis) -> bool {
        let ahead = |at: Millis| {
            window.and_then(|window| window.resets_at).is_some_and(|new| now < new && is_same_instant(at, new))
        };
        let ended = self.resets_at.is_some_and(|at| at <= now && !ahead(at));
        let fell = || window.is_none_or(|window| window.used(now) + FALL < f64::from(self.threshold));
        ended || (updated > self.learned.believed(now) && fell())
    }
}

/// Whether two instants are the same within [`SLACK`].
fn is_same_instant(old: Millis, new: Millis) -> bool {
    old.until(new).max(new.until(old)) < SLACK
}

impl Issued {
    fn last(&mut self, kind: WindowKind) -> &mut Option<LastThreshold> {
        match kind {
            WindowKind::Primary => &mut self.primary,
            WindowKind::Secondary => &mut self.secondary,
        }
    }

    /// Records a threshold; `true` when it was not reported before.
    fn record(&mut self, kind: WindowKind, passed: LastThreshold) -> bool {
        let last = self.last(kind);
        let news = last.is_none_or(|last| last.threshold < passed.threshold);
        if news {
            *last = Some(passed);
        }
        news
    }

    /// Whether nothing was issued.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Warning {
    /// One short line for people.
    pub fn title(&self) -> String {
        match &self.what {
            What::Quota { window, used_percent, .. } => {
                format!("{}: {} quota {used_percent:.0} % used", self.label, window.as_str())
            }
            What::NeedsLogin { .. } => format!("{}: needs a new login", self.label),
            What::Blocked { .. } => format!("{}: blocked by the provider", self.label),
        }
    }

    /// The problem and its remedy, for people.
    pub fn describe(&self) -> String {
        match &self.what {
            What::Quota { window, used_percent, resets_at, minutes, .. } => {
                let length = minutes.map(|minutes| format!(" ({} window)", Span(u64::from(minutes) * 60_000)));
                let reset = resets_at.map(|at| format!(", resets in {}", Span(self.at.until(at))));
                let (length, reset) = (length.unwrap_or_default(), reset.unwrap_or_default());
                format!("{}: {} quota{length} is {used_percent:.0} % used{reset}", self.label, window.as_str())
            }
            What::NeedsLogin { why, until } => {
                let left = until.map(|until| format!("; it serves for {} more", Span(self.at.until(until))));
                let left = left.unwrap_or_default();
                format!("{}: needs a new login: {why}{left}; run `polygate login`", self.label)
            }
            What::Blocked { why } => format!("{}: blocked by the provider: {why}", self.label),
        }
    }

    /// Whether it is urgent.
    pub fn urgent(&self) -> bool {
        !matches!(self.what, What::Quota { threshold, .. } if threshold < URGENT)
    }
}
