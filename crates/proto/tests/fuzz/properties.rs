//! The properties that must be true for any input, one function per fuzz target. The fuzz crate and the replay tests include this file.

#![allow(unreachable_pub, reason = "the fuzz crate calls what the tests need not export")]

pub(crate) mod contents;
pub(crate) mod cut;
pub mod events;
pub mod json;
pub(crate) mod legal;
pub mod request;
pub(crate) mod script;
pub mod socket;
pub mod sse;
pub mod stream;
pub mod trim;
