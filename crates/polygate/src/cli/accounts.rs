//! `accounts`: lists, checks, changes, imports and exports accounts. The engine does the work, as for the admin API; a running
//! gateway notices the changes.

mod batch;
mod detail;
mod explain;
mod limits;
mod quota;
mod transfer;

use std::process::ExitCode;

use clap::Subcommand;
use engine::{AccountView, Engine};
use serde::Serialize;

use super::{Common, context, output};

#[derive(Debug, Subcommand)]
pub(super) enum Accounts {
    /// List all accounts with their states.
    List,
    /// Show everything that is known about one account.
    Show {
        /// Id, e-mail or label of the account.
        account: String,
    },
    /// Show the quota of accounts: the last known figures, or fresh ones.
    Quota(quota::Quota),
    /// List and consume reset credits. A reset credit sets used-up quota windows back to zero.
    #[command(subcommand)]
    Credits(quota::Credits),
    /// Set how many requests an account serves at the same time, and its priority.
    Set(limits::Set),
    /// Show which account would serve a request, and why. Uses only stored facts.
    Explain(explain::Explain),
    /// Remove accounts and their tokens.
    Remove(batch::Remove),
    /// Let accounts serve again. Also ends the rest of an account that is cooling down.
    Enable(batch::AccountArgs),
    /// Disable accounts without removing them.
    Disable(batch::AccountArgs),
    /// Set the label of accounts.
    Label(batch::Label),
    /// Change the tags of accounts.
    Tag(batch::Tag),
    /// Refresh the tokens of accounts now.
    Refresh(batch::AccountArgs),
    /// Ask the backend whether logins are valid. Uses no quota and no refresh token. The exit code is 4 if a login is invalid, and 1 if
    /// the state of a login is unknown.
    Check {
        /// Ids, e-mails or labels of the accounts. Default: all accounts.
        accounts: Vec<String>,
    },
    /// Add accounts from files: exports of Polygate or of other programs, a Codex auth.json, or one token on each line.
    Import(transfer::Import),
    /// Write accounts to a file.
    Export(transfer::Export),
}

#[derive(Serialize)]
struct AccountJson<'a> {
    id: &'a str,
    label: &'a str,
    email: &'a str,
    plan: &'a str,
    status: &'static str,
    why: Option<&'a str>,
    until: Option<i64>,
    tags: &'a [String],
    linked: Option<&'a str>,
    token_expires: Option<i64>,
}

impl<'a> From<&'a AccountView> for AccountJson<'a> {
    fn from(view: &'a AccountView) -> Self {
        Self {
            id: &view.id,
            label: &view.label,
            email: &view.email,
            plan: &view.plan,
            status: view.status,
            why: view.why.as_deref(),
            until: view.until.map(|at| at.0),
            tags: &view.tags,
            linked: view.linked.as_deref(),
            token_expires: view.expires.map(|at| at.0),
        }
    }
}

impl Accounts {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        let mut config = context::config(common)?;
        let _stand_in = if matches!(self, Self::List) { context::temporary_home(&mut config)? } else { None };
        let engine = context::engine(&config).await?;
        let done = self.act(common, &engine).await;
        context::close(engine).await;
        done
    }

    async fn act(self, common: &Common, engine: &Engine) -> anyhow::Result<ExitCode> {
        match self {
            Self::List => list(common, engine),
            Self::Show { account } => detail::show(common, &context::account(engine, &account)?),
            Self::Quota(quota) => return quota.run(common, engine).await,
            Self::Credits(credits) => return credits.run(common, engine).await,
            Self::Set(set) => return set.run(engine).await,
            Self::Explain(explain) => return explain.run(common, engine).await,
            Self::Remove(remove) => return remove.run(common, engine).await,
            Self::Enable(chosen) => return chosen.switch(common, engine, true).await,
            Self::Disable(chosen) => return chosen.switch(common, engine, false).await,
            Self::Label(label) => return label.run(common, engine).await,
            Self::Tag(tag) => return tag.run(common, engine).await,
            Self::Refresh(chosen) => return chosen.refresh(common, engine).await,
            Self::Check { accounts } => return detail::check(common, engine, &accounts).await,
            Self::Import(import) => return import.run(common, engine).await,
            Self::Export(export) => export.run(engine).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn list(common: &Common, engine: &Engine) {
    let views = engine.accounts().list();
    if common.json {
        output::json(&views.iter().map(AccountJson::from).collect::<Vec<_>>());
        return;
    }
    let now = context::now();
    let rows = views.iter().map(|view| {
        let token = view.expires.map_or("unknown".to_owned(), |at| output::time_until(now, at));
        vec![view.id.clone(), view.label.clone(), view.plan.clone(), detail::state(view), token, view.tags.join(", ")]
    });
    let empty = "No accounts yet. Add one: polygate login";
    output::table(&["ID", "LABEL", "PLAN", "STATE", "TOKEN EXPIRES", "TAGS"], rows.collect(), empty);
}
