//! Every statement can be prepared on both engines, and both engines end in the same schema.

use std::collections::BTreeSet;

use sqlx::postgres::PgPool;
use sqlx::sqlite::SqlitePool;
use sqlx::{Executor, Row, SqlStr};

use super::cluster::Cluster;
use super::{NOW, Site};
use crate::sql;

const USAGE: &str = "usage_row";
const LITE_COLUMNS: &str =
    "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'";
const POST_COLUMNS: &str = "SELECT table_name::text, column_name::text FROM information_schema.columns \
    WHERE table_schema = 'public' AND table_name <> 'generation'";

/// Whether the statement is for `usage.db`, which has no other tables.
fn of_usage(text: &str) -> bool {
    text.contains(USAGE)
}

#[tokio::test]
async fn every_statement_prepares_on_sqlite() {
    let site = Site::sqlite();
    let store = site.open().await;
    store.usage().record(super::rows::usage("1", NOW));
    assert_eq!(store.usage().rows(1).await.unwrap().len(), 1);
    let accounts = lite(&site, "accounts.db").await;
    let usage = lite(&site, "usage.db").await;
    for (name, text) in sql::ALL {
        let pool = if of_usage(text) { &usage } else { &accounts };
        pool.prepare(SqlStr::from_static(text)).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let mut columns = columns(&accounts, LITE_COLUMNS).await;
    columns.extend(self::columns(&usage, LITE_COLUMNS).await);
    insist(&columns);
}

pub(super) async fn prepare_postgres(cluster: &Cluster) {
    let site = cluster.site("CREATE DATABASE prepared", "prepared").await;
    site.open().await.close().await;
    let pool = PgPool::connect(site.options().postgres.unwrap().expose()).await.unwrap();
    for (name, text) in sql::ALL {
        pool.prepare(SqlStr::from_static(text)).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let rows = pool.fetch_all(POST_COLUMNS).await.unwrap();
    insist(&rows.iter().map(|row| (row.get(0), row.get(1))).collect());
    pool.close().await;
}

async fn lite(site: &Site, name: &str) -> SqlitePool {
    SqlitePool::connect(site.home().join(name).to_str().unwrap()).await.unwrap()
}

async fn columns(pool: &SqlitePool, sql: &'static str) -> BTreeSet<(String, String)> {
    pool.fetch_all(sql).await.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Asserts the tables and the number of columns, which are equal on both engines when both tests pass.
fn insist(columns: &BTreeSet<(String, String)>) {
    let tables: BTreeSet<&str> = columns.iter().map(|(table, _)| table.as_str()).collect();
    let known = [
        "account", "account_link", "account_tags", "api_key", "cookies", "credit_use", "egress", "migration", "models",
        "proxy", "relay", "relay_models", "setting", USAGE,
    ];
    assert_eq!(tables, known.into());
    let texts = [
        include_str!("../../migrations/sqlite/0001_accounts.sql"),
        include_str!("../../migrations/sqlite/0002_usage.sql"),
        include_str!("../../migrations/sqlite/0003_relays.sql"),
        include_str!("../../migrations/sqlite/0004_logins.sql"),
        include_str!("../../migrations/sqlite/0005_proxies.sql"),
        include_str!("../../migrations/sqlite/0006_terms.sql"),
        include_str!("../../migrations/sqlite/0008_tools.sql"),
        include_str!("../../migrations/sqlite/0009_request_id.sql"),
        include_str!("../../migrations/sqlite/0010_status_rev.sql"),
        include_str!("../../migrations/sqlite/0011_credit_use.sql"),
    ];
    let declared = texts.concat().lines().filter(|line| line.starts_with("    ") && !line.contains("UNIQUE (")).count();
    let migration = 5;
    assert_eq!(columns.len(), declared + migration);
}
