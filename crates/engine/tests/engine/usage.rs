//! One usage row per request, whatever happens to it.

use engine::KeyId;
use offline::{Plan, Rule, Termination};
use proto::Dialect;
use serde_json::json;
use store::Outcome;

use crate::bench::{Bench, call, chat, refused, responses};

#[tokio::test]
async fn a_served_request_is_counted_as_the_provider_counted() {
    let bench = Bench::new().await;
    let client_call = chat("Reply with exactly: one two three");
    let id = client_call.client.request_id.clone();
    bench.ask(client_call).await.expect("a reply");
    let rows = bench.rows(1).await;
    let row = &rows[0];
    assert_eq!((row.request_id.as_ref(), row.key.as_str(), row.dialect.as_ref()), (id.as_str(), "testkey1", "chat"));
    assert_eq!((row.status, row.outcome, row.attempts, row.stream), (200, Outcome::Completed, 1, true));
    assert_eq!(row.account.as_ref(), Some(&bench.ids[0]));
    assert!(row.tokens.input > 0 && row.tokens.output > 0 && !row.tokens.estimated, "{:?}", row.tokens);
    assert!(row.ttft_ms.is_some_and(|first| first <= row.duration_ms));
}

/// Proxies and scripts give all their requests one id; it is theirs, and no row gives way to another for it.
#[tokio::test]
async fn a_request_id_that_repeats_costs_no_row() {
    let bench = Bench::new().await;
    for key in ["testkey1", "testkey1", "testkey2"] {
        let mut client_call = chat("Reply with exactly: one");
        client_call.client.request_id = "constant".to_owned();
        client_call.key = KeyId(key.to_owned());
        bench.ask(client_call).await.expect("a reply");
    }
    let rows = bench.rows(3).await;
    let mut keys: Vec<_> = rows.iter().map(|row| row.key.as_str()).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["testkey1", "testkey1", "testkey2"]);
    assert!(rows.iter().all(|row| *row.request_id == *"constant" && row.id.get_version_num() == 7));
    assert_eq!(bench.store.usage().lost(), 0);
}

#[tokio::test]
async fn every_way_out_leaves_one_row() {
    let bench = Bench::new().await;
    bench.ask(responses("hello")).await.expect("a reply");
    bench.backend.add_rule(Rule::responses(Plan::json(400, json!({"detail": "no"}))));
    refused(bench.ask(chat("hello")).await);
    bench.backend.add_rule(Rule::responses(Plan::auto().cut_event(9, Termination::Reset)));
    bench.ask(responses("count to 30")).await.expect("a stream that breaks");
    bench.backend.add_rule(Rule::responses(Plan::auto().cut_event(9, Termination::Reset)));
    refused(bench.ask(call(Dialect::Responses, "count to 30", false)).await);
    let mut unknown = chat("hello");
    unknown.request.model = Some("nobody-knows-me".into());
    refused(bench.ask(unknown).await);
    let mut left = bench.open(responses("count to 2000")).await;
    left.see("delta").await;
    drop(left);
    let rows = bench.rows(6).await;
    let mut outcomes: Vec<_> = rows.iter().map(|row| (row.status, row.outcome)).collect();
    outcomes.sort_by_key(|(status, outcome)| (*status, *outcome != Outcome::Completed));
    assert_eq!(
        outcomes,
        [
            (200, Outcome::Completed),
            (200, Outcome::Failed),
            (400, Outcome::Failed),
            (404, Outcome::Failed),
            (499, Outcome::Aborted),
            (502, Outcome::Failed),
        ]
    );
    let broken = rows.iter().find(|row| (row.status, row.outcome) == (200, Outcome::Failed)).expect("the broken one");
    assert!(broken.tokens.estimated && broken.tokens.output > 0, "{:?}", broken.tokens);
    let refused = rows.iter().find(|row| row.status == 400).expect("the refused one");
    assert_eq!((refused.tokens.input, refused.tokens.estimated), (0, false));
}

#[tokio::test]
async fn a_name_that_nobody_knows_does_not_fill_the_disk() {
    let bench = Bench::new().await;
    let mut client_call = chat("hello");
    client_call.request.model = Some("é".repeat(1 << 19));
    refused(bench.ask(client_call).await);
    assert_eq!(bench.rows(1).await[0].model, "é".repeat(64));
}

#[tokio::test]
async fn stopping_writes_everything() {
    let bench = Bench::new().await;
    bench.ask(chat("hello")).await.expect("a reply");
    bench.backend.add_rule(Rule::responses(Plan::usage_limit(3600)));
    refused(bench.ask(chat("hello")).await);
    bench.engine.stop().await;
    let accounts = bench.store.accounts().await.expect("accounts");
    assert_eq!(accounts[0].status.as_str(), "exhausted");
    assert!(accounts[0].quota.primary.is_some());
    assert_eq!(bench.store.usage().rows(10).await.expect("rows").len(), 2);
}
