//! Reads refusals of relays, which their protocol has turned into a [`Failure`].
//!
//! A relay differs from an account: its key cannot be refreshed, a 403 may concern only the request, and a 404 may concern the
//! address that its owner configured.

#[cfg(test)]
mod tests;

use proto::failure::{Failure, Kind};
use proto::upstream_error::{Cause, is_scope_refusal, is_signature_refusal};

use super::Retry;
use super::error_body;
use super::refusal::{self, Class, Refusal};
use crate::Millis;

/// Reads a refusal with this status; 0 for one inside a stream.
pub(super) fn read(status: u16, failure: &Failure, retry: &Retry, now: Millis) -> Refusal {
    let mut failure = Failure { message: error_body::clean(&failure.message), ..failure.clone() };
    failure.code = error_body::sanitized_code(failure.code.as_deref());
    let after = retry.after.or(failure.retry_after).filter(|seconds| *seconds > 0);
    let class = class(status, &failure, after.is_some());
    let until = now.plus(refusal::rest(&class, after, retry));
    Refusal { failure: for_client(&class, failure, after), class, until }
}

fn class(status: u16, failure: &Failure, timed: bool) -> Class {
    let cause = failure.code.as_deref().and_then(Cause::of_code);
    match (status, failure.kind) {
        (0 | 401 | 403, _) if is_scope_refusal(failure) => Class::KeyScope,
        _ if cause == Some(Cause::RelayKey) => Class::Login,
        _ if cause == Some(Cause::Replay) || is_signature_refusal(failure) => Class::Replay,
        (_, Kind::Filtered | Kind::ContextLength | Kind::TooLarge) => Class::Final,
        (401, _) | (_, Kind::Unauthorized) => Class::Login,
        (402, _) | (_, Kind::Exhausted) => Class::Exhausted("credits".into()),
        (_, Kind::ModelNotFound) => Class::NoModel,
        (403, _) | (_, Kind::Forbidden) => Class::KeyScope,
        (429, _) | (_, Kind::RateLimited) => Class::Limited,
        (500.., _) | (_, Kind::Overloaded | Kind::Timeout | Kind::Internal | Kind::Upstream) if timed => {
            Class::RetryAfter
        }
        (500.., _) | (0 | 408, Kind::Overloaded | Kind::Timeout | Kind::Internal | Kind::Upstream) => Class::Unsteady,
        _ => Class::Final,
    }
}

/// What a client is told: what its own request did wrong stays, what is between us and the relay is not its fault.
fn for_client(class: &Class, failure: Failure, after: Option<u64>) -> Failure {
    let with_kind = |kind| Failure { kind, ..failure.clone() };
    match class {
        Class::Login => Failure::new(Kind::Upstream, format!("the relay's key is refused: {}", failure.message))
            .code("relay_key_refused"),
        Class::KeyScope => with_kind(Kind::Forbidden),
        Class::Exhausted(_) => Failure { retry_after: after, ..with_kind(Kind::Exhausted) },
        Class::Limited => Failure { retry_after: after, ..with_kind(Kind::RateLimited) },
        Class::NoModel => with_kind(Kind::ModelNotFound).code("model_not_found").at("model"),
        Class::RetryAfter => Failure { retry_after: after, ..failure },
        // The owner configured the address, so the client's request is not at fault.
        Class::Final if matches!(failure.kind, Kind::NotFound | Kind::Method) => with_kind(Kind::Upstream),
        _ => failure,
    }
}
