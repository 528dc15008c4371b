//! Quota in headers, events and usage bodies: figures are bounded, dates clamped, texts short, and what we write for clients is read
//! back as the same.

use bytes::Bytes;
use pool::Millis;
use pool::quota::{Quota, Window};
use pool::status::Signal;
use proto::text::Json;

use super::answer::{Answer, NOW, clean, latest};

/// Longest text that is kept.
const TEXT: usize = 64;

/// Checks one answer; its body is read as an event and as a usage body.
pub fn check(input: &[u8]) {
    let answer = Answer::of(input);
    let headers = Quota::from_headers(answer.headers(), NOW);
    let event = proto::json::valid(&answer.body).then(|| Json::from_valid(Bytes::copy_from_slice(&answer.body)));
    let event = event.and_then(|event| Quota::from_event(&event, NOW));
    let usage = Quota::from_usage(&answer.body, NOW);
    for quota in [&headers, &event, &usage].into_iter().flatten() {
        sound(quota);
        written(quota);
    }
    let mut merged = Quota::default();
    for quota in [headers, event, usage].into_iter().flatten() {
        merged.merge(quota);
        sound(&merged);
    }
}

fn sound(quota: &Quota) {
    let named = quota.named.iter().flat_map(|named| [named.primary, named.secondary]);
    [quota.primary, quota.secondary].into_iter().chain(named).flatten().for_each(|window| bounded(&window));
    assert!(quota.named.len() <= 16, "{} limits", quota.named.len());
    let named = quota.named.iter().flat_map(|named| [Some(&named.id), named.name.as_ref()]);
    let balance = quota.credits.as_ref().and_then(|credits| credits.balance.as_ref());
    let texts = named.chain([quota.plan.as_ref(), quota.reached.as_ref(), balance]);
    texts.flatten().for_each(|text| clean(text, TEXT));
    assert!((0.0..=100.0).contains(&quota.used(NOW)));
    if let Signal::Exhaust { until, .. } = quota.signal(NOW) {
        assert!(until > NOW && until <= latest(), "used up until {until:?}");
    }
    let stored = serde_json::to_string(quota).expect("a quota serialises");
    let read: Quota = serde_json::from_str(&stored).expect("a stored quota is readable");
    assert_eq!(read.named.len(), quota.named.len());
    assert!((read.used(NOW) - quota.used(NOW)).abs() < 1e-6);
}

fn bounded(window: &Window) {
    assert!((0.0..=100.0).contains(&window.used_percent), "{window:?}");
    assert!(window.minutes != Some(0), "{window:?}");
    let earliest = Millis(2 * NOW.0 - latest().0);
    assert!(window.resets_at.is_none_or(|at| at >= earliest && at <= latest()), "{window:?}");
}

/// Headers for clients are legal, and say the same when they are read and written again.
fn written(quota: &Quota) {
    let headers = quota.headers(NOW);
    for (name, value) in &headers {
        let token = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        assert!(name.starts_with("x-") && name.bytes().all(token), "{name:?}");
        assert!(value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && value.len() <= TEXT, "{value:?}");
    }
    // A limit whose own name holds the words that the names are built with cannot be told apart again.
    let plain = |id: &str| {
        !["codex", "primary", "secondary", "limit"]
            .iter()
            .any(|word| id == *word || id.contains(&format!("{word}_")) || id.contains(&format!("_{word}")))
    };
    if !quota.named.iter().all(|named| plain(&named.id)) {
        return;
    }
    let again = Quota::from_headers(headers.iter().map(|(name, value)| (name.as_str(), value.as_str())), NOW);
    for (kind, window) in [("primary", quota.primary), ("secondary", quota.secondary)] {
        let read = again.as_ref().and_then(|again| if kind == "primary" { again.primary } else { again.secondary });
        assert_eq!(
            read.map(|read| (read.used(NOW), read.minutes)),
            window.map(|window| (window.used(NOW), window.minutes))
        );
    }
}
