//! The command line: parses arguments and calls the library.
//!
//! Exit codes: 0 done, 1 the operation failed, 2 usage or configuration, 4 a login is needed, 130 interrupted. With `--json` an error
//! is one line on standard error: `{"error":{"kind":"failed","message":"..."}}`; the other kinds are `usage` and `configuration`.

#![allow(clippy::print_stderr, reason = "a command-line tool talks on its standard streams")]

mod accounts;
mod admin;
mod completions;
mod context;
mod demo;
mod doctor;
mod failure;
mod keys;
mod logging;
mod login;
mod migrate;
mod output;
mod proxies;
mod relays;
mod serve;
mod settings;
mod signals;

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::available_parallelism;

use clap::{Args, Parser, Subcommand};
use tokio::runtime::{Builder, Runtime};

/// Serve your own ChatGPT login and API keys as every standard AI API.
#[derive(Debug, Parser)]
#[command(name = "polygate", version, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Default, Args)]
struct Common {
    /// Keep all files in this directory instead of the XDG directories.
    #[arg(long, global = true, env = "POLYGATE_HOME", value_name = "DIR")]
    home: Option<PathBuf>,
    /// Print JSON instead of text, also for errors.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Try the gateway with a simulated backend. Needs no login and keeps nothing.
    Demo(demo::Demo),
    /// Run the gateway.
    Serve(serve::Serve),
    /// Add a ChatGPT account.
    Login(login::Login),
    /// List, label, enable, disable, check, import, export and remove accounts.
    #[command(subcommand)]
    Accounts(accounts::Accounts),
    /// Add, list, test and remove relays, and replace their keys. A relay is another service with its own API key.
    #[command(subcommand)]
    Relays(relays::Relays),
    /// Add, list and check outbound proxies, and assign them to accounts.
    #[command(subcommand)]
    Proxies(proxies::Proxies),
    /// Create, list and revoke client keys.
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Show settings.
    #[command(subcommand)]
    Config(settings::Settings),
    /// Create admin tokens and print the admin API's description.
    #[command(subcommand)]
    Admin(admin::Admin),
    /// Check this installation and say how to fix each problem.
    Doctor(doctor::Doctor),
    /// Migrate the store of an earlier version to the current schema. `serve` does the same at its start.
    Migrate(migrate::Migrate),
    /// Print shell completions.
    Completions(completions::Completions),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return failure::parse(&error, std::env::args_os().any(|arg| arg == "--json")),
    };
    let json = cli.common.json;
    run(cli).unwrap_or_else(|error| failure::report(&error, json))
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    // rustls wants one process-wide provider before the first TLS configuration is built.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    if let Command::Completions(completions) = &cli.command {
        completions.run();
        return Ok(ExitCode::SUCCESS);
    }
    #[cfg(feature = "failpoints")]
    failpoints();
    let runtime = runtime()?;
    let outcome = runtime.block_on(dispatch(cli));
    runtime.shutdown_background();
    outcome
}

/// The runtime for the cores that the process may use. On a single core, worker threads would only add the cost of waking and
/// parking them to every token.
fn runtime() -> std::io::Result<Runtime> {
    let single_core = available_parallelism().is_ok_and(|cores| cores.get() == 1);
    let mut builder = if single_core { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    builder.enable_all().build()
}

async fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    let common = &cli.common;
    match cli.command {
        Command::Demo(demo) => demo.run(common).await?,
        Command::Serve(serve) => return Box::pin(serve.run(common)).await,
        Command::Login(login) => login.run(common).await?,
        Command::Accounts(accounts) => return accounts.run(common).await,
        Command::Relays(relays) => return relays.run(common).await,
        Command::Proxies(proxies) => return proxies.run(common).await,
        Command::Keys(keys) => return keys.run(common).await,
        Command::Config(settings) => settings.run(common)?,
        Command::Admin(admin) => admin.run(common).await?,
        Command::Doctor(doctor) => return doctor.run(common).await,
        Command::Migrate(migrate) => migrate.run(common).await?,
        Command::Completions(_) => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Lets a test kill this process, as `kill -9` does, at the failpoint that `POLYGATE_KILL_AT` names, or stop the process, as `kill -STOP`
/// does, at its first pass of the failpoint that `POLYGATE_STOP_AT` names.
#[cfg(feature = "failpoints")]
fn failpoints() {
    let at = |name: &str, act: Box<dyn Fn() + Send + Sync>| {
        let Ok(point) = std::env::var(name) else { return };
        fail::cfg_callback(point, act).expect("invariant: a callback is a valid action");
    };
    let send = |signal: &str| {
        let own = std::process::id().to_string();
        let _ = std::process::Command::new("kill").args([signal, &own]).status();
    };
    at(
        "POLYGATE_KILL_AT",
        Box::new(move || {
            send("-KILL");
            std::thread::park();
        }),
    );
    // A stop reaches one thread after the other: the thread at the failpoint continues only after it has seen the process stopped.
    let stop = || {
        let script = r#"kill -STOP "$1"; until grep -q ') T ' "/proc/$1/stat"; do :; done"#;
        let own = std::process::id().to_string();
        let _ = std::process::Command::new("sh").args(["-c", script, "sh", &own]).status();
    };
    let stopped = std::sync::Once::new();
    at("POLYGATE_STOP_AT", Box::new(move || stopped.call_once(stop)));
}
