//! A PostgreSQL server that stops answering, breaks its connections, or takes no writes.

use std::time::Duration;

use pool::Secret;
use sqlx::Executor;
use tokio::time::{sleep, timeout};

use super::cluster::Cluster;
use super::wire::{ProxyMode, TcpProxy};
use super::{NOW, Site, rows};
use crate::remote::{Operation, PooledConnection};
use crate::{Error, OpenError, Store};

/// Longer than any timeout of the store: a call that takes this long hangs.
const HANGS: Duration = Duration::from_mins(1);

/// A store whose database is behind a wire.
async fn store_behind_proxy(cluster: &Cluster, create: &'static str, name: &str) -> (Site, TcpProxy, Store) {
    let mut site = cluster.site(create, name).await;
    let wire = TcpProxy::to(cluster.socket()).await;
    let url = format!("postgres://polygate@127.0.0.1:{}/{name}?sslmode=disable", wire.port);
    site.postgres = Some(Secret::new(url));
    let store = site.open().await;
    (site, wire, store)
}

/// Retries until the database answers again.
async fn wait_until_back(store: &Store) {
    let asked = async {
        while store.accounts().await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(HANGS, asked).await.expect("the database is asked again");
}

pub(super) async fn a_paused_server_is_waited_for_within_timeouts(cluster: &Cluster) {
    let (_site, wire, store) = store_behind_proxy(cluster, "CREATE DATABASE still", "still").await;
    store.generation().await.unwrap();
    wire.set(ProxyMode::Paused);
    for _ in 0..2 {
        let asked = timeout(HANGS, store.generation()).await.expect("it has a bound");
        assert!(matches!(asked, Err(Error::Unavailable)), "{asked:?}");
    }
    // From here on no caller waits, and only one task connects.
    let before = wire.taken();
    let many = futures(&store).await;
    assert!(wire.taken() <= before + 1, "one task asks");
    assert!(many.iter().all(|result| matches!(result, Err(Error::Unavailable))), "{many:?}");
    store.usage().record(rows::usage("1", NOW));
    timeout(HANGS, store.usage().flush()).await.expect("the writer has a bound");
    let before = wire.taken();
    wire.set(ProxyMode::Open);
    wait_until_back(&store).await;
    assert!(wire.taken() > before, "on new connections");
    store.usage().flush().await;
    assert_eq!(store.usage().rows(9).await.unwrap().len(), 1, "the row waited");
    assert_eq!(store.usage().lost(), 0);
    store.close().await;
}

/// Starts more callers than there are connections.
async fn futures(store: &Store) -> Vec<Result<i64, Error>> {
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.generation().await })
        })
        .collect();
    let mut done = Vec::new();
    for task in tasks {
        done.push(timeout(HANGS, task).await.expect("at once").unwrap());
    }
    done
}

/// Every connection is in use when the server stops answering: none of these connections returns to the pool.
pub(super) async fn connections_that_hung_are_not_used_again(cluster: &Cluster) {
    let (_site, wire, store) = store_behind_proxy(cluster, "CREATE DATABASE hung", "hung").await;
    assert!(futures(&store).await.iter().all(Result::is_ok));
    let known = wire.taken();
    wire.set(ProxyMode::Paused);
    assert!(futures(&store).await.iter().all(Result::is_err));
    wire.set(ProxyMode::Open);
    wait_until_back(&store).await;
    assert!(futures(&store).await.iter().all(Result::is_ok));
    assert!(wire.taken() > known);
    store.close().await;
}

/// A connection with an unfinished statement would hold its place in the pool, and its next statement would wait for the old answer.
pub(super) async fn a_connection_that_was_left_in_the_middle_is_dropped(cluster: &Cluster) {
    let pool = cluster.admin().options().clone().max_connections(1);
    let pool = pool.connect_with((*cluster.admin().connect_options()).clone()).await.unwrap();
    let mut connection = PooledConnection::acquire(&pool).await.unwrap();
    let endless = Operation::Rows(("SELECT pg_sleep(3600)::text", &[]));
    assert!(connection.run(&endless, Duration::from_millis(1)).await.is_err());
    drop(connection);
    assert_eq!(pool.size(), 0);
    let mut connection = timeout(HANGS, PooledConnection::acquire(&pool)).await.expect("a free place").unwrap();
    assert!(connection.run(&Operation::Rows(("SELECT 'here'", &[])), HANGS).await.is_ok());
    drop(connection);
    assert_eq!(pool.size(), 1);
    pool.close().await;
}

/// Each statement ends within the timeout, and the whole transaction does not.
pub(super) async fn a_transaction_has_one_bound(cluster: &Cluster) {
    let pool = cluster.admin().options().clone().max_connections(1);
    let pool = pool.connect_with((*cluster.admin().connect_options()).clone()).await.unwrap();
    let mut connection = PooledConnection::acquire(&pool).await.unwrap();
    let slow = ("SELECT pg_sleep(0.7)", [].as_slice());
    let done = connection.run(&Operation::Two(slow, slow), Duration::from_secs(1)).await;
    drop(connection);
    assert!(done.is_err());
    assert_eq!(pool.size(), 0);
    let mut connection = PooledConnection::acquire(&pool).await.unwrap();
    let rows = vec![Vec::new(); 10];
    let done = connection.run(&Operation::All("SELECT pg_sleep(0.25)", &rows), Duration::from_millis(300)).await;
    drop(connection);
    assert!(done.is_err(), "many rows have a longer one");
    assert_eq!(pool.size(), 0);
    pool.close().await;
}

/// A command would wait for ever when the server stops answering after the login.
pub(super) async fn opening_has_bounds(cluster: &Cluster) {
    let (site, wire, store) = store_behind_proxy(cluster, "CREATE DATABASE opened", "opened").await;
    store.close().await;
    wire.set(ProxyMode::Until("to_regclass('migration')"));
    let opened = timeout(HANGS, Store::open(site.options())).await.expect("it has a bound");
    let Err(error) = opened else { panic!("it opened") };
    assert!(matches!(error, OpenError::Unreachable(_)), "{error}");
}

pub(super) async fn broken_connections_cost_no_more_than_an_error(cluster: &Cluster) {
    let (_site, wire, store) = store_behind_proxy(cluster, "CREATE DATABASE broken", "broken").await;
    assert!(futures(&store).await.iter().all(Result::is_ok));
    wire.set(ProxyMode::Cut);
    wire.set(ProxyMode::Open);
    wait_until_back(&store).await;
    assert!(futures(&store).await.iter().all(Result::is_ok));
    store.close().await;
}

/// The server ends the store's sessions, as at a restart.
pub(super) async fn ended_sessions_are_replaced(cluster: &Cluster) {
    let (_site, _wire, store) = store_behind_proxy(cluster, "CREATE DATABASE ended", "ended").await;
    assert!(futures(&store).await.iter().all(Result::is_ok));
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'ended'";
    cluster.admin().execute(end).await.unwrap();
    wait_until_back(&store).await;
    assert!(futures(&store).await.iter().all(Result::is_ok));
    store.close().await;
}

pub(super) async fn sessions_have_bounds_of_the_server_too(cluster: &Cluster) {
    let (_site, _wire, store) = store_behind_proxy(cluster, "CREATE DATABASE bounded", "bounded").await;
    let asked = "SELECT current_setting('statement_timeout') || ' ' || current_setting('lock_timeout') || ' ' \
        || current_setting('idle_in_transaction_session_timeout') || ' ' || current_setting('application_name')";
    let row = store.read_one(asked, &[]).await.unwrap().unwrap();
    let value = row.text(0).unwrap();
    let node = value.strip_prefix("5s 2s 10s polygate/").expect("bounds and a node");
    assert!(!node.is_empty(), "{value}");
    store.close().await;
}

/// An open store detects a read-only server by the session's settings; on a server that was read-only from the start the opening fails.
pub(super) async fn a_server_that_takes_no_writes_is_refused(cluster: &Cluster) {
    let (site, _wire, store) = store_behind_proxy(cluster, "CREATE DATABASE fixed", "fixed").await;
    cluster.admin().execute("ALTER DATABASE fixed SET default_transaction_read_only = on").await.unwrap();
    let Err(error) = Store::open(site.options()).await else { panic!("it opened") };
    assert!(matches!(error, OpenError::ReadOnly), "{error}");
    // The store also refuses a new session that is read-only: it waits for a server that takes writes.
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'fixed'";
    cluster.admin().execute(end).await.unwrap();
    let asked = async {
        while !matches!(store.generation().await, Err(Error::Unavailable)) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(HANGS, asked).await.expect("it is away");
    cluster.admin().execute("ALTER DATABASE fixed RESET default_transaction_read_only").await.unwrap();
    wait_until_back(&store).await;
    store.close().await;
}
