use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::*;
use crate::tests::{NOW, Site, usage};

/// The clock cannot be paused here: the database works on separate threads, and a paused clock would skip their work.
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

/// A time before every age limit.
const LONG_AGO: Millis = Millis(1_000_000_000_000);

/// The oldest rows are removed first, and the file shrinks.
#[tokio::test]
async fn a_file_keeps_to_its_cap() {
    let site = Site::sqlite();
    let open = async |bytes| {
        let kept = Retention { age: None, bytes };
        crate::Store::open(crate::Options { usage: kept, ..site.options() }).await.unwrap()
    };
    let store = open(1 << 30).await;
    for number in 0..20_000 {
        store.usage().record(usage(&number.to_string(), LONG_AGO.plus(number)));
    }
    store.usage().flush().await;
    store.close().await;
    let path = site.home().join("usage.db");
    let before = std::fs::metadata(&path).unwrap().len();
    let store = open(before / 4).await;
    let begun = Instant::now();
    store.usage().record(usage("newest", NOW));
    loop {
        let rows = store.usage().rows(100_000).await.unwrap();
        assert_eq!(rows[0].request_id.as_ref(), "newest");
        if rows.len() < 8_000 && std::fs::metadata(&path).unwrap().len() < before / 2 {
            break;
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "{} rows", rows.len());
    }
    store.close().await;
}
