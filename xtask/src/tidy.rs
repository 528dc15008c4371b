//! The structure of the code: which crate may use which, and which modules of a crate import each other.

mod circles;
mod imports;
mod layers;

use anyhow::Result;

/// Fails when a crate uses one that it must not, or when the modules of a crate import each other in a circle.
pub(crate) fn check() -> Result<()> {
    println!("\n== layers");
    layers::check()?;
    println!("\n== imports among modules");
    circles::check()
}
