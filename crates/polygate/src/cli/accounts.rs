//! `accounts`: who is signed in, and whether they can serve.

use std::process::ExitCode;

use clap::Subcommand;
use pool::{Account, AccountId, Millis, Status};
use serde::Serialize;

use super::{Common, output, workplace};

#[derive(Debug, Subcommand)]
pub(super) enum Accounts {
    /// Every account with its state.
    List,
    /// Forget an account and its tokens.
    Remove {
        /// Its id, e-mail or label.
        account: String,
    },
}

#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    label: &'a str,
    email: &'a str,
    plan: &'a str,
    status: &'a Status,
    token_expires: Option<i64>,
}

impl Accounts {
    pub(super) async fn run(&self, common: &Common) -> anyhow::Result<ExitCode> {
        let config = workplace::config(common)?;
        let store = workplace::store(&config).await?;
        let code = match self {
            Self::List => list(common, &store).await?,
            Self::Remove { account } => remove(&store, account).await?,
        };
        store.close().await;
        Ok(code)
    }
}

async fn list(common: &Common, store: &store::Store) -> anyhow::Result<ExitCode> {
    let accounts = store.accounts().await?;
    let mut expiries = Vec::new();
    for account in &accounts {
        expiries.push(store.tokens(&account.id).await?.and_then(|tokens| tokens.expires));
    }
    let pairs = accounts.iter().zip(expiries);
    if common.json {
        output::json(&pairs.map(|(account, expires)| row(account, expires)).collect::<Vec<_>>());
        return Ok(ExitCode::SUCCESS);
    }
    let now = workplace::now();
    let rows = pairs.map(|(account, expires)| {
        let token = expires.map_or("unknown".to_owned(), |at| output::left(now, at));
        vec![account.id.0.clone(), account.label.clone(), account.plan.clone(), words(&account.status, now), token]
    });
    let empty = "No accounts yet. Add one: polygate login";
    output::table(&["ID", "LABEL", "PLAN", "STATE", "TOKEN ENDS"], rows.collect(), empty);
    Ok(ExitCode::SUCCESS)
}

fn row(account: &Account, expires: Option<Millis>) -> Row<'_> {
    Row {
        id: &account.id.0,
        label: &account.label,
        email: &account.email,
        plan: &account.plan,
        status: &account.status,
        token_expires: expires.map(|at| at.0),
    }
}

fn words(status: &Status, now: Millis) -> String {
    match status {
        Status::Active => "active".to_owned(),
        Status::Cooling { until, why } => format!("resting, back {} ({why})", output::left(now, *until)),
        Status::Exhausted { until, window } => format!("{window} limit used up, resets {}", output::left(now, *until)),
        Status::NeedsLogin { why } => format!("needs a login ({why})"),
        Status::Blocked { why } => format!("blocked by the provider ({why})"),
        Status::Disabled => "switched off".to_owned(),
    }
}

async fn remove(store: &store::Store, wanted: &str) -> anyhow::Result<ExitCode> {
    let accounts = store.accounts().await?;
    let named =
        |account: &&Account| [&account.id.0, &account.email, &account.label].into_iter().any(|name| name == wanted);
    let found: Vec<AccountId> = accounts.iter().filter(named).map(|account| account.id.clone()).collect();
    match found.as_slice() {
        [id] => {
            store.remove_account(id).await?;
            eprintln!("Removed {wanted}.");
            Ok(ExitCode::SUCCESS)
        }
        [] => {
            eprintln!("error: there is no account {wanted}; see `polygate accounts list`");
            Ok(ExitCode::FAILURE)
        }
        _ => {
            eprintln!("error: {wanted} names {} accounts; use an id from `polygate accounts list`", found.len());
            Ok(ExitCode::FAILURE)
        }
    }
}
