//! JSON without trees: one checking pass over bytes from outside, then cheap walks over bytes that are known to be valid.
//!
//! Every request body first passes [`check()`]; afterwards [`crate::Json::fields`] and [`crate::Json::elements`] cut values out of the body
//! without parsing, copying or recursion.

mod check;
pub(crate) mod closer;
pub(crate) mod emit;
mod line;
pub(crate) mod node;
pub(crate) mod patch;
mod path;
pub(crate) mod pieces;
mod scan;
pub(crate) mod schema;
pub(crate) mod walk;

#[cfg(test)]
mod tests;

pub use check::{MAX_DEPTH, MAX_NODES, check, valid};
pub(crate) use line::{line, readable};
pub use patch::set;
pub use path::Path;
pub(crate) use scan::Scan;
pub use walk::{Elements, Fields, Shape};
