//! Quota, reset credits and warnings of the binary, as its owner uses them.

#![allow(clippy::unwrap_used, reason = "a failing step of a test must end it")]

mod common;

use std::time::{Duration, Instant};

use common::Home;
use offline::{Endpoint, FakeAccount, Offline, Options, Quota, Running};
use serde_json::Value;

async fn setup() -> (Running, Home, FakeAccount) {
    let backend = Offline::start(Options::default()).await.unwrap();
    let (home, account) = (Home::new(&backend), backend.account("plus"));
    home.import(&account);
    (backend, home, account)
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_shown_and_a_reset_credit_is_consumed() {
    let (backend, home, account) = setup().await;
    let email = account.email.as_str();
    assert!(home.ok(&["accounts", "quota"]).contains("no figures yet"));
    assert_eq!(backend.record().requests_to(Endpoint::Usage).count(), 0, "nobody asked for fresh figures");
    backend.set_quota(&account.account_id, &Quota::exhausted(Duration::from_hours(2)));
    let text = home.ok(&["accounts", "quota", email, "--fresh"]);
    assert!(
        text.contains(
            "primary       5 h [####################] 100 % used, resets in 1 h 59 min; used up until it resets"
        ),
        "{text}"
    );
    assert!(text.contains("secondary     7 d [#######-------------]  34 % used"), "{text}");
    assert!(text.contains("(plus), exhausted (primary quota used up"), "{text}");
    let json: Value = serde_json::from_str(&home.ok(&["--json", "accounts", "quota"])).unwrap();
    assert_eq!((&json[0]["primary"]["state"], &json[0]["quota"]["reset_credits"]), (&"spent".into(), &1.into()));

    assert!(home.ok(&["accounts", "credits", "list", email]).contains("available"));
    let asked = home.run(&["accounts", "credits", "consume", email]);
    assert_eq!(
        (asked.status.code(), backend.record().requests_to(Endpoint::Credits).count()),
        (Some(2), 1),
        "nothing without --yes"
    );
    let text = home.ok(&["accounts", "credits", "consume", email, "--yes"]);
    assert!(text.contains("one window is back at zero") && text.contains("  0 % used"), "{text}");
    assert!(text.contains("(plus), active"), "{text}");
    let again = home.run(&["accounts", "credits", "consume", email, "--yes"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&again.stderr).contains("was asked for a moment ago"),
        "over processes too: {again:?}"
    );
    assert!(home.ok(&["accounts", "list"]).contains("active"), "the stored state is healed");

    let unknown = home.run(&["accounts", "quota", "nobody"]);
    assert_eq!(unknown.status.code(), Some(1));
    backend.revoke_access(&account.account_id, offline::Revocation::Revoked);
    backend.invalidate_refresh(&account.account_id);
    let lost = home.run(&["accounts", "quota", "--fresh"]);
    assert_eq!(lost.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&lost.stderr).contains("cannot be asked"), "{lost:?}");
}

/// A running gateway asks the backend by itself and warns its owner; its log and settings do not show the receivers' addresses.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_warns_its_owner() {
    let (backend, home, account) = setup().await;
    let mut quota = Quota::default();
    quota.primary.as_mut().unwrap().used_percent = 88.0;
    backend.set_quota(&account.account_id, &quota);
    let (hook, topic) = (backend.hook_url("canary-path"), backend.ntfy_url("canary-topic"));
    let env = [
        ("POLYGATE_QUOTA__REFRESH_INTERVAL", "10s"),
        ("POLYGATE_ALERTS__WEBHOOK_URL", hook.as_str()),
        ("POLYGATE_ALERTS__WEBHOOK_SECRET", "canary-secret"),
        ("POLYGATE_ALERTS__NTFY_URL", topic.as_str()),
        ("POLYGATE_ALERTS__ALLOW_PRIVATE", "true"),
    ];
    let gateway = home.serve(&env);
    // Only answered requests count, because their bodies are complete.
    let answered =
        |record: &offline::Record, place| record.requests_to(place).filter(|seen| seen.status.is_some()).count();
    let output_text =
        |record: &offline::Record| answered(record, Endpoint::Hook) == 1 && answered(record, Endpoint::Ntfy) == 1;
    backend.wait_until(Duration::from_secs(30), output_text).await.unwrap();
    let record = backend.record();
    let letter = record.requests_to(Endpoint::Hook).next().unwrap().json();
    assert_eq!((&letter["threshold"], &letter["label"]), (&80.into(), &account.email.as_str().into()));
    assert_eq!(record.offences, []);
    // The log comes through a pipe and may arrive after the warnings.
    let end = Instant::now() + Duration::from_secs(10);
    while !gateway.log.text().contains("88 % used") && Instant::now() < end {
        tokio::task::yield_now().await;
    }
    let log = gateway.log.text();
    assert!(log.contains("88 % used") && !log.contains("canary"), "{log}");
    let mut shown = home.command(&["config", "show"]);
    let shown = String::from_utf8(shown.envs(env).output().unwrap().stdout).unwrap();
    assert!(shown.contains("quota.warn_primary") && !shown.contains("canary"), "{shown}");
}
