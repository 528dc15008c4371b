//! Tests the crate against small loopback servers that record every received byte.

#![allow(clippy::unwrap_used, reason = "a test's failed unwrap is a failed test, also in its helpers")]

mod callback;
mod captured;
mod cookies;
mod faults;
mod golden;
mod hello;
mod http2;
mod login;
mod proxy;
mod recorder;
#[path = "../../../../tests/recordings.rs"]
mod recordings;
mod refused;
mod relay;
mod reuse;
mod setup;
mod side;
mod socket;
mod tls;
