//! The properties of each crate, for the targets in `fuzz_targets/`.

#[path = "../../crates/proto/tests/fuzz/properties.rs"]
pub mod proto;
