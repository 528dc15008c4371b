//! The state of a store after a crash or a failed call at any moment. Needs the feature `failpoints`.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test program, whose helpers clippy takes for a library"
)]

mod kill;
mod nth;
mod site;
