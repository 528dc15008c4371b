//! Settings of an account that its owner chooses, and links.

use pool::{AccountId, AccountLimits, Status};

use super::{NOW, Site, account, add, learn, tokens};
use crate::LinkedAccount;

pub(super) async fn labels_and_tags_come_back(site: &Site) {
    let store = site.open().await;
    let ids = [add(&store, "one").await, add(&store, "two").await, AccountId("none".into())];
    let labels = async || store.accounts().await.unwrap().into_iter().map(|account| account.label).collect::<Vec<_>>();
    assert_eq!(store.set_label(&ids, "Work").await.unwrap(), [true, true, false]);
    assert_eq!(labels().await, ["Work", "Work"]);
    assert_eq!(store.set_label(&ids[..1], "").await.unwrap(), [true]);
    assert_eq!(labels().await, ["one@example.com", "Work"]);
    assert!(store.set_label(&[], "Work").await.unwrap().is_empty());

    assert_eq!(store.tags().await.unwrap(), []);
    let words = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    for list in [words(&["work", "a \"quoted\" one"]), words(&["late"])] {
        let rows = [(ids[2].clone(), list.clone()), (ids[0].clone(), list.clone())];
        assert_eq!(store.set_tags(&rows).await.unwrap(), [false, true]);
        assert_eq!(store.tags().await.unwrap(), [(ids[0].clone(), list)]);
    }
    assert_eq!(store.remove_accounts(&ids).await.unwrap(), [true, true, false]);
    assert_eq!(store.tags().await.unwrap(), []);
}

/// An observed status never switches on an account that its owner has switched off.
pub(super) async fn an_observed_status_does_not_enable_a_disabled_account(site: &Site) {
    let store = site.open().await;
    let ids = [add(&store, "one").await, AccountId("none".into())];
    let id = &ids[0];
    let status = async || store.accounts().await.unwrap()[0].status.clone();
    assert_eq!(store.set_owner_status(&ids, &Status::Disabled).await.unwrap(), [true, false]);
    assert_eq!(
        store.set_statuses_if_current(&[(id.clone(), Status::Active, 1)]).await.unwrap(),
        [false],
        "it was switched off since"
    );
    assert_eq!(status().await, Status::Disabled);
    store.put_account(account("one", tokens("later", 9)), NOW).await.unwrap();
    assert_eq!(status().await, Status::Disabled, "new tokens are no switch");
    assert_eq!(store.set_owner_status(&ids, &Status::Active).await.unwrap(), [true, false]);
    assert!(learn(&store, id, &Status::Blocked { why: "said so".into() }).await);
    assert_eq!(status().await.as_str(), "blocked");
}

pub(super) async fn a_status_of_an_old_login_is_not_written(site: &Site) {
    let (store, other) = (site.open().await, site.open().await);
    let id = add(&store, "one").await;
    let old = store.accounts().await.unwrap()[0].status_rev;
    other.put_account(account("one", tokens("later", 9)), NOW).await.unwrap();
    let dead = Status::NeedsLogin { why: "reused".into() };
    assert_eq!(store.set_statuses_if_current(&[(id.clone(), dead.clone(), old)]).await.unwrap(), [false]);
    let stored = &store.accounts().await.unwrap()[0];
    assert_eq!(stored.status, Status::Active);
    assert_eq!(store.set_statuses_if_current(&[(id.clone(), dead.clone(), stored.status_rev)]).await.unwrap(), [true]);
    assert_eq!(store.accounts().await.unwrap()[0].status, dead);
}

pub(super) async fn links_come_back(site: &Site) {
    let store = site.open().await;
    let id = add(&store, "one").await;
    for may_refresh in [false, true] {
        let link = LinkedAccount { account: id.clone(), file: "/home/me/.codex/auth.json".into(), may_refresh };
        assert!(store.set_link(&link).await.unwrap());
        assert_eq!(store.links().await.unwrap(), [link]);
    }
    assert!(store.unlink(&id).await.unwrap() && !store.unlink(&id).await.unwrap());
    let gone = LinkedAccount { account: AccountId("none".into()), file: "/x".into(), may_refresh: true };
    assert!(!store.set_link(&gone).await.unwrap());
    assert_eq!(store.links().await.unwrap(), []);
}

pub(super) async fn limits_are_stored(site: &Site) {
    let store = site.open().await;
    let id = add(&store, "one").await;
    let limits = async || store.accounts().await.unwrap()[0].limits;
    assert_eq!(limits().await, AccountLimits::default());
    for set in [
        AccountLimits { max_concurrent: Some(0), priority: -7 },
        AccountLimits { max_concurrent: Some(3), priority: 0 },
        AccountLimits { max_concurrent: None, priority: 1000 },
    ] {
        assert!(store.set_limits(&id, set).await.unwrap());
        assert_eq!(limits().await, set);
        store.put_account(account("one", tokens("later", 9)), NOW).await.unwrap();
        assert_eq!(limits().await, set, "new tokens change nothing");
    }
    assert!(!store.set_limits(&AccountId("none".into()), AccountLimits::default()).await.unwrap());
}

/// Reading all accounts at once gives the same values as reading each account.
pub(super) async fn bulk_reads_equal_single_reads(site: &Site) {
    let store = site.open().await;
    let ids = [add(&store, "one").await, add(&store, "two").await];
    store.set_cookies(&[(ids[1].clone(), pool::Secret::from("jar"))]).await.unwrap();
    let list = crate::StoredModels { etag: None, client_version: "1".into(), body: "[]".into(), fetched: NOW };
    store.set_models(&ids[0], &list).await.unwrap();
    let all = store.all_tokens().await.unwrap();
    assert_eq!(all.len(), 2);
    for id in &ids {
        assert_eq!(all[id].as_ref().unwrap(), &store.tokens(id).await.unwrap().unwrap());
    }
    let jars = store.all_cookies().await.unwrap();
    assert_eq!((jars.len(), jars[&ids[1]].as_ref().unwrap().expose()), (1, "jar"));
    assert_eq!(store.all_models().await.unwrap(), std::collections::HashMap::from([(ids[0].clone(), list)]));
}
