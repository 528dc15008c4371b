//! Prints the description of the admin API, for `cargo xtask gen`.
#![allow(clippy::print_stdout, reason = "that is what it is for")]

fn main() {
    print!("{}", server::openapi());
}
