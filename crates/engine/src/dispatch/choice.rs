//! The requirements of a model on accounts and relays, and the choice among them.

use pool::catalog::{Resolved, ServedBy};
use pool::pick::{CandidateKind, Pick, Requirements};
use pool::quota::Quota;
use pool::quota::summary::{Next, summary};
use pool::{AccountId, Millis, Status};
use proto::Failure;

use super::Dispatch;
use super::limiter::Candidates;

impl Dispatch {
    /// The requirements of a request for this model.
    pub(crate) fn requirements<'a>(&self, resolved: &'a Resolved) -> Requirements<'a> {
        let (kind, max_concurrent) = match resolved.to {
            ServedBy::Accounts => (CandidateKind::Accounts, self.runtime.settings.max_concurrent),
            ServedBy::Relays(_) => (CandidateKind::Relays, 0),
        };
        Requirements {
            model: &resolved.model.slug,
            max_concurrent,
            strategy: self.runtime.settings.strategy,
            kind,
            allow_exhausted: !self.runtime.settings.skip_exhausted && kind == CandidateKind::Accounts,
            draws: false,
        }
    }

    /// Calls `choose` with the candidates for this model and the time of day. `prefer` is the account of the conversation, `tried` are the
    /// accounts and relays that the request has tried.
    pub(crate) fn with_candidates<T>(
        &self,
        resolved: &Resolved,
        (prefer, tried): (Option<&AccountId>, &[AccountId]),
        choose: impl FnOnce(Candidates<'_>, Millis) -> T,
    ) -> T {
        let (list, egress) = (self.registry.accounts.list(), self.registry.egress.table());
        let (to, bundled, custom) = (&resolved.to, &self.bundled, resolved.model.custom);
        choose(Candidates { list: &list, bundled, custom, to, egress: &egress, prefer, tried }, self.runtime.now())
    }

    /// The account or relay that would serve a request for this model now, or be waited for.
    pub(crate) fn choose(&self, resolved: &Resolved, prefer: Option<&AccountId>) -> Result<AccountId, Failure> {
        let requirements = self.requirements(resolved);
        self.with_candidates(resolved, (prefer, &[]), |candidates, now| {
            match self.limiter.preview(candidates, &requirements, now) {
                Ok(Pick::Ready(id) | Pick::Queue(id)) => Ok(id),
                Err(none) => Err(none.failure(None, now)),
            }
        })
    }

    /// The quota of all accounts together, for clients that know one account only; `prefer` is the account of the conversation.
    pub(crate) fn pool_quota(&self, resolved: Option<&Resolved>, prefer: Option<&AccountId>) -> Quota {
        let (list, now) = (self.registry.accounts.list(), self.runtime.now());
        let next = resolved.and_then(|resolved| self.choose(resolved, prefer).ok());
        let chosen = next.and_then(|id| list.get(&id).cloned());
        let next = match &chosen {
            Some(entry) if entry.relay.is_some() => Next::Relay,
            Some(entry) => Next::Account(&entry.account.quota),
            None => Next::Nobody,
        };
        let enabled = list.accounts().filter(|entry| entry.account.status != Status::Disabled);
        let summed = summary(next, enabled.map(|entry| &entry.account.quota), now);
        // Before the first figures, the plan in its tokens counts.
        let plan = summed.plan.clone().or_else(|| chosen.map(|entry| entry.account.plan.clone()));
        Quota { plan: plan.filter(|plan| !plan.is_empty()), ..summed }
    }
}
