//! Reads a refusal (status, body, headers, or a failure event) into the class that the retry table uses.
//!
//! The shapes and codes are those that `proto::upstream_error` knows; an unknown code falls back to what its status means.

use std::time::Duration;

use bytes::Bytes;
use proto::failure::{Failure, Kind};
use proto::upstream_error::{Cause, Source, bounds, kind_of_status};

use super::Retry;
use super::error_body::{self, ErrorBody};
use crate::{Millis, limits};

/// What a refusal is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// The account's login (401).
    Login,
    /// Cloudflare in front of the backend: a challenge page, or its empty 404.
    Challenge,
    /// The account or its exit address is refused for now (403, country).
    Forbidden,
    /// The relay refuses this request only (403, its key lacks a scope).
    KeyScope,
    /// The account is refused for good.
    Banned,
    /// Too many requests (plain 429).
    Limited,
    /// A used-up window, credits or plan.
    Exhausted(String),
    /// The used-up limit of one model.
    ModelLimit(String),
    /// The account does not have the model.
    NoModel,
    /// The request refers to an earlier reply that this account does not know.
    Replay,
    /// The backend fails.
    Unsteady,
    /// Like `Unsteady`, with a time to wait.
    RetryAfter,
    /// The request itself.
    Final,
}

impl Class {
    /// The class of a cause; `None` for the key of a relay, which no account has.
    pub(super) fn of(cause: Cause) -> Option<Self> {
        Some(match cause {
            Cause::Kind(kind) => Self::of_kind(kind),
            Cause::Exhausted(window) => Self::Exhausted(window.into()),
            Cause::Banned => Self::Banned,
            Cause::Replay => Self::Replay,
            Cause::RelayKey => return None,
        })
    }

    fn of_kind(kind: Kind) -> Self {
        match kind {
            Kind::Unauthorized => Self::Login,
            Kind::Forbidden => Self::Forbidden,
            Kind::RateLimited => Self::Limited,
            Kind::Exhausted => Self::Exhausted("usage".into()),
            Kind::ModelNotFound => Self::NoModel,
            Kind::Internal | Kind::Upstream | Kind::Overloaded | Kind::Timeout => Self::Unsteady,
            _ => Self::Final,
        }
    }
}

/// A refusal, read.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    /// The class.
    pub(super) class: Class,
    /// When the account may serve again, for `Limited`, `Exhausted` and the like.
    pub(super) until: Millis,
    /// The failure for the client.
    pub(super) failure: Failure,
}

/// Reads a status other than 2xx.
pub(super) fn read_status(status: u16, body: &Bytes, retry: &Retry, now: Millis) -> Refusal {
    let mut error = ErrorBody::read(body);
    let html = body.trim_ascii_start().starts_with(b"<");
    if html {
        error.message = Some(format!("the upstream answered {status} with an HTML page"));
    }
    let challenged = status == 403 && (retry.challenged || html);
    let class = if challenged { Class::Challenge } else { classify(status, body.is_empty(), &error, retry) };
    let class = match (class, retry.window) {
        (Class::Exhausted(name), _) if retry.limit.is_some() && !is_whole_account(&name) => {
            Class::ModelLimit(retry.limit.clone().unwrap_or_default())
        }
        (Class::Exhausted(name), Some(window)) if name == "usage" => Class::Exhausted(window.into()),
        (class, _) => class,
    };
    if class == Class::Challenge {
        error.message = Some(format!("Cloudflare stopped the request before the upstream ({status})"));
    }
    if error.message.is_none() {
        error.message = Some(match error.code() {
            Some(code) => format!("the upstream answered {status}: {code}"),
            None => format!("the upstream answered {status} without an explanation"),
        });
    }
    finish(class, &error, retry, kind_of_status(status, Source::Account), now)
}

/// Reads a failure event that came before the first real one.
pub(super) fn read_early_failure(failure: &Failure, rest: Option<Duration>, now: Millis) -> Refusal {
    let error = ErrorBody {
        code: error_body::sanitized_code(failure.code.as_deref()),
        message: Some(error_body::clean(&failure.message)),
        param: error_body::sanitized_code(failure.param.as_deref()),
        resets_at: failure.resets_at.and_then(|at| i64::try_from(at).ok()),
        ..ErrorBody::default()
    };
    let retry = Retry { after: failure.retry_after, rest, ..Retry::default() };
    let class = error.class().unwrap_or_else(|| Class::of_kind(failure.kind));
    finish(class, &error, &retry, failure.kind, now)
}

/// The class by the body, else by the status.
fn classify(status: u16, empty: bool, error: &ErrorBody, retry: &Retry) -> Class {
    if let Some(class) = error.class().filter(|class| fits(class, status)) {
        return class;
    }
    match status {
        401 => Class::Login,
        402 => Class::Exhausted("credits".into()),
        403 => Class::Forbidden,
        404 if empty => Class::Challenge,
        429 => retry.exhausted().map_or(Class::Limited, |window| Class::Exhausted(window.into())),
        500 | 502 | 503 | 504 => Class::Unsteady,
        _ => Class::Final,
    }
}

/// Whether the class of a code may override the status. A 400 with `server_error` stays a 400, only a 401 concerns the login, and
/// a 5xx proves nothing about the account.
fn fits(class: &Class, status: u16) -> bool {
    match class {
        Class::Unsteady => false,
        Class::Login => status == 401,
        _ => status < 500,
    }
}

/// Builds the refusal. A time in the past counts as missing, because one of the clocks is wrong.
fn finish(class: Class, error: &ErrorBody, retry: &Retry, kind: Kind, now: Millis) -> Refusal {
    let until = until(&class, error, retry, now);
    let wait = now.until(until).div_ceil(1000);
    let message = error.message.clone().unwrap_or_default();
    let named = |kind| Failure { code: error.code(), param: error.param.clone(), ..Failure::new(kind, &message) };
    // Some codes name the kind more exactly than a status does; `Upstream` is the least exact one.
    let kind = match error.code.as_deref().and_then(Cause::of_code) {
        Some(Cause::Kind(named)) if named != Kind::Upstream && Class::of_kind(named) == class => named,
        _ => kind,
    };
    let failure = match &class {
        Class::Login => Failure::new(Kind::Upstream, format!("the upstream refused the account's login: {message}")),
        Class::Challenge | Class::Forbidden | Class::Banned | Class::KeyScope => named(Kind::Upstream),
        Class::Limited => named(Kind::RateLimited).code("rate_limit_exceeded").retry_after(wait),
        Class::Exhausted(_) | Class::ModelLimit(_) => Failure {
            code: error.code().or_else(|| retry.reached.clone()).or_else(|| Some("usage_limit_reached".into())),
            resets_at: u64::try_from(until.seconds()).ok(),
            ..named(Kind::Exhausted).retry_after(wait)
        },
        Class::NoModel => named(Kind::ModelNotFound).code("model_not_found").at("model"),
        Class::Replay => named(Kind::Invalid),
        Class::Unsteady | Class::RetryAfter => Failure { retry_after: retry.after, ..named(kind) },
        Class::Final => named(kind),
    };
    Refusal { class, until, failure }
}

/// When the account may serve again. Spans come before instants: they hold whatever our clock says.
fn until(class: &Class, error: &ErrorBody, retry: &Retry, now: Millis) -> Millis {
    let ahead = |at: &i64| *at > now.seconds();
    let seconds = match class {
        Class::Limited => retry.after.or_else(|| bounds::try_again(error.message.as_deref()?)),
        Class::Exhausted(_) | Class::ModelLimit(_) => {
            let instant = error.resets_at.filter(ahead).or(retry.resets_at.filter(ahead));
            let span = instant.map(|at| Millis(at.saturating_mul(1000))).map(|at| now.until(at).div_ceil(1000));
            error.resets_in.or(span).or(retry.after)
        }
        _ => None,
    };
    now.plus(rest(class, seconds, retry))
}

/// How long the account rests, milliseconds: what was said, else what is usual.
pub(super) fn rest(class: &Class, seconds: Option<u64>, retry: &Retry) -> i64 {
    let usual = match class {
        Class::Challenge => limits::CHALLENGE_BACKOFF,
        Class::Forbidden => limits::FORBIDDEN_BACKOFF,
        Class::Exhausted(window) if window == "credits" || window == "plan" => limits::QUOTA_BACKOFF,
        _ => retry.rest.unwrap_or(limits::RATE_BACKOFF),
    };
    let rest = seconds.map_or(usual, |seconds| Duration::from_secs(seconds.max(1))).min(limits::RESET_MAX);
    i64::try_from(rest.as_millis()).unwrap_or(i64::MAX)
}

/// Whether a used-up limit belongs to the whole account and not to a model.
fn is_whole_account(window: &str) -> bool {
    matches!(window, "credits" | "plan" | "workspace")
}
