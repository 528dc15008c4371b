//! The composition root: settings in, a running gateway out, and the command line around it.
//!
//! [`start`] is what a desktop shell links; [`cli`] is what people type.

pub mod cli;
pub mod config;
mod file_relays;
mod machine;
mod start;

pub use config::Config;
pub use start::{Running, StartError, start};
