//! The fuzz corpora as ordinary tests. `fuzz/README.md` describes how to run the fuzzer itself.

#[path = "properties.rs"]
mod properties;
#[path = "../../../../fuzz/replay.rs"]
mod replay;

use properties::{encoding, form, head, host};
use replay::replay;

#[test]
fn hosts() {
    replay("host", &[], host::check);
}

#[test]
fn heads() {
    replay("head", &[], head::check);
}

#[test]
fn forms() {
    replay("form", &[], form::check);
}

#[test]
fn encoded_bodies() {
    replay("encoding", &[], encoding::check);
}
