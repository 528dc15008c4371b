//! A PostgreSQL server that cannot be reached.

use pool::Secret;

use super::Site;
use crate::{OpenError, Options, Store};

#[tokio::test]
async fn an_unreachable_server_is_said_without_its_url() {
    let site = Site::sqlite();
    let cases = [
        ("postgres://me:canary-password@localhost/db?host=/nowhere", "cannot be reached"),
        ("canary-password@nonsense", "cannot be read"),
    ];
    for (url, expected) in cases {
        let options = Options { postgres: Some(Secret::from(url)), ..site.options() };
        let Err(error) = Store::open(options).await else { panic!("{url} opened") };
        assert!(matches!(error, OpenError::Unreachable(_) | OpenError::InvalidUrl), "{error}");
        let (text, debug) = (error.to_string(), format!("{error:?}"));
        assert!(text.contains(expected) && text.contains("hint:"), "{text}");
        assert!(!text.contains("canary") && !debug.contains("canary"), "{text} {debug}");
    }
    assert!(!site.home().join("accounts.db").exists());
}
