//! Stored values can be read again.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use pool::keys::{Digest, Key, KeyKind};
use pool::quota::Quota;
use pool::{AccountId, Millis, Secret, Status};
use uuid::Uuid;

use super::{NOW, Site, account, add, learn, tokens};
use crate::{Error, Options, Outcome, Retention, Store, StoredModels, TokenOrigin, TokenUsage, UsageRow};

pub(super) async fn accounts_come_back(site: &Site) {
    let store = site.open().await;
    assert_eq!(store.accounts().await.unwrap(), []);
    let mut first = account("one", tokens("one", 0));
    first.label = "Work".into();
    first.fedramp = true;
    let put = store.put_account(first, NOW).await.unwrap();
    assert!(put.added && put.stored);
    let second = store.put_account(account("two", tokens("two", 0)), NOW.plus(1)).await.unwrap();
    store.close().await;

    let store = site.open().await;
    let accounts = store.accounts().await.unwrap();
    assert_eq!(accounts.iter().map(|account| &account.id).collect::<Vec<_>>(), [&put.id, &second.id]);
    let one = &accounts[0];
    assert_eq!((one.label.as_str(), one.email.as_str(), one.plan.as_str()), ("Work", "one@example.com", "plus"));
    assert_eq!((one.upstream_id.as_str(), one.user.as_str(), one.fedramp), ("one", "user-1", true));
    assert_eq!((&one.status, one.created), (&Status::Active, NOW));
    assert_eq!(accounts[1].label, "two@example.com");
    assert_eq!(store.tokens(&put.id).await.unwrap(), Some(tokens("one", 0)));
    assert_eq!(store.tokens(&AccountId("none".into())).await.unwrap(), None);
}

pub(super) async fn signing_in_again_keeps_the_newer_tokens(site: &Site) {
    let store = site.open().await;
    let id = add(&store, "one").await;
    let put = store.put_account(account("one", tokens("old", -1000)), NOW).await.unwrap();
    assert_eq!((&put.id, put.added, put.stored), (&id, false, false));
    assert_eq!(store.tokens(&id).await.unwrap(), Some(tokens("one", 0)));

    let put = store.put_account(account("one", tokens("new", 1000)), NOW).await.unwrap();
    assert_eq!((&put.id, put.added, put.stored), (&id, false, true));
    assert_eq!(store.tokens(&id).await.unwrap(), Some(tokens("new", 1000)));

    let mut other = account("one", tokens("other", 0));
    other.user = "user-2".into();
    assert!(store.put_account(other, NOW).await.unwrap().added, "another user of the workspace");
    assert_eq!(store.accounts().await.unwrap().len(), 2);
}

pub(super) async fn a_login_revives_an_account(site: &Site) {
    let store = site.open().await;
    let id = add(&store, "one").await;
    assert!(learn(&store, &id, &Status::NeedsLogin { why: "reused".into() }).await);
    let mut login = account("one", tokens("login", -5000));
    login.origin = TokenOrigin::Login;
    login.plan = String::new();
    assert!(store.put_account(login, NOW).await.unwrap().stored);
    let accounts = store.accounts().await.unwrap();
    assert_eq!((&accounts[0].status, accounts[0].plan.as_str()), (&Status::Active, "plus"));
    assert_eq!(store.tokens(&id).await.unwrap(), Some(tokens("login", -5000)));
}

pub(super) async fn removing_an_account_removes_its_rows(site: &Site) {
    let store = site.open().await;
    let id = add(&store, "one").await;
    let models = StoredModels { etag: None, client_version: "1".into(), body: "[]".into(), fetched: NOW };
    store.set_cookies(&[(id.clone(), Secret::from("jar"))]).await.unwrap();
    store.set_models(&id, &models).await.unwrap();
    let ids = [id.clone(), AccountId("none".into())];
    assert_eq!(store.remove_accounts(&ids).await.unwrap(), [true, false]);
    assert_eq!(store.remove_accounts(&ids).await.unwrap(), [false, false]);
    assert_eq!(store.cookies(&id).await.unwrap(), None);
    assert_eq!(store.models(&id).await.unwrap(), None);
    // A late write for an account that is gone is no error and leaves nothing.
    assert_eq!(store.set_statuses_if_current(&[(id.clone(), Status::Active, 1)]).await.unwrap(), [false]);
    store.set_cookies(&[(id.clone(), Secret::from("jar"))]).await.unwrap();
    store.set_models(&id, &models).await.unwrap();
    assert_eq!(store.cookies(&id).await.unwrap(), None);
    assert_eq!(store.accounts().await.unwrap(), []);
}

pub(super) async fn status_and_quota_come_back(site: &Site) {
    let store = site.open().await;
    let id = add(&store, "one").await;
    let models = StoredModels {
        etag: Some("\"e\"".into()),
        client_version: "0.169.0".into(),
        body: r#"{"models":[]}"#.into(),
        fetched: NOW,
    };
    let exhausted = Status::Exhausted { until: NOW.plus(5), window: "primary".into() };
    let quota = Quota { plan: Some("pro".into()), allowed: Some(true), ..Quota::default() };
    let before = store.accounts().await.unwrap()[0].version;
    for status in [Status::Active, Status::Blocked { why: "gone".into() }, exhausted.clone()] {
        assert!(learn(&store, &id, &status).await);
        assert_eq!(store.accounts().await.unwrap()[0].status, status);
    }
    store.set_quotas(&[(id.clone(), quota.clone())]).await.unwrap();
    store.set_cookies(&[(id.clone(), Secret::from("a=b"))]).await.unwrap();
    store.set_cookies(&[(id.clone(), Secret::from("a=c"))]).await.unwrap();
    store.set_models(&id, &models).await.unwrap();
    store.close().await;

    let store = site.open().await;
    let accounts = store.accounts().await.unwrap();
    assert_eq!((&accounts[0].status, &accounts[0].quota), (&exhausted, &quota));
    assert!(accounts[0].version > before);
    assert_eq!(store.cookies(&id).await.unwrap(), Some(Secret::from("a=c")));
    assert_eq!(store.models(&id).await.unwrap(), Some(models.clone()));
    let broken = StoredModels { body: vec![0xff].into(), ..models };
    assert!(matches!(store.set_models(&id, &broken).await, Err(Error::NotText(_))));
}

/// Findings about many accounts are written in one transaction, all or nothing.
#[tokio::test]
async fn figures_of_many_accounts_are_written_together() {
    use sqlx::{ConnectOptions, Executor};
    let site = Site::sqlite();
    let store = site.open().await;
    let ids = [add(&store, "one").await, add(&store, "two").await, add(&store, "three").await];
    let file = sqlx::sqlite::SqliteConnectOptions::new().filename(site.home().join("accounts.db"));
    let refuse = "CREATE TRIGGER refuse BEFORE UPDATE ON account WHEN OLD.upstream_id = 'three' BEGIN SELECT RAISE(ABORT, 'no'); END";
    let mut file = file.connect().await.unwrap();
    file.execute(refuse).await.unwrap();
    let quota = Quota { updated: NOW, ..Quota::default() };
    let quotas = ids.clone().map(|id| (id, quota.clone()));
    let statuses = ids.clone().map(|id| (id, Status::Disabled, 1));
    store.set_quotas(&quotas).await.unwrap_err();
    store.set_statuses_if_current(&statuses).await.unwrap_err();
    let untouched = |account: &pool::Account| account.quota == Quota::default() && account.status == Status::Active;
    assert!(store.accounts().await.unwrap().iter().all(untouched));
    file.execute("DROP TRIGGER refuse").await.unwrap();
    assert_eq!(store.set_quotas(&quotas).await.unwrap(), [true; 3]);
    assert_eq!(store.set_statuses_if_current(&statuses).await.unwrap(), [true; 3]);
}

pub(super) async fn keys_come_back(site: &Site) {
    let store = site.open().await;
    let key = |id: &str, kind, scopes: &str| Key {
        id: id.into(),
        kind,
        name: "laptop".into(),
        digest: Digest([7; 32]),
        scopes: scopes.parse().unwrap(),
        created: NOW,
        expires: Some(NOW.plus(9)),
        revoked: None,
        tools: None,
    };
    let keys = [key("aaaaaaaa", KeyKind::Client, ""), key("bbbbbbbb", KeyKind::Admin, "read,export")];
    for key in &keys {
        store.add_key(key).await.unwrap();
    }
    assert!(matches!(store.add_key(&keys[0]).await, Err(Error::KeyExists)));
    assert_eq!(store.keys().await.unwrap(), keys);
    assert!(store.revoke_key("aaaaaaaa", NOW.plus(1)).await.unwrap());
    assert!(!store.revoke_key("aaaaaaaa", NOW.plus(2)).await.unwrap(), "the first revocation counts");
    assert!(!store.revoke_key("none", NOW).await.unwrap());
    assert_eq!(store.keys().await.unwrap()[0].revoked, Some(NOW.plus(1)));
}

pub(super) async fn settings_come_back(site: &Site) {
    let store = site.open().await;
    assert_eq!(store.setting("theme").await.unwrap(), None);
    store.set_setting("theme", "dark").await.unwrap();
    store.set_setting("theme", "light").await.unwrap();
    assert_eq!(store.setting("theme").await.unwrap().as_deref(), Some("light"));
    for name in ["pepper", "instance"] {
        assert!(matches!(store.set_setting(name, "mine").await, Err(Error::Reserved(_))));
        assert!(matches!(store.swap_setting(name, None, "mine").await, Err(Error::Reserved(_))));
    }
}

/// Of many writers with the same known value exactly one succeeds, also when there is no value yet.
pub(super) async fn a_setting_is_swapped_once(site: &Site) {
    let store = site.open().await;
    for (known, next) in [(None, "one"), (Some("one"), "two"), (Some("two"), "two")] {
        let swaps = (0..8).map(|n| {
            let store = store.clone();
            tokio::spawn(async move { store.swap_setting("turn", known, &format!("{next}{n}")).await.unwrap() })
        });
        let swaps: Vec<_> = swaps.collect();
        let mut won = Vec::new();
        for (n, swap) in swaps.into_iter().enumerate() {
            won.extend(swap.await.unwrap().then_some(n));
        }
        let value = store.setting("turn").await.unwrap().unwrap();
        assert_eq!(won.iter().map(|n| format!("{next}{n}")).collect::<Vec<_>>(), [value.as_str()]);
        store.set_setting("turn", next).await.unwrap();
    }
    assert!(!store.swap_setting("turn", None, "again").await.unwrap());
}

pub(super) async fn any_text_is_taken(site: &Site) {
    let store = site.open().await;
    let mut new = account("one", tokens("one", 0));
    new.label = "a\0b'; DROP TABLE account; -- \u{1f600}".into();
    store.put_account(new, NOW).await.unwrap();
    let label = store.accounts().await.unwrap().remove(0).label;
    assert_eq!(label, "a\u{fffd}b'; DROP TABLE account; -- \u{1f600}");
}

pub(super) async fn usage_comes_back(site: &Site) {
    let store = site.open().await;
    let rows: Vec<UsageRow> = (0..2_500).map(|at| usage(&format!("{at:05}"), NOW.plus(at))).collect();
    for row in &rows {
        store.usage().record(row.clone());
    }
    store.usage().record(rows[0].clone());
    store.usage().flush().await;
    let newest: Vec<UsageRow> = rows.iter().rev().take(2_400).cloned().collect();
    assert_eq!(store.usage().rows(2_400).await.unwrap(), newest);
    assert_eq!(store.usage().rows(10_000).await.unwrap().len(), rows.len(), "an id is written once");
    // A client may use one request id for all its requests.
    let mut namesake = usage("another", NOW.plus(8_888));
    namesake.request_id.clone_from(&rows[0].request_id);
    namesake.account = None;
    namesake.ttft_ms = Some(7);
    namesake.model = "say \"x\"\\\n'\u{2028}".into();
    store.usage().record(namesake.clone());
    store.usage().flush().await;
    assert_eq!(store.usage().rows(1).await.unwrap(), [namesake]);
    store.usage().record(usage("last", NOW.plus(9_999)));
    store.clone().close().await;
    assert_eq!(store.usage().lost(), 0);
    store.usage().record(usage("late", NOW));
    assert_eq!(store.usage().lost(), 1);

    let store = site.open().await;
    assert_eq!(store.usage().rows(1).await.unwrap()[0].request_id.as_ref(), "last");
}

/// More rows than one step removes.
pub(super) async fn old_usage_is_deleted(site: &Site) {
    let kept = Retention { age: Some(Duration::from_hours(24)), ..Retention::default() };
    let store = Store::open(Options { usage: kept, ..site.options() }).await.unwrap();
    for number in 0..2_500 {
        store.usage().record(usage(&format!("old {number}"), Millis(1_000_000_000_000 + number)));
    }
    store.usage().record(usage("new", NOW));
    let begun = Instant::now();
    while store.usage().rows(10_000).await.unwrap().len() > 1 {
        assert!(begun.elapsed() < Duration::from_mins(1), "old rows stay");
    }
    assert_eq!(store.usage().rows(9).await.unwrap()[0].request_id.as_ref(), "new");
    store.close().await;
}

pub(crate) fn usage(id: &str, at: Millis) -> UsageRow {
    UsageRow {
        id: Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_bytes()),
        request_id: id.into(),
        at,
        key: "aaaaaaaa".into(),
        account: Some(AccountId("a".into())),
        dialect: Cow::Borrowed("chat"),
        model: "gpt-6-sol".into(),
        status: 200,
        outcome: Outcome::Aborted,
        tokens: TokenUsage { input: 1, cached: 2, output: 3, reasoning: u64::from(u32::MAX), estimated: true },
        attempts: 2,
        ttft_ms: None,
        duration_ms: 77,
        stream: true,
        notes: "dropped=logit_bias".into(),
    }
}

pub(super) async fn an_install_keeps_its_secrets(site: &Site) {
    let store = site.open().await;
    let (pepper, instance) = (*store.pepper(), store.instance().to_owned());
    assert_ne!(pepper, [0; 32]);
    store.close().await;
    let store = site.open().await;
    assert_eq!((*store.pepper(), store.instance()), (pepper, instance.as_str()));
}
