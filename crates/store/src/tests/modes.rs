//! Owner and permissions of the files.
#![cfg(unix)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::{NOW, Site, add, files, refusal};
use crate::{DataKey, LockError, OpenError, Options, Store};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn files_are_ours_alone() {
    let mut site = Site::sqlite();
    let outer = std::mem::replace(&mut site.home, tempfile::TempDir::new().unwrap());
    let options = Options { home: outer.path().join("a/b"), ..site.options() };
    let store = Store::open(options.clone()).await.unwrap();
    let _lock = Store::lock(&options.home).unwrap();
    add(&store, "one").await;
    store.usage().record(super::rows::usage("1", NOW));
    store.usage().flush().await;
    let found = files(&options.home);
    let names: Vec<&str> = found.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    let expected = [
        "accounts.db", "accounts.db-shm", "accounts.db-wal", "open.lock", "reserve", "data.key", "serve.lock",
        "usage.db", "usage.db-shm", "usage.db-wal",
    ];
    assert_eq!(names, expected);
    for path in &found {
        assert_eq!(mode(path), 0o600, "{}", path.display());
    }
    for folder in ["", "secret"] {
        assert_eq!(mode(&options.home.join(folder)), 0o700);
    }
    assert_eq!(mode(&outer.path().join("a")), 0o700);
    store.close().await;
}

#[tokio::test]
async fn files_open_to_others_are_refused_and_unchanged() {
    for (name, bad) in [
        ("accounts.db", 0o644),
        ("accounts.db", 0o660),
        ("secret/data.key", 0o604),
        ("secret", 0o770),
        ("secret", 0o755),
        ("", 0o777),
    ] {
        let site = Site::sqlite();
        site.open().await.close().await;
        let path = site.home().join(name);
        chmod(&path, bad);
        let error = refusal(&site).await;
        assert!(matches!(error, OpenError::Mode { mode, .. } if mode == bad), "{name}: {error}");
        assert!(error.to_string().contains("hint: chmod"), "{error}");
        assert_eq!(mode(&path), bad);
    }
}

/// Service managers and containers make such a home; every file in the home is still private.
#[tokio::test]
async fn a_listable_home_opens_and_is_reported() {
    let site = Site::sqlite();
    chmod(site.home(), 0o755);
    site.open().await.close().await;
    assert_eq!(Store::listable_mode(site.home()), Some(0o755));
    chmod(site.home(), 0o700);
    assert_eq!(Store::listable_mode(site.home()), None);
    assert_eq!(Store::listable_mode(&site.home().join("none")), None);
}

/// The first folder that has the key counts. A folder that is not writable is skipped when a key is created.
#[tokio::test]
async fn the_key_is_in_the_first_usable_folder() {
    let (site, keys) = (Site::sqlite(), tempfile::TempDir::new().unwrap());
    let folders = ["", "a", "b"].map(|name| keys.path().join(name));
    let options = |folders: &[PathBuf]| Options { data_key: DataKey::Folders(folders.to_vec()), ..site.options() };
    let file = keys.path().join("file");
    fs::write(&file, "").unwrap();
    let below_a_file = file.join("secret");
    let store = Store::open(options(&[below_a_file.clone(), folders[1].clone(), folders[2].clone()])).await.unwrap();
    add(&store, "one").await;
    store.close().await;
    assert!(folders[1].join("data.key").exists() && !folders[2].exists());
    assert_eq!(mode(&folders[1]), 0o700);
    Store::open(options(&[folders[2].clone(), folders[1].clone()])).await.unwrap().close().await;
    assert!(!folders[2].exists());
    let lost = Store::open(options(&[folders[2].clone(), below_a_file.clone()])).await.err().unwrap();
    assert!(matches!(&lost, OpenError::MissingDataKey { path } if path.starts_with(&folders[2])), "{lost}");
    assert!(!folders[2].exists());
    let nowhere =
        Store::open(Options { home: keys.path().join("new"), ..options(&[below_a_file]) }).await.err().unwrap();
    assert!(nowhere.to_string().contains("hint:"), "{nowhere}");
}

#[tokio::test]
async fn symlinks_are_refused() {
    for name in ["accounts.db", "secret/data.key", "open.lock", "secret"] {
        let site = Site::sqlite();
        site.open().await.close().await;
        let (path, target) = (site.home().join(name), site.home().join("elsewhere"));
        fs::rename(&path, &target).unwrap();
        symlink(&target, &path).unwrap();
        let error = refusal(&site).await;
        assert!(matches!(error, OpenError::Symlink { .. } | OpenError::Io { .. }), "{name}: {error}");
    }
    let site = Site::sqlite();
    let link = site.home().join("link");
    symlink(Site::sqlite().home(), &link).unwrap();
    assert!(matches!(Store::open(Options { home: link, ..site.options() }).await, Err(OpenError::Symlink { .. })));
}

#[tokio::test]
async fn somebody_elses_files_are_refused() {
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED: only root can give files away");
        return;
    }
    for name in ["", "accounts.db", "secret/data.key"] {
        let site = Site::sqlite();
        site.open().await.close().await;
        std::os::unix::fs::chown(site.home().join(name), Some(65_534), None).unwrap();
        let error = refusal(&site).await;
        assert!(matches!(error, OpenError::Owner { owner: 65_534, .. }), "{name}: {error}");
    }
}

#[tokio::test]
async fn other_things_in_the_way_are_refused() {
    let site = Site::sqlite();
    fs::create_dir(site.home().join("accounts.db")).unwrap();
    assert!(matches!(refusal(&site).await, OpenError::WrongFileType { .. }));
    let file = site.home().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(
        Store::open(Options { home: file, ..site.options() }).await,
        Err(OpenError::WrongFileType { .. })
    ));
    let nowhere = Options { home: PathBuf::from("/proc/polygate"), ..site.options() };
    let error = Store::open(nowhere).await.err().unwrap().to_string();
    assert!(error.contains("hint:"), "{error}");
}

#[tokio::test]
async fn one_gateway_serves_a_home() {
    let site = Site::sqlite();
    let lock = Store::lock(site.home()).unwrap();
    let store = site.open().await;
    let error = Store::lock(site.home()).unwrap_err();
    assert!(matches!(error, LockError::Held { .. }));
    assert!(error.to_string().contains(&format!("(process {})", std::process::id())), "{error}");
    drop(lock);
    drop(Store::lock(site.home()).unwrap());
    store.close().await;
}
