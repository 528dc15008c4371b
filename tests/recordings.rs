//! Where the recordings of real providers and clients lie: `POLYGATE_SHARED`, read at run time. They are no part of the project.
//! `POLYGATE_REQUIRE_SHARED=1` makes a test without them fail instead of being skipped.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;

/// The folder of the recordings. `None` where there is none and none is required, which is said on the terminal.
#[allow(
    clippy::disallowed_methods,
    clippy::explicit_write,
    reason = "only tests include this; the test runner would swallow eprintln"
)]
pub(crate) fn shared() -> Option<PathBuf> {
    let required = std::env::var_os("POLYGATE_REQUIRE_SHARED").is_some_and(|value| value == "1");
    let folder = folder(std::env::var_os("POLYGATE_SHARED"), required);
    if folder.is_none() {
        writeln!(std::io::stderr(), "SKIPPED: POLYGATE_SHARED is not set").unwrap();
    }
    folder
}

/// The folder that `POLYGATE_SHARED` names.
///
/// # Panics
/// Where it is required and is not there.
fn folder(named: Option<OsString>, required: bool) -> Option<PathBuf> {
    let folder = named.filter(|name| !name.is_empty()).map(PathBuf::from);
    let there = folder.as_ref().is_some_and(|folder| folder.join("corpus").is_dir());
    assert!(there || !required, "POLYGATE_REQUIRE_SHARED is 1, but POLYGATE_SHARED names no recordings: {folder:?}");
    folder
}

#[test]
fn recordings_are_skipped_where_none_are_required() {
    assert_eq!(folder(None, false), None);
    assert_eq!(folder(Some(OsString::new()), false), None);
    assert_eq!(folder(Some("/nowhere".into()), false), Some("/nowhere".into()));
}

#[test]
#[should_panic(expected = "POLYGATE_REQUIRE_SHARED is 1")]
fn recordings_that_are_required_must_be_named() {
    folder(None, true);
}

#[test]
#[should_panic(expected = "names no recordings")]
fn recordings_that_are_required_must_be_there() {
    folder(Some("/nowhere".into()), true);
}
