use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::*;
use crate::tests::{NOW, Site, usage};

/// The clock cannot be paused here: the database works on threads of its own, and a paused clock would jump over them.
#[tokio::test]
async fn a_row_is_written_without_being_asked_for() {
    let (site, begun) = (Site::sqlite(), Instant::now());
    let (store, other) = (site.open().await, site.open().await);
    store.usage().record(usage("1", NOW));
    while other.usage().rows(1).await.unwrap().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(20), "not written");
    }
}

#[tokio::test]
async fn a_full_queue_costs_rows_and_no_time() {
    let (queue, jobs) = mpsc::channel(2);
    let rows = Usage { queue, lost: Arc::default(), task: Arc::default() };
    for _ in 0..5 {
        rows.record(usage("1", NOW));
    }
    assert_eq!(rows.lost(), 3);
    drop(jobs);
}
