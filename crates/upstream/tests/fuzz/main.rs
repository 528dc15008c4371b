//! The fuzz corpora as ordinary tests. `fuzz/README.md` explains how to run the fuzzer itself.

#[path = "properties.rs"]
mod properties;
#[path = "../../../../fuzz/replay.rs"]
mod replay;

use properties::{auth_file, login_address};
use replay::replay;

#[test]
fn auth_files_and_tokens() {
    replay("auth_file", &[], auth_file::check);
}

#[test]
fn login_addresses() {
    replay("login_address", &[], login_address::check);
}
