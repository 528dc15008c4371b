//! What a request asks of the accounts, before and after its commit.

use pool::pick::{self, Ask, Kin};
use proto::Failure;

use super::call::RequestPlan;
use crate::dispatch::limiter::Candidates;
use crate::request::services::Services;

impl RequestPlan {
    /// What is asked of an account or relay.
    pub(crate) fn ask<'a>(&'a self, services: &Services) -> Ask<'a> {
        Ask { draws: self.draws && self.kin() == Kin::Accounts, ..services.dispatch.pick_query(&self.resolved) }
    }

    /// The last failure as the client is to hear it: what one account lacks, others may have.
    pub(crate) fn concede(&self, services: &Services, failure: Failure) -> Failure {
        let (list, ways, now) =
            (services.registry.accounts.list(), services.registry.egress.table(), services.runtime.now());
        let (bundled, custom, to) = (&services.dispatch.bundled, self.resolved.model.custom, &self.resolved.to);
        let field = Candidates { list: &list, bundled, custom, to, ways: &ways, prefer: None, tried: &[] };
        // Whoever is used up may be tried, but is nobody to hope for.
        let ask = Ask { spent: false, ..self.ask(services) };
        pick::concede(failure, services.dispatch.limiter.preview(field, &ask, now), now)
    }
}
