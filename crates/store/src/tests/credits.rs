//! Reset credits: one of several attempts is sent, and an attempt with an unknown outcome keeps its id.

use tokio::task::JoinSet;

use super::{NOW, Site, add};
use crate::CreditClaim::{self, Begun, Gone, TooSoon};

fn request(begun: CreditClaim) -> String {
    let Begun { request } = begun else { panic!("{begun:?}") };
    request
}

pub(super) async fn one_of_many_consumes_a_credit(site: &Site) {
    let (store, other) = (site.open().await, site.open().await);
    let id = add(&store, "one").await;
    let mut tries = JoinSet::new();
    for number in 0..8 {
        let (store, id) = (if number % 2 == 0 { store.clone() } else { other.clone() }, id.clone());
        tries.spawn(async move { store.begin_credit(&id, None, NOW).await.unwrap() });
    }
    let all = tries.join_all().await;
    assert_eq!(all.iter().filter(|answer| matches!(answer, Begun { .. })).count(), 1);
    assert_eq!(all.iter().filter(|answer| **answer == TooSoon { until: NOW.plus(30_000) }).count(), 7);
    assert_eq!(store.begin_credit(&pool::AccountId("none".into()), None, NOW).await.unwrap(), Gone);
}

pub(super) async fn a_try_of_unknown_outcome_keeps_its_id(site: &Site) {
    let store = site.open().await;
    let id = add(&store, "one").await;
    let first = request(store.begin_credit(&id, None, NOW).await.unwrap());
    let again = request(store.begin_credit(&id, None, NOW.plus(30_000)).await.unwrap());
    assert_eq!(again, first, "nobody knows what became of it");
    store.end_credit(&id, &first).await.unwrap();
    let next = request(store.begin_credit(&id, None, NOW.plus(60_000)).await.unwrap());
    assert_ne!(next, first);
    let given = request(store.begin_credit(&id, Some("mine"), NOW.plus(90_000)).await.unwrap());
    assert_eq!(given, "mine", "a caller that names an id gets it");
}

/// The id that a client makes for each click does not replace an attempt with an unknown outcome.
pub(super) async fn an_offered_id_is_for_a_new_try(site: &Site) {
    let store = site.open().await;
    let id = add(&store, "one").await;
    let offers = ["one", "two", "three"];
    for (at, (offered, wanted)) in (0..).zip(offers.into_iter().zip(["one", "one", "three"])) {
        let begun = request(store.begin_credit_with_id(&id, offered, NOW.plus(at * 30_000)).await.unwrap());
        assert_eq!(begun, wanted);
        if at == 1 {
            store.end_credit(&id, &begun).await.unwrap();
        }
    }
}

/// Nodes have different clocks. Each case has the start of the first and of the next attempt, by the clocks of their nodes, and whether the
/// next attempt may begin.
pub(super) async fn clocks_of_nodes_may_differ(site: &Site) {
    let store = site.open().await;
    let cases = [(0, 29_999, false), (0, 30_000, true), (5_000, 0, false), (60_000, 0, false), (400_000, 0, true)];
    for (number, (first, next, begins)) in cases.into_iter().enumerate() {
        let id = add(&store, &format!("account{number}")).await;
        let tried = request(store.begin_credit(&id, None, NOW.plus(first)).await.unwrap());
        store.end_credit(&id, &tried).await.unwrap();
        let then = store.begin_credit(&id, None, NOW.plus(next)).await.unwrap();
        assert_eq!(matches!(then, Begun { .. }), begins, "{first} {next}: {then:?}");
    }
}
