//! A gateway whose PostgreSQL stops answering and comes back: the gateway serves, commands name the error, and no usage row is lost.
#![allow(clippy::unwrap_used, reason = "a failing step of a test must end it")]
#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]

#[path = "refresh/cluster.rs"]
mod cluster;
mod common;
#[allow(dead_code, reason = "the store's tests use the rest")]
#[path = "../../store/src/tests/wire.rs"]
mod wire;

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use common::{Gateway, Home};
use offline::Offline;
use pool::Secret;
use serde_json::Value;
use store::Store;
use tokio::time::{sleep, timeout};

use self::cluster::Cluster;
use self::wire::{ProxyMode, TcpProxy};

/// Longer than any timeout of the gateway: a call that takes this long hangs.
const HANGS: Duration = Duration::from_mins(2);

/// Opens the store of a home at this URL.
async fn open(home: &Home, url: &str) -> Store {
    let data_key = store::DataKey::File(home.dir.path().join("data.key"));
    let options = store::Options {
        home: home.path(),
        postgres: Some(Secret::new(url.to_owned())),
        data_key,
        ..Default::default()
    };
    Store::open(options).await.unwrap()
}

/// Sends requests that must be served.
async fn served(gateway: &Gateway, names: &[&str]) {
    for name in names {
        let answer = timeout(HANGS, gateway.chat(name)).await.expect("nobody waits for the store").unwrap();
        assert_eq!(answer.status, 200, "{name}: {}", answer.body);
    }
}

/// Runs a command that must fail, and returns its error message.
async fn refused(home: &Home) -> String {
    let mut command = home.command(&["--json", "keys", "list"]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = timeout(HANGS, output).await.expect("a command has bounds").unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error: Value = serde_json::from_slice(&output.stderr).unwrap();
    error["error"]["message"].as_str().unwrap().to_owned()
}

/// Waits until the log contains `word` this many times.
async fn wait_for_log(gateway: &Gateway, word: &str, times: usize) {
    let logged = async {
        while gateway.log.text().matches(word).count() < times {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(HANGS, logged).await.unwrap_or_else(|_| panic!("it does not say {word:?}: {}", gateway.log.text()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_serves_while_its_database_stands_still() {
    let Some(cluster) = Cluster::start() else { return };
    let direct = cluster.url();
    let folder = PathBuf::from(direct.rsplit('=').next().unwrap());
    let wire = TcpProxy::to(folder.join(".s.PGSQL.5432")).await;
    let url = format!("postgres://polygate@127.0.0.1:{}/polygate?sslmode=disable", wire.port);
    let backend = Offline::start(offline::Options::default()).await.unwrap();
    let home = Home::new(&backend);
    let key = home.dir.path().join("data.key").display().to_string();
    let home = home.with("POLYGATE_STORE__POSTGRES_URL", url).with("POLYGATE_DATA_KEY_FILE", key);
    let (home, gateway, _backend) = tokio::task::spawn_blocking(move || {
        home.ok(&["migrate"]);
        home.import(&backend.account("plus"));
        let gateway = home.serve(&[]);
        (home, gateway, backend)
    })
    .await
    .unwrap();

    served(&gateway, &["1"]).await;
    for (round, names) in [["2", "3"], ["4", "5"]].iter().enumerate() {
        wire.set(ProxyMode::Paused);
        served(&gateway, &names[..1]).await;
        wait_for_log(&gateway, "PostgreSQL does not answer", round + 1).await;
        served(&gateway, &names[1..]).await;
        let message = refused(&home).await;
        assert!(message.contains("PostgreSQL cannot be reached") && message.contains("hint:"), "{message}");
        wire.set(ProxyMode::Open);
        wait_for_log(&gateway, "PostgreSQL answers again", round + 1).await;
    }
    served(&gateway, &["6"]).await;
    let log = tokio::task::spawn_blocking(move || gateway.end()).await.unwrap();

    let store = open(&home, &direct).await;
    let rows = store.usage().rows(100).await.unwrap();
    let ids: HashSet<_> = rows.iter().map(|row| row.id).collect();
    assert_eq!((rows.len(), ids.len()), (6, 6), "one row per request: {log}");
    assert!(rows.iter().all(|row| row.status == 200));
    store.close().await;
}
