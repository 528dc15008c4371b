//! Reads a refusal (status, body, headers, or a failure event) into the class that the table decides by.
//!
//! The shapes and codes are those that the backend and Cloudflare are known to answer with; an unknown code falls back to
//! what its status means.

use std::time::Duration;

use bytes::Bytes;
use proto::failure::{Failure, Kind};

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
    /// This account or this exit may not do it, for now (403, country).
    Forbidden,
    /// This request is not for this relay (403, a scope that its key lacks); others may be.
    KeyScope,
    /// The account itself, for good.
    Banned,
    /// Too many requests (plain 429).
    Limited,
    /// A used-up window, credits or plan.
    Spent(String),
    /// The used-up limit of one model.
    ModelLimit(String),
    /// The account does not have the model.
    NoModel,
    /// State of an earlier reply that this account does not know.
    Replay,
    /// The backend is in trouble.
    Unsteady,
    /// As `Unsteady`, and it says how long.
    RetryAfter,
    /// The request itself.
    Final,
}

/// A refusal, read.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    /// What it is about.
    pub(super) class: Class,
    /// When the account may serve again, for `Limited`, `Spent` and the like.
    pub(super) until: Millis,
    /// What a client is told.
    pub(super) failure: Failure,
}

/// Reads a status other than 2xx.
pub(super) fn read_status(status: u16, body: &Bytes, retry: &Retry, now: Millis) -> Refusal {
    let mut said = ErrorBody::read(body);
    let html = error_body::is_html(body);
    if html {
        said.message = Some(format!("the upstream answered {status} with an HTML page"));
    }
    let challenged = status == 403 && (retry.challenged || html);
    let class = if challenged { Class::Challenge } else { classify(status, body.is_empty(), &said, retry) };
    let class = match (class, retry.window) {
        (Class::Spent(name), _) if retry.limit.is_some() && !is_whole_account(&name) => {
            Class::ModelLimit(retry.limit.clone().unwrap_or_default())
        }
        (Class::Spent(name), Some(window)) if name == "usage" => Class::Spent(window.into()),
        (class, _) => class,
    };
    if class == Class::Challenge {
        said.message = Some(format!("Cloudflare stopped the request before the upstream ({status})"));
    }
    if said.message.is_none() {
        said.message = Some(match said.code() {
            Some(code) => format!("the upstream answered {status}: {code}"),
            None => format!("the upstream answered {status} without an explanation"),
        });
    }
    finish(class, &said, retry, kind_of(status), now)
}

/// Reads a failure event that came before the first real one.
pub(super) fn read_early_failure(failure: &Failure, rest: Option<Duration>, now: Millis) -> Refusal {
    let said = ErrorBody {
        code: error_body::sanitized_code(failure.code.as_deref()),
        message: Some(error_body::clean(&failure.message)),
        param: error_body::sanitized_code(failure.param.as_deref()),
        resets_at: failure.resets_at.and_then(|at| i64::try_from(at).ok()),
        ..ErrorBody::default()
    };
    let retry = Retry { after: failure.retry_after, rest, ..Retry::default() };
    let class = said.class().unwrap_or(match failure.kind {
        Kind::Unauthorized => Class::Login,
        Kind::RateLimited => Class::Limited,
        Kind::Exhausted => Class::Spent("usage".into()),
        Kind::ModelNotFound => Class::NoModel,
        Kind::Internal | Kind::Upstream | Kind::Overloaded | Kind::Timeout => Class::Unsteady,
        _ => Class::Final,
    });
    finish(class, &said, &retry, failure.kind, now)
}

/// Class by what was said, else by status.
fn classify(status: u16, empty: bool, said: &ErrorBody, retry: &Retry) -> Class {
    if let Some(class) = said.class().filter(|class| fits(class, status)) {
        return class;
    }
    match status {
        401 => Class::Login,
        402 => Class::Spent("credits".into()),
        403 => Class::Forbidden,
        404 if empty => Class::Challenge,
        429 => retry.spent().map_or(Class::Limited, |window| Class::Spent(window.into())),
        500 | 502 | 503 | 504 => Class::Unsteady,
        _ => Class::Final,
    }
}

/// Whether a code may decide under a status: a 400 that names `server_error` is still a 400, only a 401 is about the login,
/// and a 5xx says nothing sure about the account.
fn fits(class: &Class, status: u16) -> bool {
    match class {
        Class::Unsteady => false,
        Class::Login => status == 401,
        _ => status < 500,
    }
}

/// Builds the answer. A time that has passed already counts as not given: our clock or theirs is off.
fn finish(class: Class, said: &ErrorBody, retry: &Retry, kind: Kind, now: Millis) -> Refusal {
    let until = until(&class, said, retry, now);
    let wait = now.until(until).div_ceil(1000);
    let message = said.message.clone().unwrap_or_default();
    let named = |kind| Failure { code: said.code(), param: said.param.clone(), ..Failure::new(kind, &message) };
    let failure = match &class {
        Class::Login => Failure::new(Kind::Upstream, format!("the upstream refused the account's login: {message}")),
        Class::Challenge | Class::Forbidden | Class::Banned | Class::KeyScope => named(Kind::Upstream),
        Class::Limited => named(Kind::RateLimited).code("rate_limit_exceeded").retry_after(wait),
        Class::Spent(_) | Class::ModelLimit(_) => Failure {
            code: said.code().or_else(|| retry.reached.clone()).or_else(|| Some("usage_limit_reached".into())),
            resets_at: u64::try_from(until.seconds()).ok(),
            ..named(Kind::Exhausted).retry_after(wait)
        },
        Class::NoModel => named(Kind::ModelNotFound).code("model_not_found").at("model"),
        Class::Replay => named(Kind::Invalid),
        Class::Unsteady | Class::RetryAfter => Failure { retry_after: retry.after, ..named(client_kind(kind, said)) },
        Class::Final => named(said.code.as_deref().and_then(error_body::kind_of_code).unwrap_or(kind)),
    };
    Refusal { class, until, failure }
}

fn client_kind(kind: Kind, said: &ErrorBody) -> Kind {
    match said.code.as_deref() {
        Some("server_is_overloaded" | "slow_down") => Kind::Overloaded,
        _ => kind,
    }
}

/// When the account may serve again. Spans come before instants: they hold whatever our clock says.
fn until(class: &Class, said: &ErrorBody, retry: &Retry, now: Millis) -> Millis {
    let ahead = |at: &i64| *at > now.seconds();
    let seconds = match class {
        Class::Limited => retry.after.or_else(|| said.wait()),
        Class::Spent(_) | Class::ModelLimit(_) => {
            let instant = said.resets_at.filter(ahead).or(retry.resets_at.filter(ahead));
            let span = instant.map(|at| Millis(at.saturating_mul(1000))).map(|at| now.until(at).div_ceil(1000));
            said.resets_in.or(span).or(retry.after)
        }
        _ => None,
    };
    let rest = match class {
        Class::Challenge => limits::CHALLENGE_BACKOFF,
        Class::Forbidden => limits::FORBIDDEN_BACKOFF,
        Class::Spent(window) if window == "credits" || window == "plan" => limits::QUOTA_BACKOFF,
        _ => retry.rest.unwrap_or(limits::RATE_BACKOFF),
    };
    let rest = seconds.map_or(rest, |seconds| Duration::from_secs(seconds.max(1))).min(limits::RESET_MAX);
    now.plus(millis(rest))
}

/// Whether a used-up limit is the whole account's, whatever limit a model has.
fn is_whole_account(window: &str) -> bool {
    matches!(window, "credits" | "plan" | "workspace")
}

pub(super) fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

fn kind_of(status: u16) -> Kind {
    match status {
        404 => Kind::NotFound,
        413 => Kind::TooLarge,
        415 => Kind::Unsupported,
        408 | 504 => Kind::Timeout,
        503 => Kind::Overloaded,
        // About the way there or our own request line, never about what the client wrote.
        401..=403 | 405 | 407 | 421 | 426 => Kind::Upstream,
        429 => Kind::RateLimited,
        400..=499 => Kind::Invalid,
        _ => Kind::Upstream,
    }
}
