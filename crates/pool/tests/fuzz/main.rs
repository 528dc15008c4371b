//! The fuzz corpora as ordinary tests. `fuzz/README.md` says how to run the fuzzer itself.

#[path = "properties.rs"]
mod properties;
#[path = "../../../../fuzz/replay.rs"]
mod replay;

use properties::{address, keys, list, models, quota, refusal};
use replay::replay;

#[test]
fn quota_headers_and_bodies() {
    replay("quota", &[], quota::check);
}

#[test]
fn refusals() {
    replay("refusal", &[], refusal::check);
}

#[test]
fn model_lists() {
    replay("models", &["crates/pool/data"], models::check);
}

#[test]
fn relay_addresses() {
    replay("address", &[], address::check);
}

#[test]
fn relay_lists() {
    replay("list", &["crates/pool/data"], list::check);
}

#[test]
fn key_texts() {
    replay("keys", &[], keys::check);
}
