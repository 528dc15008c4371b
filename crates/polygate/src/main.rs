//! The `polygate` binary; the library has all its code.

use std::process::ExitCode;

/// jemalloc returns the memory of large bodies, which glibc's allocator keeps (`docs/adr/0004`).
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    polygate::cli::main()
}
