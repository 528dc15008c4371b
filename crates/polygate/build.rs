//! Orders the code by use: functions that run at the start and in every request are adjacent in the binary, so that idle memory holds the
//! code that the gateway uses and not unused code beside it.
//!
//! Pages come from the file in runs of sixteen; functions that run are an eighth of the code, spread over more than half of its runs.
//! `layout.txt` lists these functions: first the functions of only start and idle, then the functions of requests, costliest first, then
//! the functions of each token. `cargo xtask layout` writes the file. The linker skips a name that it does not know (another profile, a
//! newer library).

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=layout.txt");
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("PROFILE").is_ok_and(|profile| profile == "release") && links_with_lld() {
        let layout = format!("{}/layout.txt", env::var("CARGO_MANIFEST_DIR").unwrap_or_default());
        println!("cargo::rustc-link-arg-bins=-Wl,--symbol-ordering-file={layout}");
        println!("cargo::rustc-link-arg-bins=-Wl,--no-warn-symbol-ordering");
    }
}

/// Whether the linker is the one that rustc ships, which knows these options. It is the default for this target from rustc 1.90 on, unless
/// the build sets another linker.
fn links_with_lld() -> bool {
    let own = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let chosen = env::var_os("RUSTC_LINKER").is_some() || own.contains("linker") || own.contains("fuse-ld");
    env::var("TARGET").is_ok_and(|target| target == "x86_64-unknown-linux-gnu") && !chosen
}
