//! Fallback chains: another model serves when the intended one cannot, before the first byte only.

use std::sync::Arc;

use pool::AccountId;
use pool::catalog::{Resolved, ServedBy};
use pool::pick::CandidateKind;
use proto::{Failure, Kind};

use super::super::call::RequestPlan;
use super::{ModelAttempt, tier};
use crate::dispatch::affinity::AffinityRecord;
use crate::request::reply::Fallback;
use crate::request::services::Services;

/// The remaining models, and why the first one did not serve.
pub(super) struct FallbackChain {
    /// The remaining models, in order.
    left: std::vec::IntoIter<String>,
    /// The failure of the intended model; it is the answer when no model serves.
    first: Option<(String, Failure)>,
    /// The intended model, once another model was called.
    intended: Option<Box<Resolved>>,
}

impl FallbackChain {
    /// The chain of a request for `requested`, which means `model`.
    pub(super) fn of(services: &Services, requested: Option<&str>, model: Option<&str>) -> Self {
        let left = services.runtime.settings.chains.of(requested, model).to_vec().into_iter();
        Self { left, first: None, intended: None }
    }

    /// The rest of the chain for `requested`, which names no model, after its first existing model.
    pub(super) fn for_unknown_model(services: &Services, requested: &str, failure: Failure) -> Self {
        let catalog = services.registry.accounts.catalog();
        let mut left = services.runtime.settings.chains.of(Some(requested), None).to_vec().into_iter();
        left.by_ref().find(|name| catalog.resolve(Some(name), &services.runtime.settings.names).is_ok());
        Self { left, first: Some((requested.to_owned(), failure)), intended: None }
    }

    /// Whether another model is left.
    pub(super) fn has_next(&self, services: &Services, known: &Resolved) -> bool {
        Self { left: self.left.clone(), first: None, intended: None }.next(services, known, false).is_some()
    }

    /// The next existing model that is not `known`; with `relays`, only a model of relays, because the request has tried enough accounts.
    fn next(&mut self, services: &Services, known: &Resolved, relays: bool) -> Option<Resolved> {
        let catalog = services.registry.accounts.catalog();
        let resolve = |name: String| catalog.resolve(Some(&name), &services.runtime.settings.names).ok();
        let other = |next: &Resolved| (&next.model.slug, &next.to) != (&known.model.slug, &known.to);
        let fits = |next: &Resolved| other(next) && !(relays && next.to == ServedBy::Accounts);
        self.left.by_ref().filter_map(resolve).find(fits)
    }
}

/// The first existing model of the chain of an unknown name.
pub(crate) fn first_fallback(services: &Services, requested: Option<&str>) -> Option<Resolved> {
    let catalog = services.registry.accounts.catalog();
    let chain = services.runtime.settings.chains.of(requested, None);
    chain.iter().find_map(|name| catalog.resolve(Some(name), &services.runtime.settings.names).ok())
}

/// The model for a request for `requested`, its own or the first existing one of its chain, and then the models that may be asked instead,
/// in order. Errors: the error of the name, when neither the name nor its chain means a model.
pub(crate) fn serving_models(
    services: &Services,
    requested: Option<&str>,
) -> Result<(Resolved, impl Iterator<Item = Resolved>), Failure> {
    let intended = services.registry.accounts.catalog().resolve(requested, &services.runtime.settings.names);
    let (first, mut chain) = match (intended, requested) {
        (Ok(intended), _) => (intended.clone(), FallbackChain::of(services, requested, Some(&intended.model.slug))),
        (Err(failure), Some(name)) => {
            let first = first_fallback(services, requested).ok_or_else(|| failure.clone())?;
            (first, FallbackChain::for_unknown_model(services, name, failure))
        }
        (Err(failure), None) => return Err(failure),
    };
    let mut known = first.clone();
    let rest = std::iter::from_fn(move || {
        known = chain.next(services, &known, false)?;
        Some(known.clone())
    });
    Ok((first, rest))
}

impl ModelAttempt {
    /// Changes to the next model of the chain. Errors: the answer for the client, when no model is left or another model would not help.
    pub(super) fn next_model(&mut self, failure: Failure) -> Result<(), Failure> {
        let late = self.deadline <= tokio::time::Instant::now();
        let may = self.state.history.may_fall_back(&failure) && !late;
        let relays = !self.state.history.may_skip_dead_login();
        let next = if may { self.chain.next(&self.state.services, &self.plan.resolved, relays) } else { None };
        // Every second call needs the retry budget, for another model too.
        let next = next.filter(|_| self.state.budgeted || self.state.history.posts == 0 || self.spend_retry_budget());
        let Some(mut next) = next else { return Err(self.final_failure(failure)) };
        let from = self.plan.resolved.clone();
        self.state.head.notes.add(note(&from.model.slug, &failure));
        let (requested, _) = self.chain.first.get_or_insert_with(|| (from.model.slug.clone(), failure.clone()));
        let fallback = Fallback { from: requested.clone(), to: next.model.slug.clone(), why: reason(&failure).into() };
        tracing::info!(request = %self.plan.client.request_id, from = fallback.from, to = fallback.to, "fallback");
        self.state.head.fallback = Some(fallback);
        self.chain.intended.get_or_insert_with(|| Box::new(from.clone()));
        next.effort = next.effort.or(from.effort);
        next.tier = next.tier.or(from.tier);
        self.switch_model(next);
        Ok(())
    }

    fn spend_retry_budget(&mut self) -> bool {
        self.state.budgeted = self.state.services.dispatch.try_spend_retry(self.state.services.runtime.now());
        self.state.budgeted
    }

    /// The model whose failure is the answer when no model serves.
    pub(super) fn intended_model(&self) -> &Resolved {
        self.chain.intended.as_deref().unwrap_or(&self.plan.resolved)
    }

    /// The affinity to the conversation's account, which stays while a relay substitutes for the account.
    pub(super) fn held_affinity(&self, served: &AccountId) -> Option<&AffinityRecord> {
        let relay = |id: &AccountId| self.state.services.registry.accounts.get(id).map(|entry| entry.relay.is_some());
        let stands_in = self.state.head.fallback.is_some() && relay(served) == Some(true);
        self.affinity.as_ref().filter(|record| stands_in && relay(&record.account) == Some(false))
    }

    fn switch_model(&mut self, next: Resolved) {
        self.state.head.model.clone_from(&next.model.slug);
        self.state.usage.model(&next.model.slug);
        let tier = tier(&self.state.services, &self.call, &next);
        self.plan = Arc::new(RequestPlan { resolved: next, tier, ..RequestPlan::clone(&self.plan) });
        self.state.history = self.state.history.for_fallback(self.plan.candidate_kind() == CandidateKind::Relays);
        (self.body, self.state.sent) = (None, None);
    }

    /// The answer when no model serves: the intended model's failure, with the earliest time at which any model may serve.
    fn final_failure(&mut self, failure: Failure) -> Failure {
        let Some((model, first)) = self.chain.first.take() else { return failure };
        self.state.head.notes.add(note(&self.plan.resolved.model.slug, &failure));
        self.state.usage.model(&model);
        self.state.head.model = model;
        self.state.head.fallback = None;
        let retry_after = first.retry_after.map(|own| failure.retry_after.map_or(own, |other| own.min(other)));
        Failure { retry_after, ..first }
    }
}

fn note(model: &str, failure: &Failure) -> String {
    format!("{model} could not serve: {}", reason(failure))
}

/// Why a model did not serve, in one or two words.
fn reason(failure: &Failure) -> &'static str {
    match failure.kind {
        Kind::RateLimited => "rate limited",
        Kind::Exhausted => "quota used up",
        Kind::Overloaded => "overloaded",
        Kind::NoAccount => "no account can serve",
        Kind::ModelNotFound => "not available",
        Kind::Timeout => "no answer in time",
        _ => "failed upstream",
    }
}
