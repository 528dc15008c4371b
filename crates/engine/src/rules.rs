//! The choice among accounts for their owner: what may be set, and who would serve a request, without sending one.

use pool::account::BadTerms;
use pool::catalog::{Resolved, To};
use pool::pick::{Ask, Kin, Pick, Place, Score};
use pool::{AccountId, Millis, Terms};
use proto::{Failure, Kind};
use serde::Serialize;

use crate::accounts::{AccountView, List};
use crate::conversation;
use crate::core::Core;
use crate::engine::Engine;
use crate::run::models;
use crate::slots::Field;

/// What is to change of an account's terms.
#[derive(Clone, Copy, Debug, Default)]
pub struct TermsChange {
    /// Requests at a time; 0 is no limit, an inner `None` leaves it to the settings.
    pub max_concurrent: Option<Option<u32>>,
    /// Its priority; lower serves first.
    pub priority: Option<i32>,
}

/// Why terms were not changed.
#[derive(Debug, thiserror::Error)]
pub enum TermsError {
    /// No such account.
    #[error("no account has this id")]
    Unknown,
    /// Out of bounds.
    #[error(transparent)]
    Invalid(#[from] BadTerms),
    /// The store failed.
    #[error("account terms: {0}")]
    Store(#[from] store::Error),
}

/// A request that is not made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inquiry<'a> {
    /// The model's name; `None` asks for the default.
    pub model: Option<&'a str>,
    /// The id of the client key.
    pub key: Option<&'a str>,
    /// Who asks without a key, as calls of theirs have it for one; counts where `key` is `None`.
    pub keyless: Option<&'a str>,
    /// The conversation as the client names it: its session id or prompt cache key.
    pub conversation: Option<&'a str>,
}

/// Who would serve a request, and why.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = DryRun)]
pub struct Explained {
    /// The model that the name means.
    pub model: String,
    /// The strategy.
    pub strategy: pool::pick::Strategy,
    /// The id of whoever would serve it now, or be waited for; `None` when nobody can.
    pub chosen: Option<String>,
    /// The model of its chain that `chosen` would serve, when nobody can serve the one that is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instead: Option<String>,
    /// Every candidate, in the order of the choice.
    pub candidates: Vec<CandidateView>,
    /// The models that would be asked instead, in order.
    pub fallbacks: Vec<String>,
}

/// A candidate.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Candidate)]
pub struct CandidateView {
    /// Its id.
    pub id: String,
    /// An account's label, a relay's name.
    pub name: String,
    /// `account` or `relay`.
    pub kind: &'static str,
    /// `serves`, `queues` (busy, may be waited for), or why it does not: `cooling`, `exhausted`, `no_model`, ...
    pub standing: &'static str,
    /// The same in words, with what it is ranked by or the time left.
    pub why: String,
    /// When what keeps it from serving ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Millis>,
    /// What it is ranked by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<Score>,
}

impl TermsChange {
    /// The terms with this change.
    ///
    /// # Errors
    /// [`BadTerms`] when they are out of bounds.
    pub fn apply(self, terms: Terms) -> Result<Terms, BadTerms> {
        let max_concurrent = self.max_concurrent.unwrap_or(terms.max_concurrent);
        Terms { max_concurrent, priority: self.priority.unwrap_or(terms.priority) }.check()
    }
}

impl Engine {
    /// Changes what an account's owner set for it; holds at once, also for those who wait.
    ///
    /// # Errors
    /// [`TermsError`]; nothing is changed then.
    pub async fn set_terms(&self, id: &str, change: TermsChange) -> Result<AccountView, TermsError> {
        let (core, id) = (&self.0, AccountId(id.to_owned()));
        let _turn = core.sync.lock().await;
        let entry = core.accounts.get(&id).filter(|entry| entry.relay.is_none()).ok_or(TermsError::Unknown)?;
        let terms = change.apply(entry.account.terms)?;
        if !core.store.set_terms(&id, terms).await? {
            return Err(TermsError::Unknown);
        }
        core.accounts.agree(&id, terms);
        core.slots.scatter(&id);
        let entry = core.accounts.get(&id).ok_or(TermsError::Unknown)?;
        Ok(entry.view(core.slots.load(&id), core.now()))
    }

    /// Whoever would serve a request now, or be waited for: the choice alone.
    ///
    /// # Errors
    /// As [`Self::explain`], and when nobody can serve it, nor what is asked instead.
    pub fn chosen(&self, inquiry: Inquiry<'_>) -> Result<AccountId, Failure> {
        let core = &self.0;
        let (meant, mut chain) = models(core, inquiry.model)?;
        let chosen = core.choose(&meant, None);
        chosen.or_else(|failure| chain.find_map(|next| core.choose(&next, None).ok()).ok_or(failure))
    }

    /// Who would serve a request now, and why. Sends nothing and takes no place.
    ///
    /// # Errors
    /// A model that does not exist, a key that nobody has.
    pub fn explain(&self, inquiry: Inquiry<'_>) -> Result<Explained, Failure> {
        let core = &self.0;
        let (resolved, mut chain) = models(core, inquiry.model)?;
        if inquiry.key.is_some_and(|key| !core.keys.knows(key)) {
            return Err(Failure::new(Kind::Invalid, "No client key has this id").at("key_id"));
        }
        let bond = inquiry.conversation.and_then(|name| {
            let ids = conversation::named(inquiry.key.or(inquiry.keyless).unwrap_or_default(), name);
            ids.into_iter().find_map(|id| core.affinity.get(id))
        });
        let list = core.accounts.list();
        let candidates = core.candidates(&list, &resolved, bond.as_ref().map(|bond| &bond.account));
        let able = candidates.first().filter(|first| matches!(first.standing, "serves" | "queues"));
        let (chosen, instead) = match able {
            Some(first) => (Some(first.id.clone()), None),
            None => chain.find_map(|next| Some((core.choose(&next, None).ok()?.0, next.model.slug))).unzip(),
        };
        let fallbacks = core.settings.chains.of(inquiry.model, Some(&resolved.model.slug)).to_vec();
        let (model, strategy) = (resolved.model.slug, core.settings.strategy);
        Ok(Explained { model, strategy, chosen, instead, candidates, fallbacks })
    }
}

impl Core {
    /// What a request for this model asks of an account or relay.
    pub(crate) fn wish<'a>(&self, resolved: &'a Resolved) -> Ask<'a> {
        let (kin, max_concurrent) = match resolved.to {
            To::Accounts => (Kin::Accounts, self.settings.max_concurrent),
            To::Relays(_) => (Kin::Relays, 0),
        };
        Ask {
            model: &resolved.model.slug,
            max_concurrent,
            strategy: self.settings.strategy,
            kin,
            spent: !self.settings.skip_exhausted && kin == Kin::Accounts,
            draws: false,
        }
    }

    /// Whoever would serve a request for this model now, or be waited for.
    pub(crate) fn choose(&self, resolved: &Resolved, prefer: Option<&AccountId>) -> Result<AccountId, Failure> {
        let (list, ways, now) = (self.accounts.list(), self.egress.table(), self.now());
        let (to, bundled, custom) = (&resolved.to, &self.bundled, resolved.model.custom);
        let field = Field { list: &list, bundled, custom, to, ways: &ways, prefer, tried: &[] };
        match self.slots.look(field, &self.wish(resolved), now) {
            Ok(Pick::Ready(id) | Pick::Queue(id)) => Ok(id),
            Err(none) => Err(none.failure(None, now)),
        }
    }

    fn candidates(&self, list: &List, resolved: &Resolved, prefer: Option<&AccountId>) -> Vec<CandidateView> {
        let now = self.now();
        let ask = self.wish(resolved);
        let Ask { strategy, kin, .. } = ask;
        let ways = self.egress.table();
        let (to, bundled, custom) = (&resolved.to, &self.bundled, resolved.model.custom);
        let field = Field { list, bundled, custom, to, ways: &ways, prefer, tried: &[] };
        let explained = self.slots.explain(field, &ask, now);
        let view = |(id, place): (AccountId, Place)| {
            let name = list.get(&id).map(|entry| entry.account.label.clone()).unwrap_or_default();
            let (standing, why, until, score) = match place {
                Place::Serves(score) => ("serves", score.words(strategy, now), None, Some(score)),
                Place::Queues(score) => ("queues", score.words(strategy, now), None, Some(score)),
                Place::Out(reason) => (reason.word(), kin.why(&reason, now), reason.until(), None),
            };
            CandidateView { id: id.0, name, kind: kin.noun(), standing, why, until, score }
        };
        explained.into_iter().map(view).collect()
    }
}
