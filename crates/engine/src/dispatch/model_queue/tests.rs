//! When lists are asked for.

use pool::{AccountId, limits};
use tokio::time::Instant;

use super::ModelFetchQueue;

/// How many lists are due, and taken.
fn due(wanted: &ModelFetchQueue) -> usize {
    wanted.schedule.due(Instant::now()).len()
}

#[test]
fn answers_that_belie_a_list_ask_for_it_once() {
    let wanted = ModelFetchQueue::default();
    let (one, two) = (AccountId("1".into()), AccountId("2".into()));
    for expected in [1, 0, 0] {
        wanted.request_doubted(&one);
        assert_eq!(due(&wanted), expected);
    }
    wanted.request_doubted(&two);
    wanted.request(&one);
    assert_eq!(due(&wanted), 2);
}

/// Rounds do not overlap, and one that a client wants waits longer.
#[tokio::test(start_paused = true)]
async fn one_round_runs_at_a_time() {
    let wanted = ModelFetchQueue::default();
    let (admin, client) = limits::MODELS_REFRESH_INTERVALS;
    let round = wanted.round(client);
    assert!(round.is_some());
    tokio::time::advance(client).await;
    assert!(wanted.round(admin).is_none(), "it still runs");
    drop(round);
    drop(wanted.round(client).expect("the rest is over"));
    tokio::time::advance(admin).await;
    assert!(wanted.round(client).is_none());
    assert!(wanted.round(admin).is_some());
}
