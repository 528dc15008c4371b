//! Which account serves a request: a pure choice over candidates, or one reason per account.

mod order;
#[cfg(test)]
mod tests;

use proto::failure::{Failure, Kind};

use crate::account::{Account, AccountId};
use crate::egress::Stuck;
use crate::status::{Reason, Status};
use crate::{Millis, limits};

pub use order::Strategy;

/// An account as the choice sees it.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The account.
    pub account: &'a Account,
    /// Requests that it serves now.
    pub in_flight: u32,
    /// Requests that wait for it.
    pub waiting: u32,
    /// When it was last chosen; 0 for never.
    pub last_used: Millis,
    /// Whether its catalogue (live, else bundled) lists the model.
    pub lists_model: bool,
    /// Why its way out is not open; `None` when it is.
    pub stuck: Option<Stuck<'a>>,
    /// Its share of simultaneous requests against the others', at least 1.
    pub weight: u32,
}

/// What the candidates are, for the words of a refusal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kin {
    /// ChatGPT logins.
    #[default]
    Accounts,
    /// Relays.
    Relays,
}

/// What a request asks of an account.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ask<'a> {
    /// Catalogue slug, for the message.
    pub model: &'a str,
    /// Accounts that this request has tried.
    pub tried: &'a [AccountId],
    /// The account that owns the conversation; taken when it has a free place.
    pub prefer: Option<&'a AccountId>,
    /// Requests per account at the same time; 0 is no limit.
    pub max_concurrent: u32,
    /// How to choose among the usable.
    pub strategy: Strategy,
    /// Plans in the order in which their accounts serve: a later one only when no earlier one has a free place. Plans that
    /// are not named come last.
    pub tiers: &'a [String],
    /// What the candidates are.
    pub kin: Kin,
    /// Whether accounts whose quota is used up may serve, after all others.
    pub spent: bool,
}

/// A choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pick {
    /// This account has a free place.
    Ready(AccountId),
    /// Usable accounts exist but all are busy: wait for this one, at most [`limits::QUEUE_WAIT`].
    Queue(AccountId),
}

/// No account can serve, and why each cannot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoAccount {
    /// The model that was asked for.
    pub model: String,
    /// One reason per account, in the candidates' order.
    pub reasons: Vec<(AccountId, Reason)>,
    /// What the candidates were.
    pub kin: Kin,
}

/// Chooses an account. Linear in the candidates; copies nothing unless it fails.
pub fn pick(candidates: &[Candidate<'_>], ask: &Ask<'_>, now: Millis) -> Result<Pick, NoAccount> {
    let usable = || candidates.iter().filter(|candidate| candidate.usable(ask, now));
    let free = || usable().filter(|candidate| candidate.free(ask));
    let preferred = ask.prefer.and_then(|owner| free().find(|candidate| candidate.account.id == *owner));
    let best = || free().min_by_key(|candidate| order::Rank::of(candidate, ask, now));
    if let Some(chosen) = preferred.or_else(best) {
        return Ok(Pick::Ready(chosen.account.id.clone()));
    }
    let queue = usable().filter(|candidate| candidate.waiting < limits::QUEUE);
    // The owner's prompt cache is worth waiting for when everybody has to wait.
    let queue = queue.min_by_key(|candidate| {
        let id = &candidate.account.id;
        (Some(id) != ask.prefer, candidate.waiting, candidate.last_used, id)
    });
    if let Some(chosen) = queue {
        return Ok(Pick::Queue(chosen.account.id.clone()));
    }
    let reasons =
        candidates.iter().map(|candidate| (candidate.account.id.clone(), candidate.reason(ask, now))).collect();
    Err(NoAccount { model: ask.model.to_owned(), reasons, kin: ask.kin })
}

impl Candidate<'_> {
    /// Whether it may serve this request at all, busy or not.
    fn usable(&self, ask: &Ask<'_>, now: Millis) -> bool {
        self.lists_model && self.stuck.is_none() && self.serves(ask, now) && !ask.tried.contains(&self.account.id)
    }

    /// Whether its state allows it.
    fn serves(&self, ask: &Ask<'_>, now: Millis) -> bool {
        let status = &self.account.status;
        status.serves(now) || ask.spent && matches!(status, Status::Exhausted { .. })
    }

    /// Why it does not. What holds for every request is said before what holds for this one.
    fn reason(&self, ask: &Ask<'_>, now: Millis) -> Reason {
        if !self.lists_model {
            return Reason::NoModel;
        }
        match self.account.status.usable(now) {
            Err(reason) if !self.serves(ask, now) => reason,
            _ if self.stuck.is_some() => self.stuck.map_or(Reason::Full, Reason::from),
            _ if ask.tried.contains(&self.account.id) => Reason::Tried,
            _ => Reason::Full,
        }
    }

    fn free(&self, ask: &Ask<'_>) -> bool {
        ask.max_concurrent == 0 || self.in_flight < ask.max_concurrent
    }
}

impl NoAccount {
    /// The answer for the client: `ModelNotFound` when no account lists the model, 429 with the earliest reset when time
    /// heals it, else 503 with what to do. `last` is the failure of the previous try: it is the answer when the only
    /// accounts left are those that this request has tried. Never 401.
    pub fn failure(&self, last: Option<&Failure>, now: Millis) -> Failure {
        let has = |reason: fn(&Reason) -> bool| self.reasons.iter().any(|(_, why)| reason(why));
        let noun = self.kin.noun();
        if self.reasons.is_empty() {
            return lacking(format!("no {noun} is configured: {}", self.kin.cure()));
        }
        if !has(|why| !matches!(why, Reason::NoModel)) {
            return match last {
                Some(last) => last.clone(),
                None => unlisted(noun, &self.model),
            };
        }
        if has(|why| matches!(why, Reason::Full)) {
            let full = format!("every {noun} is busy and its queue is full");
            return Failure::new(Kind::RateLimited, full).retry_after(1);
        }
        if let (Some(last), true) = (last, has(|why| matches!(why, Reason::Tried))) {
            return last.clone();
        }
        let spent = has(|why| matches!(why, Reason::Exhausted { .. }));
        match self.reasons.iter().filter_map(|(_, why)| why.until()).min() {
            Some(until) => resting(spent, until, self.summary(now), now),
            None => self.shut(now),
        }
    }

    /// None can serve, and waiting alone does not help.
    fn shut(&self, now: Millis) -> Failure {
        let (noun, summary) = (self.kin.noun(), self.summary(now));
        let ways = self.reasons.iter().filter_map(|(_, why)| match why {
            Reason::NoWay { until, .. } => Some(*until),
            _ => None,
        });
        let again = ways.clone().flatten().min();
        let cure = if ways.count() > 0 { "see `polygate proxies list`" } else { self.kin.cure() };
        let failure = lacking(format!("no {noun} can serve: {summary}; {cure}"));
        match again {
            Some(until) => failure.retry_after(now.until(until).div_ceil(1000).max(1)),
            None => failure,
        }
    }

    /// The reasons for people: each kind with its number of accounts, in the words of the first.
    fn summary(&self, now: Millis) -> String {
        let mut groups: Vec<(&Reason, u32)> = Vec::new();
        for (_, why) in self.reasons.iter().filter(|(_, why)| !matches!(why, Reason::NoModel)) {
            let same = |(first, _): &&mut (&Reason, u32)| std::mem::discriminant(*first) == std::mem::discriminant(why);
            match groups.iter_mut().find(same) {
                Some((_, count)) => *count += 1,
                None => groups.push((why, 1)),
            }
        }
        let noun = self.kin.noun();
        let plural = |count: u32| if count == 1 { "" } else { "s" };
        let words =
            |(why, count): &(&Reason, u32)| format!("{} ({count} {noun}{})", self.kin.why(why, now), plural(*count));
        crate::shown::short(&groups.iter().map(words).collect::<Vec<_>>().join("; "), limits::MESSAGE)
    }
}

/// What a client is told when its tries are over and `failure` was the last: an account's limit is not the pool's. `now_free`
/// is a fresh [`pick`] without `tried`. Failures that are not about limits stay as they are.
pub fn concede(failure: Failure, now_free: Result<Pick, NoAccount>, now: Millis) -> Failure {
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

impl Kin {
    /// One of them.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Accounts => "account",
            Self::Relays => "relay",
        }
    }

    /// What to do when none can serve.
    fn cure(self) -> &'static str {
        match self {
            Self::Accounts => "run `polygate login`",
            Self::Relays => "see `polygate relays list`",
        }
    }

    /// A reason for people; a relay has a key and no login.
    pub fn why(self, reason: &Reason, now: Millis) -> String {
        match (self, reason) {
            (Self::Relays, Reason::NeedsLogin { why }) => why.clone(),
            _ => reason.words(now),
        }
    }
}

fn lacking(message: String) -> Failure {
    Failure::new(Kind::NoAccount, message)
}

fn resting(spent: bool, until: Millis, summary: String, now: Millis) -> Failure {
    let (kind, code) =
        if spent { (Kind::Exhausted, "usage_limit_reached") } else { (Kind::RateLimited, "rate_limit_exceeded") };
    Failure {
        resets_at: u64::try_from(until.0.div_euclid(1000)).ok().filter(|_| spent),
        ..Failure::new(kind, summary).code(code).retry_after(now.until(until).div_ceil(1000).max(1))
    }
}

fn unlisted(noun: &str, model: &str) -> Failure {
    let model = crate::shown::short(model, 128);
    Failure::new(Kind::ModelNotFound, format!("No {noun} lists the model `{model}`."))
        .code("model_not_found")
        .at("model")
}
