//! The composition root: builds a running gateway from the settings, and has the command line.
//!
//! [`start`] is the entry point of a desktop shell; [`cli`] is the command line of the binary.

pub mod cli;
pub mod config;
mod file_relays;
mod machine;
mod start;

pub use config::Config;
pub use start::{Running, StartError, start};
