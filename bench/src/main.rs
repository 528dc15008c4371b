//! Measures the gateway's cost in comparison with a program that only forwards bytes.
//!
//! `bench run` starts a backend, the floor, nginx if it is installed, and the gateway. It pins each proxy to core 0 and everything
//! else to core 1, loads the proxies in turn, and prints CPU per request and per token as ratios to the floor of the same run. The
//! other subcommands are the programs that it starts, and separate measurements.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its user")]

mod accounts;
mod backend;
mod contest;
mod floor;
mod form;
mod layout;
mod line;
mod load;
mod machine;
mod plan;
mod report;
mod run;
mod translate;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Measure the gateway beside the pass-through floor")]
struct Cli {
    #[command(subcommand)]
    part: Part,
}

#[derive(Subcommand)]
enum Part {
    /// The whole comparison.
    Run(run::Run),
    /// The time to translate a long conversation, in each protocol.
    Translate {
        /// Fail if a limit is exceeded.
        #[arg(long)]
        strict: bool,
    },
    /// The cost of ten thousand accounts: a start with them, and the choice of one.
    Accounts(accounts::Accounts),
    /// Writes the list of functions that run, by which the linker orders the gateway's code; needs valgrind.
    Layout(layout::Layout),
    /// The pass-through floor.
    Floor {
        /// Port to listen on.
        #[arg(long)]
        port: u16,
        /// Port of the backend.
        #[arg(long)]
        backend: u16,
    },
    /// A backend that streams numbered tokens.
    Backend {
        /// Port to listen on.
        #[arg(long)]
        port: u16,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().part) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(part: Part) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match part {
            Part::Run(run) => run.run().await,
            Part::Translate { strict } => translate::run(strict),
            Part::Accounts(accounts) => accounts.run().await,
            Part::Layout(layout) => layout.run().await,
            Part::Floor { port, backend } => floor::serve(port, backend).await,
            Part::Backend { port } => backend::serve(port).await,
        }
    })
}
