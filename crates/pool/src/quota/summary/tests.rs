//! Who is heard of.

use rstest::rstest;

use super::super::{Credits, Spend, Window};
use super::*;

const NOW: Millis = Millis(1_000_000_000);

fn quota(used: f64, resets_in: Option<i64>) -> Quota {
    let window = Window { used_percent: used, minutes: Some(300), resets_at: resets_in.map(|span| NOW.plus(span)) };
    Quota { primary: Some(window), plan: Some(format!("at {used}")), updated: NOW, ..Quota::default() }
}

fn plan(next: Next<'_>, all: &[Quota]) -> (Option<bool>, Option<String>, Option<String>) {
    let summarized = summary(next, all.iter(), NOW);
    (summarized.allowed, summarized.plan, summarized.reached)
}

#[test]
fn the_summary_is_of_the_next_provider() {
    let (exhausted, fresh) = (quota(100.0, Some(1000)), quota(12.0, Some(2000)));
    let all = [exhausted.clone(), fresh.clone()];
    assert_eq!(plan(Next::Account(&fresh), &all), (Some(true), Some("at 12".into()), None));
    // One that serves although its windows are full, by credits for example, does not stop its client.
    let refused = Quota { allowed: Some(false), reached: Some("rate_limit_reached".into()), ..exhausted };
    assert_eq!(plan(Next::Account(&refused), &all), (Some(true), Some("at 100".into()), None));
    let relay = summary(Next::Relay, all.iter(), NOW);
    assert_eq!((relay.allowed, relay.primary, relay.plan), (Some(true), None, None));
}

#[rstest]
#[case(&[], None)]
#[case(&[quota(100.0, Some(9000)), quota(100.0, Some(500)), quota(99.0, Some(1))], Some("500"))]
#[case(&[quota(100.0, None), quota(100.0, Some(9000))], Some("9000"))]
#[case(&[quota(50.0, Some(700)), quota(100.0, None)], Some("none"))]
#[case(&[quota(50.0, Some(700))], Some("700"))]
fn without_a_provider_the_summary_is_of_the_first_one_back(#[case] all: &[Quota], #[case] resets_in: Option<&str>) {
    let summarized = summary(Next::Nobody, all.iter(), NOW);
    assert_eq!((summarized.allowed, summarized.reached.as_deref()), (Some(false), Some("rate_limit_reached")));
    let at = |window: Window| window.resets_at.map_or("none".to_owned(), |at| NOW.until(at).to_string());
    assert_eq!(summarized.primary.map(at).as_deref(), resets_in);
}

#[test]
fn the_reason_is_the_accounts_own() {
    let broke = Quota { reached: Some("workspace_owner_credits_depleted".into()), ..quota(100.0, Some(5)) };
    assert_eq!(summary(Next::Nobody, [broke].iter(), NOW).reached.as_deref(), Some("workspace_owner_credits_depleted"));
}

#[test]
fn owners_business_is_left_out() {
    let credits = Some(Credits { has: true, ..Credits::default() });
    let rich = Some(Credits { has: true, balance: Some("12.5".into()), ..Credits::default() });
    let spend = Some(Spend { limit: Some("50".into()), ..Spend::default() });
    let own = Quota { credits: rich, spend, reset_credits: Some(3), ..quota(1.0, Some(5)) };
    let summarized = summary(Next::Account(&own), std::iter::empty(), NOW);
    assert_eq!((summarized.credits, summarized.spend, summarized.reset_credits), (credits, None, None));
}

/// A window that has reset counts as empty for every reader.
#[test]
fn figures_are_those_of_now() {
    let summarized = summary(Next::Account(&quota(80.0, Some(-1))), std::iter::empty(), NOW);
    assert_eq!(summarized.primary.map(|window| window.used_percent), Some(0.0));
}
