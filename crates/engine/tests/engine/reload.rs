//! What the keeper reads of the store when somebody else wrote there.

use std::fmt::Write as _;
use std::time::Duration;

use engine::{Engine, NewKey};
use offline::Quota;
use pool::keys::{KeyKind, Scopes};

use crate::bench::{Bench, PATIENCE, Setup, whole};

/// Accounts beside the two that serve.
const MANY: usize = 10_000;

/// Another process writes to the file.
async fn write(bench: &Bench, sql: String) {
    store::execute_foreign_sql(bench.home.path(), sql).await.expect("another process writes");
}

/// Copies of the first account, by other ids; their tokens are sealed for that one and cannot be read.
fn copies() -> String {
    let columns = "label, email, plan, fedramp, status, quota, created, access, refresh, identity, expires, refreshed, version, fence";
    let mut sql = format!("INSERT INTO account (id, upstream_id, user_id, {columns}) ");
    let _ = write!(
        sql,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY}) \
         SELECT 'copy-' || i, 'upstream-' || i, 'user', {columns} FROM (SELECT * FROM account ORDER BY created LIMIT 1), n"
    );
    sql
}

/// Waits until the figures of the account that served are stored.
async fn figures(bench: &Bench) {
    while bench.store.accounts().await.expect("accounts").iter().all(|account| account.quota.updated.0 == 0) {
        tokio::task::yield_now().await;
    }
}

/// A status that somebody wrote over is read whatever the version of its row says, and ours is applied to it.
#[tokio::test]
async fn a_status_that_was_overtaken_is_written_after_all() {
    let bench = Bench::new().await;
    write(&bench, "UPDATE account SET status_rev = status_rev + 5".into()).await;
    bench.backend.set_quota(&bench.logins[0].account_id, &Quota::exhausted(Duration::from_hours(1)));
    assert!(bench.engine.run(whole("hello")).await.is_err(), "its quota is used up");
    let stored = async {
        while bench.store.accounts().await.expect("accounts")[0].status.as_str() != "exhausted" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, stored).await.expect("its status is stored in time");
}

/// Beside ten thousand accounts, one that changes is read, and no other: their tokens are in memory still, where the stored ones
/// cannot be read any more.
#[tokio::test]
async fn only_what_others_changed_is_read_again() {
    let bench = Bench::with(Setup::accounts(2)).await;
    write(&bench, copies()).await;
    bench.until("the copies are there", |bench| bench.engine.accounts().list().len() == MANY + 2).await;
    write(&bench, "UPDATE account SET access = 'damaged'".into()).await;
    let rename = |id: &str, label: &str| {
        format!("UPDATE account SET label = '{label}', version = version + 1 WHERE id = '{id}'")
    };
    let shows = |bench: &Bench, id: &str, label: &str| {
        bench.engine.accounts().list().iter().any(|view| view.id == id && view.label == label)
    };
    write(&bench, rename("copy-7", "seven")).await;
    bench.until("one is renamed", |bench| shows(bench, "copy-7", "seven")).await;
    bench.engine.run(whole("hello")).await.expect("its tokens were not read again");
    // What we write ourselves is nobody else's change either.
    tokio::time::timeout(PATIENCE, figures(&bench)).await.expect("its figures are written in time");
    write(&bench, rename("copy-8", "eight")).await;
    bench.until("another is renamed", |bench| shows(bench, "copy-8", "eight")).await;
    bench.engine.run(whole("hello")).await.expect("its tokens were not read again");
    // One that somebody else did change is read.
    for id in &bench.ids {
        write(&bench, rename(&id.0, "damaged")).await;
    }
    bench.until("both are renamed", |bench| bench.ids.iter().all(|id| shows(bench, &id.0, "damaged"))).await;
    assert!(bench.engine.run(whole("hello")).await.is_err(), "their tokens were read");
}

/// A command about keys reads no account, so a damaged one does not stop it.
#[tokio::test]
async fn a_damaged_account_stops_no_command_about_keys() {
    let bench = Bench::new().await;
    write(&bench, "UPDATE account SET status = '{'".into()).await;
    assert!(Engine::for_command(bench.parts().await).await.is_err(), "other commands name the damage");
    let engine = Engine::for_keys(bench.parts().await).await.expect("the keys are fine");
    let (name, kind, scopes) = ("test".to_owned(), KeyKind::Client, Scopes::default());
    let new = NewKey { name, kind, scopes, expires: None, tools: None };
    let key = engine.keys().create(new).await.expect("a key");
    assert!(engine.keys().revoke(&key.id).await.expect("revoked"));
    assert_eq!(engine.keys().list().len(), 1);
}
