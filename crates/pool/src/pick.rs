//! Chooses the account for a request: a pure function over candidates that returns an account, or one reason per account.

mod explain;
mod group;
mod order;
#[cfg(test)]
mod tests;

use proto::failure::{Failure, Kind};

use crate::account::{Account, AccountId};
use crate::breaker::BreakerState;
use crate::egress::EgressUnavailable;
use crate::status::Reason;
use crate::{Millis, limits};

pub use explain::{Ranking, Score, explain};
pub use group::{Best, Bound, Group};
use order::{QueueRank, Rank};
pub use order::{Snapshot, SnapshotRules, Strategy};

/// An account with the facts that the choice depends on.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The account.
    pub account: &'a Account,
    /// The facts that are worked out once.
    pub snapshot: Snapshot,
    /// Requests that it serves now.
    pub in_flight: u32,
    /// Requests of `in_flight` that began before its breaker last opened.
    pub older: u32,
    /// Requests in its queue.
    pub waiting: u32,
    /// When it was last chosen; 0 for never.
    pub last_used: Millis,
    /// Milliseconds until it may begin the next request (stagger).
    pub wait: u64,
    /// The state of its breaker.
    pub breaker: BreakerState,
    /// Whether its catalogue (live, else bundled) lists the model.
    pub lists_model: bool,
    /// When the used-up limit of this model resets there, and the limit's id.
    pub model_limit: Option<(Millis, &'a str)>,
    /// Why its egress is unavailable; `None` when it is available.
    pub unavailable: Option<EgressUnavailable<'a>>,
    /// Whether it owns the conversation. The owner is preferred when it has a free place.
    pub owner: bool,
    /// Whether this request has tried it.
    pub tried: bool,
}

/// The kind of candidates, for messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CandidateKind {
    /// ChatGPT logins.
    #[default]
    Accounts,
    /// Relays.
    Relays,
}

/// The requirements of a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Requirements<'a> {
    /// Catalogue slug, for the message.
    pub model: &'a str,
    /// Requests per account at the same time unless its owner set a limit; 0 is no limit.
    pub max_concurrent: u32,
    /// How to choose among the usable.
    pub strategy: Strategy,
    /// What the candidates are.
    pub kind: CandidateKind,
    /// Whether accounts whose quota is used up may serve, after all others.
    pub allow_exhausted: bool,
    /// Whether the plan must be able to draw.
    pub draws: bool,
}

/// The chosen account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pick {
    /// This account has a free place.
    Ready(AccountId),
    /// Usable accounts exist but all are busy: wait for this one, at most [`limits::QUEUE_WAIT`].
    Queue(AccountId),
}

/// No account can serve, with the reasons.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoAccount {
    /// The model that was asked for.
    pub model: String,
    /// One reason per account, in the candidates' order.
    pub reasons: Vec<(AccountId, Reason)>,
    /// What the candidates were.
    pub kind: CandidateKind,
}

/// Chooses an account. Only groups that can hold the best candidate are searched, and nothing is copied unless the choice fails.
/// The reasons of a failure are in the order of the groups.
pub fn pick<'a, I>(groups: &[Group<I>], requirements: &Requirements<'_>, now: Millis) -> Result<Pick, NoAccount>
where
    I: Iterator<Item = Candidate<'a>> + Clone,
{
    if let Some(id) = free(groups, requirements, now) {
        return Ok(Pick::Ready(id.clone()));
    }
    let all = groups.iter().flat_map(|group| group.candidates.clone());
    let mut queue: Option<(QueueRank, &AccountId)> = None;
    for candidate in all.clone() {
        if let Ok(Standing::Queues) = candidate.standing(requirements, now) {
            better(&mut queue, QueueRank::of(&candidate), &candidate.account.id);
        }
    }
    if let Some((_, id)) = queue {
        return Ok(Pick::Queue(id.clone()));
    }
    let reasons = all.map(|candidate| (candidate.account.id.clone(), candidate.reason(requirements, now))).collect();
    Err(NoAccount { model: requirements.model.to_owned(), reasons, kind: requirements.kind })
}

/// The best candidate with a free place. Groups are searched in the order of their bounds, until a bound is worse than the
/// candidate found.
fn free<'a, I>(groups: &[Group<I>], requirements: &Requirements<'_>, now: Millis) -> Option<&'a AccountId>
where
    I: Iterator<Item = Candidate<'a>> + Clone,
{
    let mut by_bound: Vec<_> = groups.iter().map(|group| (group.bound(), group)).collect();
    by_bound.sort_unstable_by_key(|(bound, _)| *bound);
    let mut found: Option<(Rank, &AccountId)> = None;
    for (bound, group) in by_bound {
        if found.is_some_and(|(rank, _)| bound >= Best::Rank(Bound(rank))) {
            break;
        }
        for candidate in group.candidates.clone() {
            if let Ok(Standing::Serves) = candidate.standing(requirements, now) {
                better(&mut found, Rank::of(&candidate, requirements, now), &candidate.account.id);
            }
        }
    }
    found.map(|(_, id)| id)
}

fn better<'a, R: Ord>(best: &mut Option<(R, &'a AccountId)>, rank: R, id: &'a AccountId) {
    if best.as_ref().is_none_or(|(known, _)| rank < *known) {
        *best = Some((rank, id));
    }
}

/// How a candidate can take a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It has a free place.
    Serves,
    /// It is busy, and its queue has room.
    Queues,
}

/// The candidate cannot take the request; [`Candidate::reason`] tells why.
struct OutOfQuestion;

impl Candidate<'_> {
    fn standing(&self, requirements: &Requirements<'_>, now: Millis) -> Result<Standing, OutOfQuestion> {
        let usable = self.fits(requirements)
            && !self.tried
            && self.serves(requirements, now)
            && !self.broken()
            && self.unavailable.is_none();
        match (usable, self.free(requirements), self.room()) {
            (true, true, _) => Ok(Standing::Serves),
            (true, false, true) => Ok(Standing::Queues),
            _ => Err(OutOfQuestion),
        }
    }

    /// Whether it has the model and, if needed, can draw.
    fn fits(&self, requirements: &Requirements<'_>) -> bool {
        self.lists_model && (!requirements.draws || self.snapshot.draws())
    }

    /// Whether its state allows the request.
    fn serves(&self, requirements: &Requirements<'_>, now: Millis) -> bool {
        let may_try = self.snapshot.exhausted() || self.snapshot.availability().open(now);
        !self.is_resting(now) || requirements.allow_exhausted && may_try
    }

    /// Whether it rests, or the limit of this model is used up.
    fn is_resting(&self, now: Millis) -> bool {
        !self.snapshot.availability().open(now) || self.model_limit.is_some()
    }

    /// The reason from its state or the limit of this model.
    fn over(&self, now: Millis) -> Option<Reason> {
        let model = || self.model_limit.map(|(until, limit)| Reason::Exhausted { until, window: limit.to_owned() });
        self.account.status.usable(now).err().or_else(model)
    }

    /// Why it does not serve. Reasons for every request come before reasons for this request.
    fn reason(&self, requirements: &Requirements<'_>, now: Millis) -> Reason {
        if !self.lists_model {
            return Reason::NoModel;
        }
        if !self.fits(requirements) {
            return Reason::NoImages;
        }
        match (self.over(now), self.breaker) {
            (Some(reason), _) if !self.serves(requirements, now) => reason,
            _ if self.unavailable.is_some() => self.unavailable.map_or(Reason::Full, Reason::from),
            _ if self.tried => Reason::Tried,
            (_, BreakerState::Broken(until)) => Reason::Failing { until },
            (_, BreakerState::Sound | BreakerState::Probe) => Reason::Full,
        }
    }

    fn broken(&self) -> bool {
        matches!(self.breaker, BreakerState::Broken(_))
    }

    fn free(&self, requirements: &Requirements<'_>) -> bool {
        let most = self.ceiling(requirements);
        // One call at a time probes the upstream.
        let probed = self.breaker == BreakerState::Probe && self.in_flight > self.older;
        (most == 0 || self.in_flight < most) && !probed && self.soon()
    }

    /// Requests at a time; 0 is no limit.
    pub fn ceiling(&self, requirements: &Requirements<'_>) -> u32 {
        self.snapshot.ceiling().unwrap_or(requirements.max_concurrent)
    }

    /// Whether a request may wait for its next start.
    fn soon(&self) -> bool {
        u128::from(self.wait) <= limits::QUEUE_WAIT.as_millis()
    }

    fn room(&self) -> bool {
        self.waiting < limits::QUEUE && self.soon()
    }
}

impl NoAccount {
    /// The failure for the client: `ModelNotFound` when no account lists the model, 429 with the earliest reset when waiting helps,
    /// else 503 with a hint. `last` is the failure of the previous try and is returned when this request has tried all accounts
    /// that are left. Never 401.
    pub fn failure(&self, last: Option<&Failure>, now: Millis) -> Failure {
        let noun = self.kind.noun();
        if self.reasons.is_empty() {
            let cure = if self.kind == CandidateKind::Relays { "run `polygate relays add`" } else { self.kind.cure() };
            return lacking(format!("no {noun} is configured: {cure}"));
        }
        if !self.has(|why| !matches!(why, Reason::NoModel | Reason::NoImages)) {
            return match last {
                Some(last) => last.clone(),
                None if self.has(|why| matches!(why, Reason::NoImages)) => cannot_draw(noun),
                None => unlisted(noun, &self.model),
            };
        }
        if self.has(|why| matches!(why, Reason::Full)) {
            let full = format!("every {noun} is busy and its queue is full");
            return Failure::new(Kind::RateLimited, full).retry_after(1);
        }
        if let (Some(last), true) = (last, self.has(|why| matches!(why, Reason::Tried))) {
            return last.clone();
        }
        // The reason that ends first decides whether and when a client should try again.
        let first =
            self.reasons.iter().filter_map(|(_, why)| Some((why.until()?, why))).min_by_key(|(until, _)| *until);
        match first {
            Some((until, Reason::Failing { .. })) => failing(until, self.summary(now), now),
            Some((until, Reason::Exhausted { .. })) => resting(true, until, self.summary(now), now),
            Some((until, Reason::Cooling { .. })) => resting(false, until, self.summary(now), now),
            first => self.shut(first.map(|(until, _)| until), now),
        }
    }

    /// The failure when waiting does not help, or when an egress route may answer again at `again`.
    fn shut(&self, again: Option<Millis>, now: Millis) -> Failure {
        let (noun, summary) = (self.kind.noun(), self.summary(now));
        let failure = lacking(format!("no {noun} can serve: {summary}; {}", self.cure()));
        match again {
            Some(until) => failure.retry_after(now.until(until).div_ceil(1000).max(1)),
            None => failure,
        }
    }

    /// The hint for these reasons.
    fn cure(&self) -> &'static str {
        if self.has(|why| matches!(why, Reason::NoEgress { .. })) {
            return "see `polygate proxies list`";
        }
        // Switching on a good login is easier than a new login.
        let off = self.has(|why| matches!(why, Reason::Disabled));
        let lost = self.has(|why| matches!(why, Reason::NeedsLogin { .. }));
        match self.kind {
            CandidateKind::Accounts if off && !lost => "run `polygate accounts enable`",
            CandidateKind::Relays if lost => "give it a key that works; `polygate relays test` tries it",
            CandidateKind::Relays if off => "run `polygate relays enable`",
            kind => kind.cure(),
        }
    }

    fn has(&self, reason: fn(&Reason) -> bool) -> bool {
        self.reasons.iter().any(|(_, why)| reason(why))
    }

    /// The reasons for people: each kind with its number of accounts, described by the reason that ends first.
    fn summary(&self, now: Millis) -> String {
        let mut groups: Vec<(&Reason, u32)> = Vec::new();
        for (_, why) in self.reasons.iter().filter(|(_, why)| !matches!(why, Reason::NoModel | Reason::NoImages)) {
            let same = |(first, _): &&mut (&Reason, u32)| std::mem::discriminant(*first) == std::mem::discriminant(why);
            match groups.iter_mut().find(same) {
                Some((first, count)) => {
                    *count += 1;
                    if why.until().is_some_and(|until| first.until().is_none_or(|known| until < known)) {
                        *first = why;
                    }
                }
                None => groups.push((why, 1)),
            }
        }
        let noun = self.kind.noun();
        let plural = |count: u32| if count == 1 { "" } else { "s" };
        let words =
            |(why, count): &(&Reason, u32)| format!("{} ({count} {noun}{})", self.kind.why(why, now), plural(*count));
        crate::sanitize::short(&groups.iter().map(words).collect::<Vec<_>>().join("; "), limits::MESSAGE)
    }
}

/// The failure for the client after the last try. One account's limit is not the pool's, so a failure about limits is replaced by
/// the state of the pool: `now_free` is a new [`pick`] without `tried`. Other failures stay as they are.
pub fn final_failure(failure: Failure, now_free: Result<Pick, NoAccount>, now: Millis) -> Failure {
    if !matches!(failure.kind, Kind::RateLimited | Kind::Exhausted) {
        return failure;
    }
    match now_free {
        Ok(_) => Failure::new(
            Kind::RateLimited,
            "what was tried is at its limit; another account or relay is free: try again",
        )
        .code("rate_limit_exceeded")
        .retry_after(1),
        Err(none) => none.failure(Some(&failure), now),
    }
}

impl CandidateKind {
    /// The singular noun.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Accounts => "account",
            Self::Relays => "relay",
        }
    }

    /// The hint when none can serve.
    fn cure(self) -> &'static str {
        match self {
            Self::Accounts => "run `polygate login`",
            Self::Relays => "see `polygate relays list`",
        }
    }

    /// Describes a reason. A relay has a key and no login.
    pub fn why(self, reason: &Reason, now: Millis) -> String {
        match (self, reason) {
            (Self::Relays, Reason::NeedsLogin { why }) => why.clone(),
            _ => reason.describe(now),
        }
    }
}

fn lacking(message: String) -> Failure {
    Failure::new(Kind::NoAccount, message)
}

fn resting(exhausted: bool, until: Millis, summary: String, now: Millis) -> Failure {
    let (kind, code) =
        if exhausted { (Kind::Exhausted, "usage_limit_reached") } else { (Kind::RateLimited, "rate_limit_exceeded") };
    Failure {
        resets_at: u64::try_from(until.0.div_euclid(1000)).ok().filter(|_| exhausted),
        ..Failure::new(kind, summary).code(code).retry_after(now.until(until).div_ceil(1000).max(1))
    }
}

fn failing(until: Millis, summary: String, now: Millis) -> Failure {
    let wait = now.until(until).div_ceil(1000).max(1);
    Failure::new(Kind::Overloaded, summary).code("upstream_failing").retry_after(wait)
}

/// The failure when no usable account's plan can draw. Waiting does not help.
fn cannot_draw(noun: &str) -> Failure {
    let message = format!(
        "No {noun} here has a plan with image generation; leave the image tool out, or sign in with another plan."
    );
    Failure::new(Kind::Forbidden, message).code("image_generation_unavailable").at("tools")
}

fn unlisted(noun: &str, model: &str) -> Failure {
    let model = crate::sanitize::short(model, 128);
    Failure::new(Kind::ModelNotFound, format!("No {noun} lists the model `{model}`."))
        .code("model_not_found")
        .at("model")
}
