//! Stores of earlier and later programs.

use std::time::Duration;

use sqlx::postgres::PgPool;
use sqlx::{Executor, Row};
use tokio::time::{sleep, timeout};

use super::cluster::Cluster;
use super::{NOW, Site, account, refusal, tokens};
use crate::failpoint::SETTING;
use crate::{OpenError, Options, SchemaPolicy, Store};

const LATER: &str = "INSERT INTO migration (number, name, digest, applied, floor) VALUES (9999, 'later', 'x', 0, $1)";
const FLOOR: &str = "UPDATE migration SET floor = $1 WHERE number = 9999";
const FORGET: &str = "DELETE FROM migration WHERE number >= 10";
/// Whether a session waits for a lock in this database.
const WAITS: &str = "SELECT COUNT(*) > 0 FROM pg_locks WHERE NOT granted \
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
const UNDO: [&str; 2] = ["ALTER TABLE account DROP COLUMN status_rev", "DROP TABLE credit_use"];

pub(super) async fn a_newer_schema_works_down_to_its_floor(site: &Site) {
    let store = site.open().await;
    store.write(SETTING, LATER, &[0.into()]).await.unwrap();
    store.close().await;
    for schema in [SchemaPolicy::Migrate, SchemaPolicy::RequireCurrent] {
        let store = Store::open(Options { schema, ..site.options() }).await.unwrap();
        store.put_account(account("one", tokens("one", 0)), NOW).await.unwrap();
        store.write(SETTING, FLOOR, &[11.into()]).await.unwrap();
        store.close().await;
    }
    let store = site.open().await;
    store.write(SETTING, FLOOR, &[9999.into()]).await.unwrap();
    store.close().await;
    assert!(matches!(refusal(site).await, OpenError::SchemaTooNew { found: 9999, .. }));
}

pub(super) async fn an_older_schema_needs_the_migrate_policy(site: &Site) {
    let expecting = || Options { schema: SchemaPolicy::RequireCurrent, ..site.options() };
    let remote = site.options().postgres.is_some();
    match Store::open(expecting()).await {
        Ok(store) => store.close().await,
        Err(error) => assert!(remote && matches!(error, OpenError::SchemaTooOld { found: 0, .. }), "{error}"),
    }
    undo(site).await;
    let Err(error) = Store::open(expecting()).await else { panic!("it opened") };
    assert!(matches!(error, OpenError::SchemaTooOld { found: 9 | 8, .. }), "{error}");
    let store = site.open().await;
    assert!(store.accounts().await.unwrap().is_empty(), "the column is back");
    store.close().await;
    Store::open(expecting()).await.unwrap().close().await;
}

/// A migration that waits for a lock blocks all later sessions, so it gives up after a moment and tries again.
pub(super) async fn a_migration_gives_up_a_blocked_lock(cluster: &Cluster) {
    let site = cluster.site("CREATE DATABASE waiting", "waiting").await;
    undo(&site).await;
    let pool = PgPool::connect(site.options().postgres.unwrap().expose()).await.unwrap();
    let mut long = pool.begin().await.unwrap();
    long.execute("SELECT id FROM account").await.unwrap();
    let opening = tokio::spawn(Store::open(site.options()));
    for waits in [true, false] {
        let seen = async {
            while pool.fetch_one(WAITS).await.unwrap().get::<bool, _>(0) != waits {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_mins(1), seen).await.expect("it waits and lets go");
    }
    long.rollback().await.unwrap();
    opening.await.unwrap().expect("it comes again").close().await;
    pool.close().await;
}

/// Sets a store back to the schema of an earlier program.
async fn undo(site: &Site) {
    let store = site.open().await;
    for undo in UNDO {
        store.write(SETTING, undo, &[]).await.unwrap();
    }
    store.write(SETTING, FORGET, &[]).await.unwrap();
    store.close().await;
}
