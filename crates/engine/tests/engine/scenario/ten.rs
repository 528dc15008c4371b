//! The words of the scenarios.
//!
//! The rules that name who serves are those of the settings here: the tiers pro, team, plus, free, then what is least used, then
//! the oldest account. So [`Who`] is in the order in which fresh accounts serve.

use std::time::Duration;

use engine::{AccountView, Call, CandidateView, Refusal, RoutingExplanation, RoutingQuery};
use offline::{NewAccount, Plan, Rule};
use pool::Millis;
use proto::{Failure, Kind};

use crate::bench::{Answer, Bench, MODEL, Setup, chat};

/// An account, in the order of the tiers and within them of their age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Pro1,
    Pro2,
    Team1,
    Team2,
    Plus1,
    Plus2,
    Plus3,
    Plus4,
    Free1,
    Free2,
}

use Who::{Free1, Free2, Plus1, Plus2, Plus3, Plus4, Pro1, Pro2, Team1, Team2};

pub(super) const ALL: [Who; 10] = [Pro1, Pro2, Team1, Team2, Plus1, Plus2, Plus3, Plus4, Free1, Free2];

/// The plans in the order in which they serve.
const TIERS: [&str; 4] = ["pro", "team", "plus", "free"];

/// How an account stands that does not serve; times in seconds from now.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rests {
    /// For so long, because of this.
    Cooling(u64, &'static str),
    /// For so long, this window.
    Exhausted(u64, &'static str),
    /// Because of this.
    NeedsLogin(&'static str),
    /// Because of this.
    Blocked(&'static str),
    /// By its owner.
    Disabled,
}

/// The pool.
pub(super) struct Ten {
    pub(super) bench: Bench,
    /// Where each account is in the bench.
    seats: [usize; 10],
}

/// What a request came to.
pub(super) struct RequestResult {
    pub(super) result: Result<Answer, Refusal>,
    /// Who was asked, in order.
    pub(super) calls: Vec<Who>,
}

impl Who {
    fn plan(self) -> &'static str {
        match self {
            Pro1 | Pro2 => "pro",
            Team1 | Team2 => "team",
            Plus1 | Plus2 | Plus3 | Plus4 => "plus",
            Free1 | Free2 => "free",
        }
    }
}

impl Ten {
    pub(super) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(super) async fn with(change: impl FnOnce(&mut Setup)) -> Self {
        let fresh = |who: Who| NewAccount { plan: who.plan().into(), ..NewAccount::default() };
        let mut setup = Setup { accounts: ALL.map(fresh).to_vec(), ..Setup::default() };
        setup.settings.tiers = TIERS.map(String::from).to_vec();
        change(&mut setup);
        let bench = Bench::with(setup).await;
        let mut seats: Vec<usize> = (0..ALL.len()).collect();
        // Age counts within a tier only.
        seats.sort_by_key(|at| (TIERS.iter().position(|plan| *plan == bench.logins[*at].plan), &bench.ids[*at]));
        let seats = seats.try_into().expect("ten");
        Self { bench, seats }
    }

    /// Our id.
    pub(super) fn id(&self, who: Who) -> &str {
        &self.bench.ids[self.seats[who as usize]].0
    }

    /// The id at the backend.
    pub(super) fn login(&self, who: Who) -> &str {
        &self.bench.logins[self.seats[who as usize]].account_id
    }

    pub(super) fn view(&self, who: Who) -> AccountView {
        self.bench.engine.accounts().get(self.id(who)).expect("the account")
    }

    /// What the backend answers to the next request of an account.
    pub(super) fn answer_next(&self, who: Who, plan: Plan) {
        self.bench.backend.add_rule(Rule::responses(plan).account(self.login(who)));
    }

    /// What the backend answers to every request of an account.
    pub(super) fn answer_always(&self, who: Who, plan: Plan) {
        self.bench.backend.add_rule(Rule::responses(plan).account(self.login(who)).always());
    }

    pub(super) fn pass(&self, seconds: u64) {
        self.bench.clock.advance(Duration::from_secs(seconds));
    }

    /// A request of a new conversation comes.
    pub(super) async fn ask(&self) -> RequestResult {
        let n = self.bench.posts();
        self.send(chat(&format!("Reply with exactly: pong {n}"))).await
    }

    /// A request comes.
    pub(super) async fn send(&self, call: Call) -> RequestResult {
        let before = self.bench.posts();
        let result = self.bench.ask(call).await;
        RequestResult { result, calls: self.calls().split_off(before) }
    }

    /// Who was asked so far, in order.
    pub(super) fn calls(&self) -> Vec<Who> {
        self.bench
            .backend
            .record()
            .model_requests()
            .map(|request| self.who(request.account.as_deref().expect("a login")))
            .collect()
    }

    fn who(&self, id: &str) -> Who {
        let is = |who: &Who| self.id(*who) == id || self.login(*who) == id;
        ALL.into_iter().find(is).unwrap_or_else(|| panic!("none of the ten: {id}"))
    }

    /// What the dry run says about the model that all requests ask for.
    pub(super) fn explained(&self) -> RoutingExplanation {
        self.bench
            .engine
            .routing()
            .explain(RoutingQuery { model: Some(MODEL), ..RoutingQuery::default() })
            .expect("explained")
    }

    /// What the dry run says about an account.
    pub(super) fn candidate(&self, who: Who) -> CandidateView {
        let candidate = self.explained().candidates.into_iter().find(|candidate| candidate.id == self.id(who));
        candidate.expect("every account is a candidate")
    }

    /// Who serves the next new conversation, by the dry run.
    pub(super) fn next(&self) -> Option<Who> {
        self.explained().chosen.map(|id| self.who(&id))
    }

    /// These accounts stand so, all others are active; the list, the dry run and the readiness say the same of each.
    pub(super) fn stand(&self, resting: &[(Who, Rests)]) {
        let ready = self.bench.engine.ready();
        assert_eq!((ready.ok, ready.reasons.len()), (resting.len() < ALL.len(), resting.len()), "{ready:?}");
        for who in ALL {
            let (view, candidate) = (self.view(who), self.candidate(who));
            let Some((_, rests)) = resting.iter().find(|(resting, _)| *resting == who) else {
                assert_eq!((view.status, &view.why, view.until), ("active", &None, None), "{who:?}");
                continue;
            };
            rests.assert_shown(who, &view, self.bench.clock.now());
            assert_eq!((candidate.standing, &candidate.why), (view.status, view.why.as_ref().expect("a reason")));
            assert_eq!((candidate.until, candidate.score), (view.until, None), "{who:?}");
            let line = format!("{}: {}", view.id, candidate.why);
            assert!(ready.reasons.contains(&line), "{line:?} is not in {ready:?}");
        }
    }

    /// A new conversation goes where the dry run says, and that is `who`.
    pub(super) async fn serves(&self, who: Who) {
        assert_eq!(self.next(), Some(who), "{:#?}", self.explained().candidates);
        self.ask().await.served_by(&[who]);
    }
}

impl RequestResult {
    /// It was served, after these accounts were asked; the last one served.
    pub(super) fn served_by(self, calls: &[Who]) -> Answer {
        assert_eq!(self.calls, calls);
        let answer = self.result.unwrap_or_else(|refusal| panic!("refused: {refusal}"));
        assert_eq!(answer.head.attempts as usize, calls.len());
        answer
    }

    /// It was refused, after these accounts were asked.
    pub(super) fn refused(self, calls: &[Who], kind: Kind, retry_after: Option<u64>) -> Failure {
        assert_eq!(self.calls, calls);
        let Err(refusal) = self.result else { panic!("served by {calls:?}") };
        assert_eq!((refusal.failure.kind, refusal.failure.retry_after), (kind, retry_after), "{refusal}");
        refusal.failure
    }
}

impl Rests {
    /// The account is said to be so, in a word, in a sentence and with the time.
    fn assert_shown(self, who: Who, view: &AccountView, now: Millis) {
        let left = view.until.map(|until| now.until(until).div_ceil(1000));
        let span = left.map(span).unwrap_or_default();
        let (status, why, wait) = match self {
            Self::Cooling(wait, why) => ("cooling", format!("cooling down for {span}: {why}"), Some(wait)),
            Self::Exhausted(wait, window) => {
                ("exhausted", format!("{window} quota used up, resets in {span}"), Some(wait))
            }
            Self::NeedsLogin(why) => ("needs_login", format!("needs a new login: {why}"), None),
            Self::Blocked(why) => ("blocked", format!("blocked by the provider: {why}"), None),
            Self::Disabled => ("disabled", "switched off".to_owned(), None),
        };
        assert_eq!((view.status, view.why.as_deref()), (status, Some(why.as_str())), "{who:?}");
        // The backend's figures are in whole seconds of its own clock.
        let near = |wait: u64| left.is_some_and(|left| left.abs_diff(wait) <= 2);
        assert!(wait.map_or(left.is_none(), near), "{who:?}: {left:?} instead of {wait:?}");
    }

    /// How long it takes, when it ends by itself.
    pub(super) fn ends(self) -> Option<u64> {
        match self {
            Self::Cooling(wait, _) | Self::Exhausted(wait, _) => Some(wait),
            Self::NeedsLogin(_) | Self::Blocked(_) | Self::Disabled => None,
        }
    }
}

/// Seconds as people are told them.
fn span(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{minutes} min {} s", seconds % 60),
        3600..86_400 => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}
