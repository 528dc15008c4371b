//! The one entry point for people and CI: `cargo xtask test | ci | lint | tidy | gen | bench | instructions | soak`.

#![allow(clippy::print_stdout, reason = "a command-line tool talks on standard output")]

mod bench;
mod generate;
mod install;
mod instructions;
mod lint;
mod product;
mod shell;
mod soak;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Build, check, test and measure Polygate")]
struct Cli {
    #[command(subcommand)]
    job: Job,
}

#[derive(Subcommand)]
enum Job {
    /// All lints, then all tests, as CI does.
    Ci,
    /// All tests; installs their dependencies first.
    Test {
        /// Only the Rust tests.
        #[arg(long)]
        rust: bool,
        /// Only the official SDKs on Node.
        #[arg(long)]
        sdk: bool,
        /// Only the models of the Python SDKs.
        #[arg(long)]
        python: bool,
        /// Only the command-line clients.
        #[arg(long)]
        clients: bool,
    },
    /// Formatting, clippy, layers, licences, spelling, generated files.
    Lint,
    /// Dependencies between crates and imports between modules.
    Tidy,
    /// Writes the generated files.
    Gen {
        /// Only check whether the files are up to date.
        #[arg(long)]
        check: bool,
    },
    /// Measures the gateway in comparison with the pass-through floor.
    Bench {
        /// Arguments of the bench runner.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Counts the instructions of a request and of a token, and writes them to `docs/benchmarks.md`.
    Instructions {
        /// Only compare the counts with the page.
        #[arg(long)]
        check: bool,
    },
    /// Rewrites the layout of the gateway's code (`crates/polygate/layout.txt`); needs valgrind.
    Layout,
    /// Runs that take too long for CI.
    Soak {
        /// The run.
        #[command(subcommand)]
        run: soak::Run,
    },
}

#[expect(clippy::print_stderr, reason = "a command line tool")]
fn main() -> ExitCode {
    let Err(error) = run(Cli::parse().job) else { return ExitCode::SUCCESS };
    // The backtrace is left out, so that the failed step's reason is the last line.
    eprintln!("{error:#}");
    ExitCode::FAILURE
}

fn run(job: Job) -> anyhow::Result<()> {
    match job {
        Job::Ci => {
            lint::all()?;
            test::run([true; 4])
        }
        Job::Test { rust, sdk, python, clients } => test::run([rust, sdk, python, clients]),
        Job::Lint => lint::all(),
        Job::Tidy => tidy::check(),
        Job::Gen { check } => generate::run(check),
        Job::Bench { args } => bench::run(&args),
        Job::Instructions { check } => instructions::run(check),
        Job::Layout => bench::layout(),
        Job::Soak { run } => soak::run(&run),
    }
}
