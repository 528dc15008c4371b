//! What is remembered, and that it is bounded.

use super::*;

fn record(account: &str) -> AffinityRecord {
    AffinityRecord {
        account: AccountId(account.into()),
        turn_state: None,
        foreign: None,
        away: false,
        turns: Vec::new(),
    }
}

#[test]
fn the_last_account_counts() {
    let affinity = Affinity::default();
    let conversation = Uuid::from_u128(1);
    assert_eq!(affinity.get(conversation), None);
    affinity.set(conversation, record("a"));
    affinity.set(conversation, record("b"));
    assert_eq!(affinity.get(conversation), Some(record("b")));
}

#[test]
fn the_oldest_are_forgotten_and_the_used_are_kept() {
    let affinity = Affinity::default();
    let used = Uuid::from_u128(u128::MAX);
    for n in 0..(3 * GENERATION as u128) {
        affinity.set(Uuid::from_u128(n), record("a"));
        if n % 1000 == 0 {
            affinity.set(used, record("k"));
        }
    }
    let generations = affinity.0.lock();
    assert!(generations.young.len() + generations.old.len() <= 2 * GENERATION);
    drop(generations);
    assert_eq!(affinity.get(used), Some(record("k")));
    assert_eq!(affinity.get(Uuid::from_u128(0)), None);
    assert!(affinity.get(Uuid::from_u128(3 * GENERATION as u128 - 1)).is_some());
}
