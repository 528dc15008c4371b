//! Properties that must hold for any input, one function per fuzz target. The fuzz crate and the replay tests include this file.

#![allow(unreachable_pub, reason = "the fuzz crate calls what the tests need not export")]

pub mod encoding;
pub mod form;
pub mod head;
pub mod host;
