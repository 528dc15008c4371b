//! The fuzz corpora as ordinary tests. `fuzz/README.md` says how to run the fuzzer itself.

#[path = "properties.rs"]
mod properties;
#[path = "../../../../fuzz/replay.rs"]
mod replay;

#[test]
fn configurations() {
    replay::replay("config", &[], properties::config::check);
}
