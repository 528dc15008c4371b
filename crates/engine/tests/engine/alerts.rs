//! Warnings: once, over restarts, by feed, webhook and ntfy; and the feed itself.

use std::time::Duration;

use engine::{AccountEvent, Alerts, Engine, Parts, Receiver, SecretUrl, Settings, Watcher};
use offline::{Endpoint, Plan, Quota, Revocation, Rule, Running, Window};
use pool::Secret;
use pool::warning::What;
use upstream::Timeouts;

use crate::bench::{Bench, PATIENCE, Setup, chat, upstream};

fn receiver(url: &str, secret: &str) -> Receiver {
    Receiver { url: SecretUrl(url.parse().expect("a URL")), secret: Some(Secret::from(secret)) }
}

fn alerts(backend: &Running) -> Alerts {
    Alerts {
        webhook: Some(receiver(&backend.hook_url("one"), "hook-secret")),
        ntfy: Some(receiver(&backend.ntfy_url("topic"), "tk_canary")),
        allow_private: true,
        pause: Duration::from_millis(1),
        ..Alerts::default()
    }
}

/// A bench whose engine warns its own backend. The engine of the bench itself has nowhere to send to.
async fn warned() -> (Bench, Engine) {
    let bench = Bench::with(Setup::accounts(1)).await;
    bench.engine.stop().await;
    let engine = again(&bench).await;
    (bench, engine)
}

/// A process that is started anew on the same store.
async fn again(bench: &Bench) -> Engine {
    let settings = Settings { alerts: alerts(&bench.backend), ..Settings::default() };
    let node_upstream = upstream(&bench.backend, Timeouts::default());
    let parts = Parts { store: bench.store.clone(), upstream: node_upstream, settings, clock: bench.clock.clone() };
    Engine::start(parts).await.expect("the engine starts")
}

fn used(bench: &Bench, used_percent: f64) {
    let reset_at = bench.clock.now().seconds() + 9_000;
    let primary = Some(Window { used_percent, window_minutes: 300, reset_at });
    bench.backend.set_quota(&bench.logins[0].account_id, &Quota { primary, ..Quota::default() });
}

async fn next(watcher: &mut Watcher, wanted: impl Fn(&AccountEvent) -> bool) -> AccountEvent {
    let wait = async {
        loop {
            let news = watcher.next().await.expect("the feed goes on");
            if wanted(&news) {
                return AccountEvent::clone(&news);
            }
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("news in time")
}

async fn messages(bench: &Bench, endpoint: Endpoint, count: usize) -> Vec<offline::RecordedRequest> {
    // Answered, so that the body is here.
    let answered =
        |record: &offline::Record| record.requests_to(endpoint).filter(|request| request.status.is_some()).count();
    bench.backend.wait_until(PATIENCE, |record| answered(record) >= count).await.expect("messages");
    bench.backend.record().requests_to(endpoint).cloned().collect()
}

#[tokio::test]
async fn a_threshold_is_told_everywhere_once() {
    let (bench, engine) = warned().await;
    let mut watcher = engine.watch().expect("a place");
    used(&bench, 85.0);
    engine.quotas().measure(&bench.ids[0].0).await.expect("figures");
    let AccountEvent::Warning(warning) = next(&mut watcher, |news| matches!(news, AccountEvent::Warning(_))).await
    else {
        unreachable!("it was asked for")
    };
    assert!(matches!(warning.what, What::Quota { threshold: 80, .. }), "{warning:?}");
    let hooks = messages(&bench, Endpoint::Hook, 1).await;
    let letter = hooks[0].json();
    assert_eq!(
        (&letter["type"], &letter["kind"], &letter["threshold"]),
        (&"warning".into(), &"quota".into(), &80.into())
    );
    assert!(letter["text"].as_str().expect("words").contains("85 % used, resets in 2 h"), "{letter}");
    assert_eq!(letter["text"], letter["content"]);
    assert!(hooks[0].header("x-polygate-signature").expect("signed").starts_with("sha256="));
    let lines = messages(&bench, Endpoint::Ntfy, 1).await;
    assert_eq!((lines[0].header("priority"), lines[0].header("authorization")), (Some("3"), Some("Bearer tk_canary")));
    assert_eq!(&lines[0].body[..], letter["text"].as_str().expect("words").as_bytes());
    assert_eq!(engine.quotas().warnings().0.len(), 1);
    // Not again with the next figures, nor after a restart; the next threshold is.
    used(&bench, 86.0);
    engine.quotas().measure(&bench.ids[0].0).await.expect("figures");
    engine.stop().await;
    let engine = again(&bench).await;
    used(&bench, 97.0);
    engine.quotas().measure(&bench.ids[0].0).await.expect("figures");
    let hooks = messages(&bench, Endpoint::Hook, 2).await;
    assert_eq!((hooks.len(), &hooks[1].json()["threshold"], &hooks[1].json()["urgent"]), (2, &95.into(), &true.into()));
    engine.stop().await;
}

/// Of several nodes on one store each tells its own feed, and the first one sends.
#[tokio::test]
async fn of_several_nodes_one_sends() {
    let (bench, one) = warned().await;
    let two = again(&bench).await;
    let id = bench.ids[0].0.as_str();
    let mut watchers = [one.watch().expect("a place"), two.watch().expect("a place")];
    let figures = |first: f64, second: f64| {
        let window = |used_percent, window_minutes| {
            Some(Window { used_percent, window_minutes, reset_at: bench.clock.now().seconds() + 9_000 })
        };
        let quota = Quota { primary: window(first, 300), secondary: window(second, 10_080), ..Quota::default() };
        bench.backend.set_quota(&bench.logins[0].account_id, &quota);
    };
    figures(85.0, 0.0);
    let (first, too) = tokio::join!(one.quotas().measure(id), two.quotas().measure(id));
    assert!(first.is_ok() && too.is_ok());
    for watcher in &mut watchers {
        next(watcher, |news| matches!(news, AccountEvent::Warning(_))).await;
    }
    // A node sends in order: what comes later of each shows that nothing was left to be sent.
    // Only the highest threshold that figures pass is sent, so each must be sent before the next figures come.
    for (sent, engine, first, second) in [(1, &one, 97.0, 0.0), (2, &two, 97.0, 85.0), (3, &one, 97.0, 96.0)] {
        messages(&bench, Endpoint::Hook, sent).await;
        figures(first, second);
        engine.quotas().measure(id).await.expect("figures");
    }
    let threshold_of = |request: &offline::RecordedRequest| {
        let letter = request.json();
        (letter["window"].as_str().unwrap_or_default().to_owned(), letter["threshold"].as_u64().unwrap_or_default())
    };
    let mut thresholds: Vec<_> = messages(&bench, Endpoint::Hook, 4).await.iter().map(threshold_of).collect();
    thresholds.sort();
    let expected = [("primary", 80), ("primary", 95), ("secondary", 80), ("secondary", 95)];
    assert_eq!(thresholds, expected.map(|(window, threshold)| (window.to_owned(), threshold)));
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn who_needs_a_login_is_told() {
    let (bench, engine) = warned().await;
    let mut watcher = engine.watch().expect("a place");
    bench.backend.revoke_access(&bench.logins[0].account_id, Revocation::Revoked);
    bench.backend.invalidate_refresh(&bench.logins[0].account_id);
    engine.run(chat("hello")).await.map(|_| "served").expect_err("the only account is lost");
    let moved = next(&mut watcher, |news| matches!(news, AccountEvent::Account { .. })).await;
    let AccountEvent::Account { from, to, why, .. } = moved else { unreachable!("it was asked for") };
    assert_eq!((from, to), ("active", "needs_login"));
    assert!(!why.is_empty());
    let hooks = messages(&bench, Endpoint::Hook, 1).await;
    assert_eq!((&hooks[0].json()["kind"], &hooks[0].json()["urgent"]), (&"needs_login".into(), &true.into()));
    assert_eq!(engine.quotas().warnings().0.len(), 1);
}

/// The store is not told that a loss has ended: the next one is warned of all the same.
#[cfg(feature = "failpoints")]
#[tokio::test]
async fn a_loss_after_a_recovery_that_was_not_stored_is_told() {
    let scenario = fail::FailScenario::setup();
    let (bench, engine) = warned().await;
    let mut watcher = engine.watch().expect("a place");
    let login = &bench.logins[0];
    let lose = async || {
        bench.backend.revoke_access(&login.account_id, Revocation::Revoked);
        bench.backend.invalidate_refresh(&login.account_id);
        engine.run(chat("hello")).await.map(|_| "served").expect_err("the only account is lost");
    };
    lose().await;
    messages(&bench, Endpoint::Hook, 1).await;
    fail::cfg("store::before_setting", "return").expect("a point");
    let (account_id, user) = (Some(login.account_id.clone()), Some(login.user.clone()));
    let same = offline::NewAccount { account_id, user, ..offline::NewAccount::default() };
    crate::bench::import(&bench.store, &bench.backend.add_account(same)).await;
    next(&mut watcher, |news| matches!(news, AccountEvent::Account { to: "active", .. })).await;
    // It is sent once the store has refused this too.
    used(&bench, 85.0);
    engine.quotas().measure(&bench.ids[0].0).await.expect("figures");
    messages(&bench, Endpoint::Hook, 2).await;
    scenario.teardown();
    lose().await;
    let hooks = messages(&bench, Endpoint::Hook, 3).await;
    let kinds: Vec<_> = hooks.iter().map(|request| request.json()["kind"].clone()).collect();
    assert_eq!(kinds, ["needs_login", "quota", "needs_login"]);
    engine.stop().await;
}

#[tokio::test]
async fn a_receiver_in_trouble_is_tried_again_and_a_wrong_one_is_not() {
    let (bench, engine) = warned().await;
    bench.backend.add_rule(Rule::at(Endpoint::Hook, Plan::auto().status(503)).times(2));
    bench.backend.add_rule(Rule::at(Endpoint::Ntfy, Plan::auto().status(403)));
    used(&bench, 85.0);
    engine.quotas().measure(&bench.ids[0].0).await.expect("figures");
    let hooks = messages(&bench, Endpoint::Hook, 3).await;
    let statuses: Vec<_> = hooks.iter().map(|request| request.status).collect();
    assert_eq!(statuses[..2], [Some(503), Some(503)]);
    let ids: std::collections::HashSet<_> = hooks.iter().map(|request| request.json()["id"].to_string()).collect();
    assert_eq!(ids.len(), 1, "a receiver can tell that it is the same one");
    used(&bench, 97.0);
    engine.quotas().measure(&bench.ids[0].0).await.expect("figures");
    let lines = messages(&bench, Endpoint::Ntfy, 2).await;
    assert_eq!(lines.len(), 2, "one try for each");
}

#[tokio::test]
async fn the_feed_tells_what_changed_and_who_came_and_went() {
    let bench = Bench::with(Setup::accounts(1)).await;
    let mut watcher = bench.engine.watch().expect("a place");
    bench.engine.quotas().measure(&bench.ids[0].0).await.expect("figures");
    let quota = next(&mut watcher, |news| matches!(news, AccountEvent::Quota { .. })).await;
    let json = serde_json::to_value(&quota).expect("JSON");
    assert_eq!((&json["type"], &json["account"]), (&"quota".into(), &bench.ids[0].0.as_str().into()));
    assert!(json["quota"]["primary"]["used_percent"].is_number() && json["quota"].get("trail").is_none(), "{json}");
    let login = bench.backend.account("pro");
    let id = crate::bench::import(&bench.store, &login).await;
    let added = next(&mut watcher, |news| matches!(news, AccountEvent::LoginAdded { .. })).await;
    assert!(matches!(added, AccountEvent::LoginAdded { account, .. } if account == id));
    bench.store.remove_accounts(std::slice::from_ref(&id)).await.expect("removed");
    let removed = next(&mut watcher, |news| matches!(news, AccountEvent::LoginRemoved { .. })).await;
    assert!(matches!(removed, AccountEvent::LoginRemoved { account, .. } if account == id));
}

/// Nobody waits for a watcher; it learns how much it missed. There are not arbitrarily many.
#[tokio::test]
async fn a_slow_watcher_is_told_what_it_missed() {
    let bench = Bench::with(Setup::accounts(1)).await;
    let mut slow = bench.engine.watch().expect("a place");
    for at in 0..300 {
        used(&bench, f64::from(at % 2) * 10.0);
        bench.engine.quotas().measure(&bench.ids[0].0).await.expect("figures");
    }
    let first = slow.next().await.expect("news");
    assert!(matches!(*first, AccountEvent::Lagged { missed: 1.. }), "{first:?}");
    assert!(matches!(*slow.next().await.expect("news"), AccountEvent::Quota { .. }));
    let many: Vec<_> = (0..100).map_while(|_| bench.engine.watch()).collect();
    assert!((50..64).contains(&many.len()), "{}", many.len());
    drop(many);
    assert!(bench.engine.watch().is_some());
}

/// What an owner does in this process is news too, and ends what was warned of.
#[tokio::test]
async fn what_an_owner_does_here_is_told() {
    let bench = Bench::with(Setup::accounts(1)).await;
    let mut watcher = bench.engine.watch().expect("a place");
    let id = bench.ids[0].0.clone();
    for (on, from, to) in [(false, "active", "disabled"), (true, "disabled", "active")] {
        bench.engine.accounts().switch(std::slice::from_ref(&id), on).await.expect("switched");
        let moved = next(&mut watcher, |news| matches!(news, AccountEvent::Account { .. })).await;
        assert!(
            matches!(&moved, AccountEvent::Account { from: old, to: new, .. } if (*old, *new) == (from, to)),
            "{on}: {moved:?}"
        );
    }
    bench.engine.accounts().remove(std::slice::from_ref(&id)).await.expect("removed");
    let removed = next(&mut watcher, |news| matches!(news, AccountEvent::LoginRemoved { .. })).await;
    assert!(matches!(removed, AccountEvent::LoginRemoved { account, .. } if account.0 == id));
}

/// Steps too small to be seen add up to a threshold.
#[tokio::test]
async fn small_steps_pass_a_threshold() {
    let (bench, engine) = warned().await;
    let mut watcher = engine.watch().expect("a place");
    for used_percent in [79.96, 79.99, 80.0] {
        used(&bench, used_percent);
        engine.quotas().measure(&bench.ids[0].0).await.expect("figures");
    }
    let warning = next(&mut watcher, |news| matches!(news, AccountEvent::Warning(_))).await;
    assert!(
        matches!(warning, AccountEvent::Warning(warning) if matches!(warning.what, What::Quota { threshold: 80, .. }))
    );
    engine.stop().await;
}
