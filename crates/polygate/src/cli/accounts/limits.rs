//! `accounts set`: the concurrency limit and the priority of an account.

use std::process::ExitCode;

use clap::Args;
use engine::{AccountError, AccountView, Engine, LimitsChange};

use crate::cli::context;
use crate::cli::failure::UsageError;

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true).args(["max_concurrent", "priority"])))]
pub(in crate::cli) struct Set {
    /// Id, e-mail or label of the account.
    account: String,
    /// Number of concurrent requests. 0 means no limit; `default` means the value of the settings.
    #[arg(long, value_name = "N", value_parser = ceiling)]
    max_concurrent: Option<ConcurrencyLimit>,
    /// Priority from -1000 to 1000. Accounts with a lower number serve first.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    priority: Option<i32>,
}

/// Number of concurrent requests; `None` means the value of the settings.
#[derive(Clone, Copy, Debug)]
struct ConcurrencyLimit(Option<u32>);

fn ceiling(text: &str) -> Result<ConcurrencyLimit, String> {
    if text == "default" {
        return Ok(ConcurrencyLimit(None));
    }
    text.parse().map(|most| ConcurrencyLimit(Some(most))).map_err(|_| "give a whole number, or `default`".into())
}

impl Set {
    pub(super) async fn run(&self, engine: &Engine) -> anyhow::Result<ExitCode> {
        let account = context::account(engine, &self.account)?;
        let change = LimitsChange { max_concurrent: self.max_concurrent.map(|most| most.0), priority: self.priority };
        match engine.accounts().set_limits(&account.id, change).await {
            Ok(view) => eprintln!("{}: {}.", view.label, describe(&view)),
            Err(error @ AccountError::Limits(_)) => return Err(UsageError(error.to_string()).into()),
            Err(error) => return Err(error.into()),
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn describe(view: &AccountView) -> String {
    let most = match view.max_concurrent {
        None => "requests at a time as the settings say".to_owned(),
        Some(0) => "any number of requests at a time".to_owned(),
        Some(1) => "one request at a time".to_owned(),
        Some(most) => format!("{most} requests at a time"),
    };
    format!("{most}, priority {}", view.priority)
}
