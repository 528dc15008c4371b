//! What counts as a version, and how many there may be.

use rstest::rstest;

use super::*;

#[rstest]
#[case("0.169.0", true)]
#[case("0.170.0-alpha.12", true)]
#[case("0.0.0", true)]
#[case("", false)]
#[case("0.169", false)]
#[case("0.169.0.1", false)]
#[case("0.169.x", false)]
#[case("0.169.0-", false)]
#[case("0.169.0-a/b", false)]
#[case("0.169.1234567", false)]
#[case("0.169.0-alphaalphaalphaalphaalpha", false)]
fn versions_look_like_codexs(#[case] text: &str, #[case] expected: bool) {
    assert_eq!(is_version(text), expected);
}

/// A few versions are kept; another one waits until one of them was not asked for in a while.
#[tokio::test(start_paused = true)]
async fn the_number_of_versions_is_bounded() {
    let (most, rest) = limits::CLIENT_VERSIONS;
    let catalogs = VersionedCatalogs::default();
    for n in 0..most {
        assert!(catalogs.admit(&format!("0.{n}.0")).is_some());
    }
    assert!(catalogs.admit("1.0.0").is_none());
    tokio::time::advance(rest).await;
    assert!(catalogs.admit("0.1.0").is_some(), "known, and fresh again");
    assert!(catalogs.admit("1.0.0").is_some(), "in the place of the one that was asked for longest ago");
    assert!(catalogs.0.lock().iter().all(|cached| cached.version != "0.0.0"));
    assert_eq!(catalogs.0.lock().len(), most);
}
