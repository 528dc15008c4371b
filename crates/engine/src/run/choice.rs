//! What a request asks of the accounts, before and after its commit.

use pool::pick::{self, Ask, Kin};
use proto::Failure;

use super::post::Plan;
use crate::core::Core;
use crate::slots::Field;

impl Plan {
    /// What is asked of an account or relay.
    pub(crate) fn ask<'a>(&'a self, core: &Core) -> Ask<'a> {
        Ask { draws: self.draws && self.kin() == Kin::Accounts, ..core.wish(&self.resolved) }
    }

    /// The last failure as the client is to hear it: what one account lacks, others may have.
    pub(crate) fn concede(&self, core: &Core, failure: Failure) -> Failure {
        let (list, ways, now) = (core.accounts.list(), core.egress.table(), core.now());
        let (bundled, custom, to) = (&core.bundled, self.resolved.model.custom, &self.resolved.to);
        let field = Field { list: &list, bundled, custom, to, ways: &ways, prefer: None, tried: &[] };
        // Whoever is used up may be tried, but is nobody to hope for.
        let ask = Ask { spent: false, ..self.ask(core) };
        pick::concede(failure, core.slots.look(field, &ask, now), now)
    }
}
