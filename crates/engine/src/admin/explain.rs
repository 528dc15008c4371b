//! Explains which account or relay would serve a request, without sending one.

use std::sync::Arc;

use pool::catalog::Resolved;
use pool::pick::{Ranking, Requirements, Score};
use pool::{AccountId, Millis};
use proto::{Failure, Kind};
use serde::Serialize;

use crate::request::conversation;
use crate::request::run::serving_models;
use crate::request::services::Services;

/// The request to explain.
#[derive(Clone, Copy, Debug, Default)]
pub struct RoutingQuery<'a> {
    /// The model's name; `None` asks for the default.
    pub model: Option<&'a str>,
    /// The id of the client key.
    pub key: Option<&'a str>,
    /// The key id of a caller without a key; used where `key` is `None`.
    pub keyless: Option<&'a str>,
    /// The client's name of the conversation: its session id or prompt cache key.
    pub conversation: Option<&'a str>,
}

/// Who would serve a request, and why.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = DryRun)]
pub struct RoutingExplanation {
    /// The model that the name means.
    pub model: String,
    /// The strategy.
    pub strategy: pool::pick::Strategy,
    /// The id of the account or relay that would serve it now, or after a wait; `None` when none can.
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

/// The handle that `Engine::routing` returns.
#[derive(Clone, Copy)]
pub struct Routing<'e>(pub(crate) &'e Arc<Services>);

impl Routing<'_> {
    /// The account or relay that would serve a request now, or be waited for. Errors: as [`Self::explain`], and when neither the model nor
    /// its fallbacks can be served.
    pub fn chosen(self, inquiry: RoutingQuery<'_>) -> Result<AccountId, Failure> {
        let services = self.0;
        let (meant, mut chain) = serving_models(services, inquiry.model)?;
        let chosen = services.dispatch.choose(&meant, None);
        chosen.or_else(|failure| chain.find_map(|next| services.dispatch.choose(&next, None).ok()).ok_or(failure))
    }

    /// Explains which account or relay would serve a request now. It sends nothing and takes no permit. Errors: an unknown model or key.
    pub fn explain(self, inquiry: RoutingQuery<'_>) -> Result<RoutingExplanation, Failure> {
        let services = self.0;
        let (resolved, mut chain) = serving_models(services, inquiry.model)?;
        if inquiry.key.is_some_and(|key| !services.registry.keys.knows(key)) {
            return Err(Failure::new(Kind::Invalid, "No client key has this id").at("key_id"));
        }
        let record = inquiry.conversation.and_then(|name| {
            let ids = conversation::named(inquiry.key.or(inquiry.keyless).unwrap_or_default(), name);
            ids.into_iter().find_map(|id| services.dispatch.affinity.get(id))
        });
        let candidates = self.candidates(&resolved, record.as_ref().map(|record| &record.account));
        let able = candidates.first().filter(|first| matches!(first.standing, "serves" | "queues"));
        let (chosen, instead) = match able {
            Some(first) => (Some(first.id.clone()), None),
            None => {
                chain.find_map(|next| Some((services.dispatch.choose(&next, None).ok()?.0, next.model.slug))).unzip()
            }
        };
        let fallbacks = services.runtime.settings.chains.of(inquiry.model, Some(&resolved.model.slug)).to_vec();
        let (model, strategy) = (resolved.model.slug, services.runtime.settings.strategy);
        Ok(RoutingExplanation { model, strategy, chosen, instead, candidates, fallbacks })
    }

    fn candidates(self, resolved: &Resolved, prefer: Option<&AccountId>) -> Vec<CandidateView> {
        let dispatch = &self.0.dispatch;
        let requirements = dispatch.requirements(resolved);
        let Requirements { strategy, kind, .. } = requirements;
        dispatch.with_candidates(resolved, (prefer, &[]), |candidates, now| {
            let view = |(id, ranking): (AccountId, Ranking)| {
                let name = candidates.list.get(&id).map(|entry| entry.account.label.clone()).unwrap_or_default();
                let (standing, why, until, score) = match ranking {
                    Ranking::Serves(score) => ("serves", score.describe(strategy, now), None, Some(score)),
                    Ranking::Queues(score) => ("queues", score.describe(strategy, now), None, Some(score)),
                    Ranking::Out(reason) => (reason.as_str(), kind.why(&reason, now), reason.until(), None),
                };
                CandidateView { id: id.0, name, kind: kind.noun(), standing, why, until, score }
            };
            dispatch.limiter.explain(candidates, &requirements, now).into_iter().map(view).collect()
        })
    }
}
