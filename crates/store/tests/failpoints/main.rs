//! What a crash or a failed call at any moment leaves behind. Needs the feature `failpoints`.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test program, whose helpers clippy takes for a library"
)]

mod kill;
mod nth;
mod site;
