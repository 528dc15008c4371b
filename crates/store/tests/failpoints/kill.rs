//! Rows S5 and S6: kill -9 at every failpoint and at random moments. The store opens afterwards and has every acknowledged write. Each
//! account has its old or its new tokens, with a warning when the old tokens may be used up.
//!
//! The victim is this test program, started again; it prints a line after each step. Failpoints apply to a whole process: no test of
//! another file may set failpoints while this file inspects a home.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use fail::FailScenario;
use pool::egress::{Egress, Health};
use pool::quota::Quota;
use pool::{AccountId, Secret, Status, Tokens};
use store::{FAILPOINTS, LeaseOutcome, LinkedAccount, LockError, Store};
use tempfile::TempDir;

use crate::site::{NOW, account, key, models, open, proxy, relay, relay_models, tokens, usage};

const HOME: &str = "STORE_VICTIM_HOME";
const POINT: &str = "STORE_VICTIM_POINT";
const FIRST: &str = "STORE_VICTIM_FIRST";
/// `kill -9`.
const SIGKILL: i32 = 9;

fn start(home: &Path, point: &str, first: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["kill::victim", "--exact", "--ignored", "--nocapture"])
        .env(HOME, home)
        .env(POINT, point)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Returns the victim's lines and exit status; kills the victim after `kill` lines.
fn watch(mut victim: Child, kill: Option<usize>) -> (BTreeSet<String>, ExitStatus) {
    let mut printed_lines = BTreeSet::new();
    for line in BufReader::new(victim.stdout.take().unwrap()).lines().map_while(Result::ok) {
        printed_lines.insert(line.trim_start_matches("test kill::victim ... ").to_owned());
        if kill.is_some_and(|lines| printed_lines.len() >= lines) {
            victim.kill().unwrap();
        }
    }
    (printed_lines, victim.wait().unwrap())
}

/// The victim: runs every operation of a store, and prints a line after each one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by the other tests"]
async fn victim() {
    let (Ok(home), Ok(point)) = (std::env::var(HOME), std::env::var(POINT)) else { return };
    let first: usize = std::env::var(FIRST).unwrap().parse().unwrap();
    if FAILPOINTS.contains(&point.as_str()) {
        fail::cfg_callback(point, die).unwrap();
    }
    let home = Path::new(&home);
    let _lock = Store::lock(home).unwrap();
    println!("locked");
    let store = open(home).await.unwrap();
    println!("opened");
    for number in first..first + 40 {
        round(&store, number).await;
    }
    store.close().await;
    println!("closed");
}

/// Ends this process like `kill -9`.
fn die() {
    Command::new("kill").args(["-9", &std::process::id().to_string()]).status().ok();
    loop {
        std::thread::park();
    }
}

async fn round(store: &Store, number: usize) {
    let name = format!("account-{number}");
    let id = store.put_account(account(&name, tokens(&format!("{name}-0"), 0)), NOW).await.unwrap().id;
    println!("added {name}");
    store.add_key(&key(&format!("key-{number}"))).await.unwrap();
    println!("key key-{number}");
    refresh(store, &id, &name).await;
    assert_eq!(store.set_statuses_if_current(&[(id.clone(), Status::Disabled, 1)]).await.unwrap(), [true]);
    println!("status {name}");
    own(store, &id, &name).await;
    store.set_quotas(&[(id.clone(), Quota::default())]).await.unwrap();
    assert!(matches!(store.begin_credit(&id, Some("request"), NOW).await.unwrap(), store::CreditClaim::Begun { .. }));
    store.end_credit(&id, "request").await.unwrap();
    store.set_cookies(&[(id.clone(), Secret::from("jar"))]).await.unwrap();
    store.set_models(&id, &models("1")).await.unwrap();
    store.set_setting(&name, "set").await.unwrap();
    println!("setting {name}");
    store.usage().record(usage(&name));
    store.usage().flush().await;
    println!("usage {name}");
    store.revoke_key(&format!("key-{number}"), NOW).await.unwrap();
    println!("revoked key-{number}");
    let id = store.put_relay(&relay(&name), NOW).await.unwrap();
    println!("relay {name}");
    store.set_relay_models(&id, &relay_models()).await.unwrap();
    store.set_relay_status(&id, &Status::Disabled, 1).await.unwrap();
    println!("resting {name}");
    // A process that ends between the two calls leaves this relay behind, and relay names are unique.
    let passing = relay(&format!("other-{number}"));
    let other = store.put_relay(&passing, NOW).await.unwrap();
    store.remove_relay(&other).await.unwrap();
    let other = store.put_account(account("other", tokens("other", 0)), NOW).await.unwrap().id;
    store.remove_accounts(std::slice::from_ref(&other)).await.unwrap();
    println!("removed other after {number}");
}

/// Changes that an account's owner makes.
async fn own(store: &Store, id: &AccountId, name: &str) {
    store.set_label(std::slice::from_ref(id), name).await.unwrap();
    store
        .set_link(&LinkedAccount { account: id.clone(), file: "/auth.json".into(), may_refresh: false })
        .await
        .unwrap();
    store.unlink(id).await.unwrap();
    let proxies = store.add_proxies(&[proxy(name)], NOW).await.unwrap();
    let health = Health { ok: true, exit_ip: None, latency_ms: None, checked: NOW, error: None };
    store.set_proxy_health(&[(proxies[0].clone(), health)]).await.unwrap();
    store.set_egresses(&[(id.clone(), Egress::Auto)]).await.unwrap();
    store.remove_proxy(&proxies[0]).await.unwrap();
}

/// Two refreshes: the first one succeeds, the second one fails.
async fn refresh(store: &Store, id: &AccountId, name: &str) {
    let LeaseOutcome::Granted(ticket) = store.begin_refresh(id, "victim", NOW).await.unwrap() else { panic!("held") };
    store.write_intent(&ticket, NOW).await.unwrap();
    println!("rotated {name}");
    store.commit_refresh(ticket, &tokens(&format!("{name}-1"), 1)).await.unwrap();
    println!("committed {name}");
    let LeaseOutcome::Granted(ticket) = store.begin_refresh(id, "victim", NOW).await.unwrap() else { panic!("held") };
    store.end_refresh(ticket, None).await.unwrap();
}

/// Opens the victim's home and compares it with the victim's lines.
async fn inspect(home: &Path, printed_lines: &BTreeSet<String>, at: &str) {
    drop(Store::lock(home).unwrap_or_else(|error| panic!("{at}: the lock outlived its holder: {error}")));
    let store = open(home).await.unwrap_or_else(|error| panic!("{at}: {error}"));
    let accounts = store.accounts().await.unwrap();
    let keys = store.keys().await.unwrap();
    let relays = store.relays().await.unwrap();
    for relay in &relays {
        assert_eq!(store.relay_key(&relay.id).await.unwrap(), Some(Secret::from("relay key")), "{at}");
    }
    let rows = store.usage().rows(100_000).await.unwrap();
    for (what, name) in printed_lines.iter().filter_map(|line| line.split_once(' ')) {
        let account = accounts.iter().find(|account| account.upstream_id == name);
        let there = match what {
            "added" => account.is_some(),
            "status" => account.is_some_and(|account| account.status == Status::Disabled),
            "key" => keys.iter().any(|key| key.id == name),
            "revoked" => keys.iter().any(|key| key.id == name && key.revoked.is_some()),
            "relay" => relays.iter().any(|relay| relay.name == name),
            "resting" => relays.iter().any(|relay| relay.name == name && relay.status == Status::Disabled),
            "setting" => store.setting(name).await.unwrap().is_some(),
            "usage" => rows.iter().any(|row| *row.request_id == *name),
            _ => true,
        };
        assert!(there, "{at}: lost: {what} {name}");
    }
    for account in accounts.iter().filter(|account| account.upstream_id != "other") {
        check_tokens(&store, &account.id, &account.upstream_id, printed_lines)
            .await
            .unwrap_or_else(|why| panic!("{at}: {why}"));
    }
    store.close().await;
}

/// The store must have the old or the new tokens, and must mark old tokens that the provider may have used up.
async fn check_tokens(
    store: &Store,
    id: &AccountId,
    name: &str,
    printed_lines: &BTreeSet<String>,
) -> Result<(), String> {
    let was_printed = |what: &str| printed_lines.contains(&format!("{what} {name}"));
    let (old, new): (Tokens, Tokens) = (tokens(&format!("{name}-0"), 0), tokens(&format!("{name}-1"), 1));
    let interrupted = store.interrupted_refreshes(NOW.plus(60_000)).await.unwrap().contains(id);
    let LeaseOutcome::Granted(ticket) = store.begin_refresh(id, "successor", NOW.plus(60_000)).await.unwrap() else {
        return Err(format!("{name}: the lease outlived its time"));
    };
    let found = ticket.tokens.clone();
    let verdict = match () {
        () if found == new => Ok(()),
        () if was_printed("committed") => Err(format!("{name}: committed tokens are lost")),
        () if found != old => Err(format!("{name}: neither old nor new tokens")),
        () if was_printed("rotated") && !(ticket.interrupted && interrupted) => {
            Err(format!("{name}: used up, and nobody knows"))
        }
        () => Ok(()),
    };
    // Like the engine: the doubtful token is tried once, and here the refresh succeeds.
    store.commit_refresh(ticket, &new).await.unwrap();
    verdict
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_every_failpoint() {
    let alone = FailScenario::setup();
    for point in FAILPOINTS {
        let home = TempDir::new().unwrap();
        let (printed_lines, status) = watch(start(home.path(), point, 0), None);
        assert_eq!(status.signal(), Some(SIGKILL), "{point} is never reached: {printed_lines:?}");
        inspect(home.path(), &printed_lines, point).await;
    }
    alone.teardown();
}

/// 50 random moments of one home's life.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_moments_50() {
    let alone = FailScenario::setup();
    let home = TempDir::new().unwrap();
    let mut all = BTreeSet::new();
    let mut random = u64::from(std::process::id());
    for life in 0..50 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let lines = 1 + usize::try_from(random >> 33).unwrap() % 60;
        let (printed_lines, status) = watch(start(home.path(), "", life * 100), Some(lines));
        assert_eq!(status.signal(), Some(SIGKILL), "life {life} ended by itself: {printed_lines:?}");
        all.extend(printed_lines);
        inspect(home.path(), &all, &format!("life {life}, {lines} lines")).await;
    }
    alone.teardown();
}

#[tokio::test]
async fn a_lock_ends_with_its_holder() {
    let alone = FailScenario::setup();
    let home = TempDir::new().unwrap();
    let mut victim = start(home.path(), "", 0);
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    assert!(lines.by_ref().map_while(Result::ok).any(|line| line.ends_with("locked")));
    assert!(matches!(Store::lock(home.path()), Err(LockError::Held { .. })));
    victim.kill().unwrap();
    victim.wait().unwrap();
    Store::lock(home.path()).unwrap();
    alone.teardown();
}
