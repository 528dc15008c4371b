//! Damaged files: the store refuses and copies them, and never replaces them by an empty pool. Only usage starts with a new file.

use std::fs;
use std::path::PathBuf;

use pool::Secret;
use sqlx::sqlite::SqlitePool;
use sqlx::{Connection, Executor, SqliteConnection};

use super::relays::relay;
use super::{NOW, Site, add, files, refusal, tokens};
use crate::{Error, OpenError, Store};

/// A closed home with two accounts, and the path of its database.
async fn filled() -> (Site, PathBuf) {
    let site = Site::sqlite();
    let store = site.open().await;
    add(&store, "one").await;
    add(&store, "two").await;
    store.close().await;
    let path = site.home().join("accounts.db");
    (site, path)
}

fn quarantined(site: &Site, name: &str) -> Vec<PathBuf> {
    let prefix = format!("{name}.quarantine-");
    let copy = |name: &str| name.starts_with(&prefix) && !name.ends_with("-wal");
    files(site.home()).into_iter().filter(|path| copy(path.file_name().unwrap().to_str().unwrap())).collect()
}

#[tokio::test]
async fn a_damaged_database_is_set_aside_and_refused() {
    type Damage = fn(Vec<u8>) -> Vec<u8>;
    let cases: [(&str, Damage); 5] = [
        ("empty", |_| Vec::new()),
        ("truncated", |bytes| bytes[..bytes.len() / 2].to_vec()),
        ("without its last page", |bytes| bytes[..bytes.len() - 4096].to_vec()),
        ("text", |_| b"not a database, but long enough to look like one ".repeat(100)),
        ("torn page", |mut bytes| {
            let middle = bytes.len() / 2;
            bytes[middle..middle + 4096].fill(0xa5);
            bytes
        }),
    ];
    for (name, damage) in cases {
        let (site, path) = filled().await;
        let broken = damage(fs::read(&path).unwrap());
        fs::write(&path, &broken).unwrap();
        for _ in 0..2 {
            let OpenError::Damaged { path: reported, copy, .. } = refusal(&site).await else {
                panic!("{name}: other error")
            };
            assert_eq!(reported, path, "{name}");
            assert_eq!(fs::read(&copy).unwrap(), broken, "{name}");
        }
        assert_eq!(fs::read(&path).unwrap(), broken, "{name}: the file itself stays");
        assert_eq!(quarantined(&site, "accounts.db").len(), 1, "{name}: one copy, however often it is tried");
    }
}

#[tokio::test]
async fn a_lost_database_is_not_made_anew_over_its_wal() {
    let site = Site::sqlite();
    let store = site.open().await;
    add(&store, "one").await;
    fs::remove_file(site.home().join("accounts.db")).unwrap();
    let error = refusal(&site).await;
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    assert!(!site.home().join("accounts.db").exists());
    drop(store);
}

#[tokio::test]
async fn somebody_elses_database_is_refused() {
    let (site, path) = filled().await;
    for file in files(site.home()) {
        if file.file_name().unwrap().to_str().unwrap().starts_with("accounts.db") {
            fs::remove_file(file).unwrap();
        }
    }
    crate::files::create(&path).unwrap();
    let mut other = SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    other.execute("CREATE TABLE other (id TEXT)").await.unwrap();
    other.close().await.unwrap();
    assert!(matches!(refusal(&site).await, OpenError::Damaged { .. }));
}

/// 400 single bytes flipped: refused, or every account is still there.
#[tokio::test]
async fn flipped_bytes_400() {
    let (site, path) = filled().await;
    let sound = fs::read(&path).unwrap();
    let mut refused = 0;
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..400 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Most of a young file is empty space, where a flip changes nothing.
        let start = usize::try_from(random >> 33).unwrap() % sound.len();
        let at = (0..sound.len()).map(|step| (start + step) % sound.len()).find(|at| sound[*at] != 0).unwrap();
        let mut broken = sound.clone();
        broken[at] ^= 1 << (random >> 30 & 7);
        fs::write(&path, broken).unwrap();
        match Store::open(site.options()).await {
            Ok(store) => {
                // A flip inside a value is found and reported when the value is read.
                if let Ok(accounts) = store.accounts().await {
                    assert_eq!(accounts.len(), 2, "byte {at}");
                    for (account, name) in accounts.iter().zip(["one", "two"]) {
                        let found = store.tokens(&account.id).await;
                        assert!(found.is_err() || found.as_ref().unwrap().is_some(), "byte {at}");
                        if let Ok(Some(found)) = found {
                            assert_eq!(found.refresh, tokens(name, 0).refresh, "byte {at}");
                        }
                    }
                }
                store.close().await;
            }
            Err(_) => refused += 1,
        }
        for copy in quarantined(&site, "accounts.db") {
            fs::remove_file(copy).unwrap();
        }
        for side in ["accounts.db-wal", "accounts.db-shm"] {
            crate::files::remove(&site.home().join(side)).unwrap();
        }
    }
    assert!(refused > 20, "only {refused} were noticed");
}

#[tokio::test]
async fn a_changed_schema_is_refused() {
    let (site, path) = filled().await;
    let pool = SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    pool.execute("UPDATE migration SET digest = 'x' WHERE number = 1").await.unwrap();
    assert!(matches!(refusal(&site).await, OpenError::MigrationChanged { number: 1 }));
    assert!(quarantined(&site, "accounts.db").is_empty(), "it is sound, only not ours to open");
}

/// The error names a relay whose row was changed by hand, and a relay's key opens in no other row.
#[tokio::test]
async fn a_damaged_relay_is_named() {
    let site = Site::sqlite();
    let store = site.open().await;
    let one = store.put_relay(&relay("one"), NOW).await.unwrap();
    let two = store.put_relay(&relay("two"), NOW).await.unwrap();
    let pool = SqlitePool::connect(site.home().join("accounts.db").to_str().unwrap()).await.unwrap();
    pool.execute("UPDATE relay SET api_key = (SELECT api_key FROM relay WHERE name = 'one')").await.unwrap();
    assert_eq!(store.relay_key(&one).await.unwrap(), Some(Secret::from("key-one")));
    let moved = store.relay_key(&two).await;
    assert!(matches!(&moved, Err(Error::CannotUnseal { column: "api_key", row, .. }) if *row == two.0), "{moved:?}");
    let damages = [
        ("wire", "UPDATE relay SET wire = 'soap'"),
        ("models", "UPDATE relay SET wire = 'chat', models = '{'"),
        ("capabilities", "UPDATE relay SET models = '[]', capabilities = 'flight'"),
        ("weight", "UPDATE relay SET capabilities = 'chat', weight = -1"),
        ("status", "UPDATE relay SET weight = 1, status = '\"up\"'"),
    ];
    for (column, damage) in damages {
        pool.execute(damage).await.unwrap();
        let error = store.relays().await.unwrap_err();
        assert!(matches!(error, Error::Damaged { table: "relay", column: name, .. } if name == column), "{error}");
    }
    pool.execute("UPDATE relay SET status = '{\"state\":\"active\"}'").await.unwrap();
    assert_eq!(store.relays().await.unwrap().len(), 2);
}

#[tokio::test]
async fn damaged_usage_starts_anew_and_takes_nothing_along() {
    let (site, _) = filled().await;
    let path = site.home().join("usage.db");
    for round in 0..2 {
        crate::files::remove(&path).unwrap();
        std::io::Write::write_all(&mut crate::files::create(&path).unwrap(), &[0x5a; 9000]).unwrap();
        let store = site.open().await;
        assert_eq!(store.accounts().await.unwrap().len(), 2);
        store.usage().record(super::rows::usage("1", NOW));
        assert_eq!(store.usage().rows(9).await.unwrap().len(), 1);
        assert_eq!(store.usage().lost(), 0);
        store.close().await;
        let kept = quarantined(&site, "usage.db");
        assert_eq!(kept.len(), 1, "round {round}: only the newest is kept");
        assert_eq!(fs::read(&kept[0]).unwrap(), [0x5a; 9000]);
    }
}

#[tokio::test]
async fn usage_that_is_damaged_in_use_starts_anew() {
    let (site, _) = filled().await;
    let store = site.open().await;
    store.usage().record(super::rows::usage("1", NOW));
    store.usage().flush().await;
    for name in ["usage.db", "usage.db-wal"] {
        let path = site.home().join(name);
        let size = fs::metadata(&path).unwrap().len();
        fs::write(&path, vec![0x5a; usize::try_from(size).unwrap()]).unwrap();
    }
    store.usage().record(super::rows::usage("2", NOW));
    store.usage().rows(9).await.unwrap();
    store.usage().record(super::rows::usage("3", NOW.plus(1)));
    assert_eq!(store.usage().rows(1).await.unwrap()[0].request_id.as_ref(), "3");
    assert_eq!(quarantined(&site, "usage.db").len(), 1);
    assert_eq!(store.accounts().await.unwrap().len(), 2);
    store.close().await;
}
