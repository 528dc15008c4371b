//! Relays: stored values can be read again, names are unique, and a key is never sent to another host than its own.

use pool::relay::{Capabilities, Relay, Wire};
use pool::{AccountId, Secret, Status};

use super::races::race;
use super::{NOW, Site};
use crate::{Error, NewRelay, RelayModels, Store};

pub(super) fn relay(name: &str) -> NewRelay {
    NewRelay {
        id: None,
        name: name.into(),
        base_url: format!("https://{name}.example/v1"),
        wire: Wire::Chat,
        models: Vec::new(),
        prefix: String::new(),
        capabilities: Capabilities::CHAT,
        allow_private: false,
        enabled: true,
        weight: 1,
        key: Some(Secret::new(format!("key-{name}"))),
    }
}

async fn only(store: &Store) -> Relay {
    let mut relays = store.relays().await.unwrap();
    assert_eq!(relays.len(), 1);
    relays.remove(0)
}

pub(super) async fn relays_come_back(site: &Site) {
    let store = site.open().await;
    assert_eq!(store.relays().await.unwrap(), []);
    let full = NewRelay {
        wire: Wire::Gemini,
        models: vec!["a".into(), "b\"c".into()],
        prefix: "g/".into(),
        capabilities: "chat,images".parse().unwrap(),
        allow_private: true,
        enabled: false,
        weight: 7,
        key: None,
        ..relay("one")
    };
    let one = store.put_relay(&full, NOW).await.unwrap();
    let two = store.put_relay(&relay("two"), NOW.plus(1)).await.unwrap();
    store.close().await;

    let store = site.open().await;
    let relays = store.relays().await.unwrap();
    let expected = Relay {
        id: one.clone(),
        name: "one".into(),
        base_url: "https://one.example/v1".into(),
        wire: Wire::Gemini,
        models: full.models.clone(),
        prefix: "g/".into(),
        capabilities: full.capabilities,
        allow_private: true,
        enabled: false,
        weight: 7,
        status: Status::Active,
        created: NOW,
        version: 1,
    };
    assert_eq!(relays[0], expected);
    assert_eq!((&relays[1].id, relays[1].name.as_str(), relays[1].wire), (&two, "two", Wire::Chat));
    assert_eq!(store.relay_key(&one).await.unwrap(), Some(Secret::from("")));
    assert_eq!(store.relay_key(&two).await.unwrap(), Some(Secret::from("key-two")));
    assert_eq!(store.relay_key(&AccountId("none".into())).await.unwrap(), None);
    let wires = [Wire::Responses, Wire::Chat, Wire::Messages, Wire::Gemini];
    for wire in wires {
        store.put_relay(&NewRelay { id: Some(two.clone()), wire, ..relay("two") }, NOW).await.unwrap();
        assert_eq!(store.relays().await.unwrap()[1].wire, wire);
    }
}

pub(super) async fn a_name_belongs_to_one_relay(site: &Site) {
    let store = site.open().await;
    let one = store.put_relay(&relay("one"), NOW).await.unwrap();
    let two = store.put_relay(&relay("two"), NOW).await.unwrap();
    let again = store.put_relay(&relay("one"), NOW).await;
    assert!(matches!(again, Err(Error::RelayNameTaken(name)) if name == "one"));
    let renamed = |id: &AccountId, name: &str| NewRelay { id: Some(id.clone()), name: name.into(), ..relay("one") };
    assert!(matches!(store.put_relay(&renamed(&two, "one"), NOW).await, Err(Error::RelayNameTaken(_))));
    assert_eq!(store.put_relay(&renamed(&one, "three"), NOW).await.unwrap(), one);
    assert_eq!(store.put_relay(&renamed(&two, "one"), NOW).await.unwrap(), two);
    assert!(store.remove_relay(&one).await.unwrap());
    assert!(!store.remove_relay(&one).await.unwrap());
    assert!(matches!(store.put_relay(&renamed(&one, "four"), NOW).await, Err(Error::NoSuchRelay)));
    assert_eq!(only(&store).await.name, "one");
}

pub(super) async fn a_key_stays_with_its_target(site: &Site) {
    let store = site.open().await;
    let id = store.put_relay(&relay("one"), NOW).await.unwrap();
    let moved = |base: &str, key: Option<&str>| NewRelay {
        id: Some(id.clone()),
        base_url: base.into(),
        key: key.map(Secret::from),
        ..relay("one")
    };
    store.put_relay(&moved("https://one.example/v2", None), NOW).await.unwrap();
    assert_eq!(store.relay_key(&id).await.unwrap(), Some(Secret::from("key-one")));
    for base in ["https://two.example/v2", "http://one.example/v2", "https://one.example:8443/v2", "nonsense"] {
        assert!(matches!(store.put_relay(&moved(base, None), NOW).await, Err(Error::RelayKeyRequired)), "{base}");
    }
    assert_eq!(only(&store).await.base_url, "https://one.example/v2");
    store.put_relay(&moved("https://two.example/v1", Some("new")), NOW).await.unwrap();
    assert_eq!(only(&store).await.base_url, "https://two.example/v1");
    assert_eq!(store.relay_key(&id).await.unwrap(), Some(Secret::from("new")));
}

pub(super) async fn a_new_key_resets_the_status(site: &Site) {
    let store = site.open().await;
    let id = store.put_relay(&relay("one"), NOW).await.unwrap();
    let refused = Status::NeedsLogin { why: "its key is refused".into() };
    assert!(store.set_relay_status(&id, &refused, 1).await.unwrap());
    assert_eq!(only(&store).await.status, refused);
    let change = |key: Option<&str>| NewRelay { id: Some(id.clone()), key: key.map(Secret::from), ..relay("one") };
    store.put_relay(&NewRelay { weight: 2, ..change(None) }, NOW).await.unwrap();
    assert_eq!((only(&store).await.weight, only(&store).await.status), (2, refused));
    let old = only(&store).await.version;
    store.put_relay(&change(Some("new")), NOW).await.unwrap();
    assert_eq!(only(&store).await.status, Status::Active);
    // A finding about the old key comes too late.
    assert!(!store.set_relay_status(&id, &Status::NeedsLogin { why: "late".into() }, old).await.unwrap());
    assert_eq!(only(&store).await.status, Status::Active);
}

pub(super) async fn removing_a_relay_removes_its_models(site: &Site) {
    let store = site.open().await;
    let id = store.put_relay(&relay("one"), NOW).await.unwrap();
    assert_eq!(store.relay_models(&id).await.unwrap(), None);
    let list = |body: &'static str, fetched| RelayModels { body: body.into(), fetched };
    store.set_relay_models(&id, &list("[1]", NOW)).await.unwrap();
    store.set_relay_models(&id, &list("[2]", NOW.plus(1))).await.unwrap();
    assert_eq!(store.relay_models(&id).await.unwrap(), Some(list("[2]", NOW.plus(1))));
    let broken = RelayModels { body: vec![0xff].into(), fetched: NOW };
    assert!(matches!(store.set_relay_models(&id, &broken).await, Err(Error::NotText(_))));
    store.remove_relay(&id).await.unwrap();
    // A late write for a relay that is gone is no error and leaves nothing.
    store.set_relay_models(&id, &list("[3]", NOW)).await.unwrap();
    assert!(!store.set_relay_status(&id, &Status::Disabled, 1).await.unwrap());
    assert_eq!(store.relay_models(&id).await.unwrap(), None);
    assert_eq!(store.relays().await.unwrap(), []);
}

pub(super) async fn changes_of_relays_are_noticed(site: &Site) {
    let (store, other) = (site.open().await, site.open().await);
    let mut last = store.generation().await.unwrap();
    let id = other.put_relay(&relay("one"), NOW).await.unwrap();
    let mut noticed = async |what: &str| {
        let now = store.generation().await.unwrap();
        assert_ne!(now, last, "{what}");
        last = now;
    };
    noticed("added").await;
    other.put_relay(&NewRelay { id: Some(id.clone()), ..relay("two") }, NOW).await.unwrap();
    noticed("changed").await;
    assert!(other.set_relay_status(&id, &Status::Disabled, 2).await.unwrap());
    noticed("status").await;
    other.set_relay_models(&id, &RelayModels { body: "[]".into(), fetched: NOW }).await.unwrap();
    noticed("list").await;
    other.remove_relay(&id).await.unwrap();
    noticed("removed").await;
}

pub(super) async fn one_of_many_adds_the_relay(site: &Site) {
    let added = race(site, 16, |store, _| async move { store.put_relay(&relay("one"), NOW).await });
    let added = added.await;
    assert_eq!(added.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(added.iter().all(|result| matches!(result, Ok(_) | Err(Error::RelayNameTaken(_)))));
    let store = site.open().await;
    let id = only(&store).await.id;
    let renamed = race(site, 8, move |store, number| {
        let id = id.clone();
        async move { store.put_relay(&NewRelay { id: Some(id), name: format!("n{number}"), ..relay("one") }, NOW).await }
    });
    assert!(renamed.await.iter().all(Result::is_ok), "each finds the row as the last one left it");
    assert_eq!(only(&store).await.version, 9);
}
