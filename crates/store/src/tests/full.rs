//! Row S10: a full disk, on a separate small tmpfs.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use super::refresh::lease;
use super::{NOW, Site, add, tokens};
use crate::{Error, Options, Store};

/// A mounted tmpfs, which is unmounted when its value is dropped.
struct TmpfsMount<'a>(&'a Path);

impl<'a> TmpfsMount<'a> {
    fn mount(path: &'a Path) -> Option<Self> {
        let options = ["-t", "tmpfs", "-o", "size=6m,mode=0700", "tmpfs"];
        let mounted = Command::new("mount").args(options).arg(path).output().is_ok_and(|done| done.status.success());
        mounted.then_some(Self(path))
    }
}

impl Drop for TmpfsMount<'_> {
    fn drop(&mut self) {
        Command::new("umount").arg("--lazy").arg(self.0).status().ok();
    }
}

/// Fills the disk to the last byte.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    while file.write_all(&[0; 512]).is_ok() {}
}

#[tokio::test]
async fn a_refresh_is_durable_on_a_full_disk() {
    let site = Site::sqlite();
    let Some(disk) = TmpfsMount::mount(site.home()) else {
        println!("SKIPPED: mounting a tmpfs takes root");
        return;
    };
    let store = site.open().await;
    let id = add(&store, "one").await;
    let ticket = lease(&store, &id, NOW).await;
    store.write_intent(&ticket, NOW).await.unwrap();
    let filler = site.home().join("filler");
    fill(&filler);
    // The WAL grows until the reserve is used up, then every write fails cleanly.
    store.commit_refresh(ticket, &tokens("new", 1)).await.unwrap();
    let body = "x".repeat(64 << 10);
    let mut refused = None;
    for number in 0..200 {
        if let Err(error) = store.set_setting(&number.to_string(), &body).await {
            refused = Some((number, error));
            break;
        }
        fill(&site.home().join(format!("filler-{number}")));
    }
    let Some((number, Error::Full)) = refused else { panic!("{refused:?}") };
    assert!(!site.home().join("reserve").exists());
    assert_eq!(store.setting(&number.to_string()).await.unwrap(), None);
    assert_eq!(store.tokens(&id).await.unwrap(), Some(tokens("new", 1)));
    store.usage().record(super::rows::usage("1", NOW));
    store.usage().flush().await;
    assert_eq!(store.usage().lost(), 0, "usage waits");

    for path in super::files(site.home()) {
        if path.file_name().unwrap().to_str().unwrap().starts_with("filler") {
            std::fs::remove_file(path).unwrap();
        }
    }
    store.set_setting("after", "works").await.unwrap();
    store.close().await;
    let store = Store::open(Options { home: site.home().to_path_buf(), ..Options::default() }).await.unwrap();
    assert_eq!(store.tokens(&id).await.unwrap(), Some(tokens("new", 1)));
    store.close().await;
    drop(disk);
}
