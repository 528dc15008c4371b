//! Proxies: stored values can be read again, a file of proxies is added in one step, and a proxy that an account uses cannot be removed.

use pool::Status;
use pool::egress::{Address, Egress, Health, ProxyId};

use super::{NOW, Site, account, add, tokens};
use crate::{Error, NewAccount, NewProxy};

pub(super) fn proxy(name: &str, url: &str) -> NewProxy {
    NewProxy { name: name.into(), address: Address::read(url).unwrap(), enabled: true, allow_private: false }
}

fn plain(name: &str) -> NewProxy {
    proxy(name, &format!("socks5h://user:pass@{name}.example:1080"))
}

pub(super) async fn proxies_come_back(site: &Site) {
    let store = site.open().await;
    assert_eq!(store.proxies().await.unwrap(), []);
    let ids = store.add_proxies(&[plain("one"), plain("two")], NOW).await.unwrap();
    let health = Health {
        ok: true,
        exit_ip: Some("192.0.2.7".parse().unwrap()),
        latency_ms: Some(12),
        checked: NOW,
        error: None,
    };
    store.set_proxy_health(&[(ids[0].clone(), health.clone())]).await.unwrap();
    store.close().await;

    let store = site.open().await;
    let found = store.proxies().await.unwrap();
    assert_eq!(found.iter().map(|proxy| &proxy.id).collect::<Vec<_>>(), ids.iter().collect::<Vec<_>>());
    assert_eq!((found[0].name.as_str(), &found[0].address), ("one", &plain("one").address));
    assert_eq!((&found[0].health, &found[1].health), (&Some(health.clone()), &None));

    let quiet = NewProxy { enabled: false, allow_private: true, ..plain("one") };
    assert!(store.change_proxy(&ids[0], &quiet, false).await.unwrap());
    let one = store.proxies().await.unwrap().remove(0);
    assert_eq!((one.enabled, one.allow_private, one.health), (false, true, Some(health)));
    // The health of the old address does not apply to a new address.
    let moved = proxy("first", "http://1.1.1.1:1");
    assert!(store.change_proxy(&ids[0], &moved, true).await.unwrap());
    let one = store.proxies().await.unwrap().remove(0);
    assert_eq!((one.name.as_str(), &one.address, one.health), ("first", &moved.address, None));
    assert!(matches!(store.change_proxy(&ids[0], &plain("two"), false).await, Err(Error::ProxyNameTaken)));
    assert!(!store.change_proxy(&ProxyId("none".into()), &plain("x"), false).await.unwrap());
}

pub(super) async fn proxies_are_added_all_or_none(site: &Site) {
    let store = site.open().await;
    store.add_proxies(&[plain("known")], NOW).await.unwrap();
    let file = [plain("one"), plain("two"), plain("known")];
    assert!(matches!(store.add_proxies(&file, NOW).await, Err(Error::ProxyNameTaken)));
    assert_eq!(store.proxies().await.unwrap().len(), 1);
    store.add_proxies(&file[..2], NOW).await.unwrap();
    assert_eq!(store.proxies().await.unwrap().len(), 3);
}

pub(super) async fn a_proxy_in_use_stays(site: &Site) {
    let store = site.open().await;
    let id = store.add_proxies(&[plain("one")], NOW).await.unwrap().remove(0);
    let account = add(&store, "a").await;
    store.set_egresses(&[(account.clone(), Egress::Fixed(id.clone()))]).await.unwrap();
    assert!(!store.remove_proxy(&id).await.unwrap());
    store.set_egresses(&[(account, Egress::Auto)]).await.unwrap();
    assert!(store.remove_proxy(&id).await.unwrap());
    assert!(!store.remove_proxy(&id).await.unwrap());
    assert_eq!(store.proxies().await.unwrap(), []);
}

pub(super) async fn assignments_come_back(site: &Site) {
    let store = site.open().await;
    let (a, b) = (add(&store, "a").await, add(&store, "b").await);
    let gone = pool::AccountId("gone".into());
    let fixed = Egress::Fixed(ProxyId("p".into()));
    store.set_egresses(&[(a.clone(), Egress::Direct), (b.clone(), fixed.clone()), (gone, Egress::Auto)]).await.unwrap();
    let mut found = store.egresses().await.unwrap();
    found.sort_by_key(|(id, _)| *id != a);
    assert_eq!(found, [(a.clone(), Egress::Direct), (b.clone(), fixed)]);
    store.set_egresses(&[(a, Egress::Global)]).await.unwrap();
    assert_eq!(store.egresses().await.unwrap().len(), 1);
    store.remove_accounts(std::slice::from_ref(&b)).await.unwrap();
    assert_eq!(store.egresses().await.unwrap(), []);
}

pub(super) async fn an_account_is_stored_with_its_egress(site: &Site) {
    let store = site.open().await;
    let new = |egress| NewAccount { egress, status: Status::Disabled, ..account("a", tokens("0", 0)) };
    let put = store.put_account(new(Some(Egress::Direct)), NOW).await.unwrap();
    assert_eq!(store.accounts().await.unwrap()[0].status, Status::Disabled, "from its first moment on");
    assert_eq!(store.egresses().await.unwrap(), [(put.id.clone(), Egress::Direct)]);
    // Known tokens, new tokens, and a login without an egress.
    for (refreshed, egress, assigned) in
        [(0, Some(Egress::Auto), Egress::Auto), (1, Some(Egress::Direct), Egress::Direct)]
    {
        let again = NewAccount { tokens: tokens(&refreshed.to_string(), refreshed), ..new(egress) };
        assert_eq!(store.put_account(again, NOW).await.unwrap().stored, refreshed > 0);
        assert_eq!(store.egresses().await.unwrap(), [(put.id.clone(), assigned)]);
    }
    let again = NewAccount { tokens: tokens("2", 2), ..new(None) };
    assert!(store.put_account(again, NOW).await.unwrap().stored);
    assert_eq!(store.egresses().await.unwrap(), [(put.id, Egress::Direct)]);
}

pub(super) async fn changes_of_proxies_are_noticed(site: &Site) {
    let (watcher, writer) = (site.open().await, site.open().await);
    let account = add(&writer, "a").await;
    let mut last = watcher.generation().await.unwrap();
    let id = writer.add_proxies(&[plain("one")], NOW).await.unwrap().remove(0);
    for step in ["add", "assign", "change", "remove"] {
        match step {
            "assign" => writer.set_egresses(&[(account.clone(), Egress::Direct)]).await.unwrap(),
            "change" => assert!(writer.change_proxy(&id, &plain("two"), false).await.unwrap()),
            "remove" => assert!(writer.remove_proxy(&id).await.unwrap()),
            _ => {}
        }
        let now = watcher.generation().await.unwrap();
        assert_ne!(now, last, "{step}");
        last = now;
    }
}
