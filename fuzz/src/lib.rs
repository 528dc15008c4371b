//! The properties of each crate, for the targets in `fuzz_targets/`.

#[path = "../../crates/polygate/tests/fuzz/properties.rs"]
pub mod polygate;
#[path = "../../crates/pool/tests/fuzz/properties.rs"]
pub mod pool;
#[path = "../../crates/proto/tests/fuzz/properties.rs"]
pub mod proto;
#[path = "../../crates/server/tests/fuzz/properties.rs"]
pub mod server;
#[path = "../../crates/upstream/tests/fuzz/properties.rs"]
pub mod upstream;
