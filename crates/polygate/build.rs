//! Lays the code out by use: what runs at the start and in every request lies together in the binary, so that idle memory is
//! what the gateway uses and not what lies beside it.
//!
//! Pages come from the file in runs of sixteen; functions that run are an eighth of the code, spread over more than half of
//! its runs. `layout.txt` names them: first what only starts and idles, then what requests run, costliest first, then what each token
//! runs. `cargo xtask layout` writes it. A name that the linker does not know (another profile, a newer library) is passed over.

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

/// Whether the linker is the one that rustc brings, which knows these options: so it is for this target from rustc 1.90 on,
/// unless somebody chose another.
fn links_with_lld() -> bool {
    let own = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let chosen = env::var_os("RUSTC_LINKER").is_some() || own.contains("linker") || own.contains("fuse-ld");
    env::var("TARGET").is_ok_and(|target| target == "x86_64-unknown-linux-gnu") && !chosen
}
