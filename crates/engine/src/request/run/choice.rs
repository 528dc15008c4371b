//! A request's requirements on accounts and relays.

use pool::pick::{self, CandidateKind, Requirements};
use proto::Failure;

use super::call::RequestPlan;
use crate::request::services::Services;

impl RequestPlan {
    /// The requirements on an account or relay.
    pub(crate) fn requirements<'a>(&'a self, services: &Services) -> Requirements<'a> {
        Requirements {
            draws: self.may_draw && self.candidate_kind() == CandidateKind::Accounts,
            ..services.dispatch.requirements(&self.resolved)
        }
    }

    /// The failure for the client when no attempt is left. It takes the state of other accounts into account.
    pub(crate) fn final_failure(&self, services: &Services, failure: Failure) -> Failure {
        // An account without quota may be tried, but it gives no retry time.
        let requirements = Requirements { allow_exhausted: false, ..self.requirements(services) };
        services.dispatch.with_candidates(&self.resolved, (None, &[]), |candidates, now| {
            pick::final_failure(failure, services.dispatch.limiter.preview(candidates, &requirements, now), now)
        })
    }
}
