//! Checks the structure of the code: dependencies between crates, and imports between the modules of a crate.

mod circles;
mod imports;
mod layers;

use anyhow::Result;

/// Fails if a crate has a forbidden dependency, or if the modules of a crate import each other in a cycle.
pub(crate) fn check() -> Result<()> {
    println!("\n== layers");
    layers::check()?;
    println!("\n== imports among modules");
    circles::check()
}
