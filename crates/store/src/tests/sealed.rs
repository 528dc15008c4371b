//! Secrets on disk, and the key that opens them.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use pool::keys::{Digest, Key, KeyKind};
use pool::{Secret, Tokens};

use super::{NOW, Site, account, add, files, refusal, tokens};
use crate::seal::hex;
use crate::{DataKey, LeaseOutcome, NewRelay, OpenError, Options, Store};

const CANARIES: [&str; 10] = [
    "canary-access-1", "canary-refresh-1", "canary-identity-1", "canary-access-2", "canary-refresh-2",
    "canary-cookie-1", "canary-relay-key-1", "canary-relay-key-2", "canary-proxy-user", "canary-proxy-password",
];

/// Asserts that no file under `home` contains a canary, plain or encoded.
fn scan(home: &Path, pepper: &[u8; 32]) {
    for path in files(home) {
        let bytes = fs::read(&path).unwrap();
        let shows = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
        for canary in CANARIES {
            let coded = [
                canary.to_owned(),
                BASE64_STANDARD.encode(canary)[..18].to_owned(),
                BASE64_URL_SAFE_NO_PAD.encode(canary),
                hex(canary.as_bytes()),
            ];
            assert!(!coded.iter().any(|text| shows(text.as_bytes())), "{canary} in {}", path.display());
        }
        assert!(!shows(pepper) && !shows(hex(pepper).as_bytes()), "the pepper in {}", path.display());
    }
}

#[tokio::test]
async fn no_secret_is_in_the_clear() {
    let site = Site::sqlite();
    let store = site.open().await;
    let made = |number: u8| Tokens {
        access: Secret::new(format!("canary-access-{number}")),
        refresh: Some(Secret::new(format!("canary-refresh-{number}"))),
        id: Some(Secret::from("canary-identity-1")),
        ..tokens("", i64::from(number))
    };
    let id = store.put_account(account("one", made(1)), NOW).await.unwrap().id;
    store.set_cookies(&[(id.clone(), Secret::from("canary-cookie-1"))]).await.unwrap();
    let LeaseOutcome::Granted(ticket) = store.begin_refresh(&id, "test", NOW).await.unwrap() else { panic!("held") };
    store.write_intent(&ticket, NOW).await.unwrap();
    scan(site.home(), store.pepper());
    store.commit_refresh(ticket, &made(2)).await.unwrap();
    let key = Key {
        id: "aaaaaaaa".into(),
        kind: KeyKind::Client,
        name: String::new(),
        digest: Digest([1; 32]),
        scopes: "".parse().unwrap(),
        created: NOW,
        expires: None,
        revoked: None,
        tools: None,
    };
    store.add_key(&key).await.unwrap();
    let relay = |id, key: &str| NewRelay { id, key: Some(Secret::from(key)), ..super::relays::relay("one") };
    let id = store.put_relay(&relay(None, "canary-relay-key-1"), NOW).await.unwrap();
    store.put_relay(&relay(Some(id), "canary-relay-key-2"), NOW).await.unwrap();
    let proxy = super::proxies::proxy("one", "http://canary-proxy-user:canary-proxy-password@proxy.example:3128");
    store.add_proxies(&[proxy], NOW).await.unwrap();
    scan(site.home(), store.pepper());
    let pepper = *store.pepper();
    store.close().await;
    scan(site.home(), &pepper);
}

#[tokio::test]
async fn a_missing_key_is_never_made_anew() {
    let site = Site::sqlite();
    let store = site.open().await;
    let id = add(&store, "one").await;
    store.close().await;
    let path = site.home().join("secret/data.key");
    let key = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let error = refusal(&site).await;
    assert!(matches!(&error, OpenError::MissingDataKey { path: damaged } if *damaged == path), "{error}");
    assert!(!path.exists());

    crate::files::write_new(&path, &key[..31]).unwrap();
    assert!(matches!(refusal(&site).await, OpenError::BadDataKey { found: 31, .. }));
    fs::remove_file(&path).unwrap();
    crate::files::write_new(&path, &[7; 32]).unwrap();
    assert!(matches!(refusal(&site).await, OpenError::WrongDataKey { .. }));
    fs::remove_file(&path).unwrap();
    crate::files::write_new(&path, &key).unwrap();
    assert_eq!(site.open().await.tokens(&id).await.unwrap(), Some(tokens("one", 0)));
}

#[tokio::test]
async fn the_key_may_lie_elsewhere() {
    let (site, keys) = (Site::sqlite(), tempfile::TempDir::new().unwrap());
    let path = keys.path().join("polygate.key");
    let options = Options { data_key: DataKey::File(path.clone()), ..site.options() };
    let store = Store::open(options.clone()).await.unwrap();
    add(&store, "one").await;
    store.close().await;
    assert_eq!(fs::metadata(&path).unwrap().len(), 32);
    assert!(!site.home().join("secret").exists());
    assert!(matches!(refusal(&site).await, OpenError::MissingDataKey { .. }));
    Store::open(options).await.unwrap().close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first_openings_at_once_make_one_install() {
    let site = Site::sqlite();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        tasks.spawn(Store::open(site.options()));
    }
    let stores: Vec<Store> = tasks.join_all().await.into_iter().map(Result::unwrap).collect();
    let install = |store: &Store| (*store.pepper(), store.instance().to_owned());
    assert!(stores.iter().all(|store| install(store) == install(&stores[0])));
}
