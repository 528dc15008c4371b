//! Refusals of an upstream, as statuses and as events: a request ends after few tries whatever comes, nobody rests longer than is
//! believed, and texts for clients are short, clean and without tokens.

use bytes::Bytes;
use pool::attempt::{History, NextAccount, Outcome, Retry, Signal, Step};
use pool::{AccountId, Status, limits};
use proto::{Failure, Kind, Reader, What, Wire};

use super::answer::{Answer, NOW, clean, latest};

/// Checks one answer.
pub fn check(input: &[u8]) {
    let answer = Answer::of(input);
    let retry = Retry::from_headers(answer.headers(), NOW);
    assert!(retry.after.is_none_or(|after| after <= limits::RESET_MAX.as_secs()), "{retry:?}");
    assert!(retry.resets_at.is_none_or(|at| at <= latest().seconds() && at > 0), "{retry:?}");
    if let Some(reached) = &retry.reached {
        clean(reached, 128);
    }
    if let Some(failure) = early(&answer.body) {
        play(&Outcome::EarlyFail(failure));
    }
    let body = Bytes::copy_from_slice(&answer.body);
    play(&Outcome::Status { code: answer.status, body, retry });
}

/// The failure that the reader makes of a stream which begins with this as its error.
fn early(error: &[u8]) -> Option<Failure> {
    let line: Vec<u8> = error.iter().map(|byte| if b"\r\n".contains(byte) { b' ' } else { *byte }).collect();
    let frame = [&b"data: {\"type\":\"error\",\"error\":"[..], &line, b"}\n\n"].concat();
    let (mut reader, mut events) = (Reader::new(Wire::Responses), Vec::new());
    reader.push(Bytes::from(frame), &mut events);
    events.into_iter().find_map(|event| if let What::Fail(failure) = event.what { Some(failure) } else { None })
}

/// One request that meets nothing but this outcome.
fn play(outcome: &Outcome) {
    let (mut history, mut account) = (History::default(), 0);
    for tries in 1.. {
        assert!(tries <= 16, "no end of tries: {history:?}");
        let id = AccountId(account.to_string());
        let (signal, step) = history.on_outcome(&id, outcome, NOW);
        check_signal(&signal);
        match step {
            Step::Fail(failure) => return check_failure(&failure),
            Step::Again { to, otherwise, .. } => {
                check_failure(&otherwise);
                account += u32::from(to != NextAccount::Same);
            }
        }
    }
}

/// What is learned about the account is bounded.
fn check_signal(signal: &Signal) {
    match signal {
        Signal::Cool { until, why } => {
            assert!(*until > NOW && *until <= latest(), "cooling until {until:?}");
            text(why);
        }
        Signal::Exhaust { until, window }
        | Signal::Measured { until, window }
        | Signal::ModelExhausted { until, limit: window } => {
            assert!(*until > NOW && *until <= latest(), "exhausted until {until:?}");
            clean(window, 64);
        }
        Signal::NeedsLogin { why } | Signal::Expiring { why, .. } | Signal::Block { why } => text(why),
        Signal::None | Signal::Served | Signal::Ample | Signal::SignedIn | Signal::ModelMissing => {}
    }
    let status = Status::Active.apply(signal, NOW);
    let rests = status.usable(NOW).err().and_then(|reason| reason.until());
    assert!(rests.is_none_or(|until| status.usable(until).is_ok()), "{status:?} does not end");
}

/// What a client is told is bounded.
fn check_failure(failure: &Failure) {
    text(&failure.message);
    for word in [&failure.code, &failure.param].into_iter().flatten() {
        clean(word, 256);
    }
    assert!(failure.retry_after.is_none_or(|after| after <= limits::RESET_MAX.as_secs()), "{failure:?}");
    let latest = u64::try_from(latest().seconds()).expect("after 1970");
    assert!(failure.resets_at.is_none_or(|at| at <= latest), "{failure:?}");
    assert_ne!(failure.kind, Kind::Unauthorized, "the account's trouble is not the client's key");
}

/// A text for people: short, clean, and nothing in it that looks like a token.
fn text(message: &str) {
    clean(message, limits::MESSAGE + 128);
    let token = |c: char| c.is_ascii_alphanumeric() || "-_.~+/=".contains(c);
    for word in message.split(|c| !token(c)).filter(|word| word.len() >= 20) {
        let prefixes = ["eyJ", "sk-", "rt_", "oaistb_", "pgk_", "pga_"];
        assert!(!prefixes.iter().any(|prefix| word.starts_with(prefix)), "a token in {message:?}");
    }
}
