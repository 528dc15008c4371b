//! What the gateway costs, beside a program that only passes bytes through.
//!
//! `bench run` starts a backend, the floor, nginx where it is installed, and the gateway; it pins each proxy to core 0 and
//! everything else to core 1, loads them in turn, and prints CPU per request and per token as ratios to the floor of the
//! same run. The other subcommands are the parts it starts.

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
    /// The whole contest.
    Run(run::Run),
    /// What a long conversation takes to translate, in each protocol.
    Translate {
        /// Fail when a bar is missed.
        #[arg(long)]
        strict: bool,
    },
    /// What ten thousand accounts cost: a start with them, and a choice among them.
    Accounts(accounts::Accounts),
    /// Writes which functions run, by which the linker lays the gateway's code out; needs valgrind.
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
