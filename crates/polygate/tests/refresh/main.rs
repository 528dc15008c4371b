//! Token refresh by several processes on one store, with a backend that accepts each refresh token once. As ordinary tests these are small;
//! `cargo xtask soak refresh` and `cargo xtask soak refresh-kill` run them at full size.
#![cfg(feature = "failpoints")]
#![allow(clippy::unwrap_used, reason = "a failing step of a test must end it")]
#![allow(clippy::print_stdout, reason = "a soak says what it came to")]

#[path = "../common/mod.rs"]
mod common;

mod beside;
mod cluster;
mod fleet;
mod interrupted;
mod kills;
mod rounds;
mod stopped;
