//! Changes of one or many accounts, with a result for each.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::{ArgGroup, Args};
use engine::{AccountView, Batch, BatchFate, Engine, TagChange};

use super::detail::state;
use crate::cli::{Common, context, output};

#[derive(Debug, Args)]
pub(in crate::cli) struct AccountArgs {
    /// Ids, e-mails or labels of the accounts.
    #[arg(required = true)]
    accounts: Vec<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Remove {
    #[command(flatten)]
    chosen: AccountArgs,
    /// Do not ask for confirmation. Without a terminal the command never asks.
    #[arg(long, short)]
    yes: bool,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("name").required(true)))]
pub(in crate::cli) struct Label {
    #[command(flatten)]
    chosen: AccountArgs,
    /// The label, at most 64 characters.
    #[arg(long, value_name = "LABEL", group = "name")]
    to: Option<String>,
    /// Use each account's e-mail as its label again.
    #[arg(long, group = "name")]
    clear: bool,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("change").required(true).multiple(true)))]
pub(in crate::cli) struct Tag {
    #[command(flatten)]
    chosen: AccountArgs,
    /// Add these tags: comma-separated, or one per option.
    #[arg(long, value_name = "TAGS", value_delimiter = ',', group = "change")]
    add: Vec<String>,
    /// Remove these tags.
    #[arg(long, value_name = "TAGS", value_delimiter = ',', group = "change")]
    remove: Vec<String>,
    /// Replace all tags by these.
    #[arg(long, value_name = "TAGS", value_delimiter = ',', group = "change", conflicts_with_all = ["add", "remove"])]
    set: Vec<String>,
    /// Remove all tags.
    #[arg(long, group = "change", conflicts_with_all = ["add", "remove", "set"])]
    clear: bool,
}

/// The accounts that the command names, and where to report their results.
struct Selection<'a> {
    common: &'a Common,
    engine: &'a Engine,
    /// The accounts before the change.
    views: Vec<AccountView>,
}

impl Remove {
    pub(super) async fn run(&self, common: &Common, engine: &Engine) -> anyhow::Result<ExitCode> {
        let selected = self.chosen.select(common, engine)?;
        if !self.yes && std::io::stdin().is_terminal() && !selected.confirmed()? {
            anyhow::bail!("nothing was removed");
        }
        let batch = engine.accounts().remove(&selected.ids()).await?;
        Ok(selected.report(&batch, |_| "removed".to_owned()))
    }
}

impl AccountArgs {
    pub(super) async fn switch(&self, common: &Common, engine: &Engine, on: bool) -> anyhow::Result<ExitCode> {
        let selected = self.select(common, engine)?;
        let batch = engine.accounts().switch(&selected.ids(), on).await?;
        Ok(selected.report(&batch, state))
    }

    pub(super) async fn refresh(&self, common: &Common, engine: &Engine) -> anyhow::Result<ExitCode> {
        let selected = self.select(common, engine)?;
        let batch = engine.accounts().refresh_each(&selected.ids()).await;
        let ends = |view: &AccountView| {
            let ends = view.expires.map_or("unknown".to_owned(), |at| output::time_until(context::now(), at));
            format!("the new token expires {ends}")
        };
        Ok(selected.report(&batch, ends))
    }

    fn select<'a>(&self, common: &'a Common, engine: &'a Engine) -> anyhow::Result<Selection<'a>> {
        Ok(Selection { common, engine, views: context::accounts(engine, &self.accounts)? })
    }
}

impl Label {
    pub(super) async fn run(&self, common: &Common, engine: &Engine) -> anyhow::Result<ExitCode> {
        let selected = self.chosen.select(common, engine)?;
        let batch = engine.accounts().label(&selected.ids(), self.to.as_deref()).await?;
        Ok(selected.report(&batch, |view| format!("is {} now", view.label)))
    }
}

impl Tag {
    pub(super) async fn run(self, common: &Common, engine: &Engine) -> anyhow::Result<ExitCode> {
        let selected = self.chosen.select(common, engine)?;
        let change = if self.clear || !self.set.is_empty() {
            TagChange::Set(self.set)
        } else {
            TagChange::Edit { add: self.add, remove: self.remove }
        };
        let batch = engine.accounts().tag(&selected.ids(), change).await?;
        let tags = |view: &AccountView| {
            if view.tags.is_empty() { "no tags".to_owned() } else { view.tags.join(", ") }
        };
        Ok(selected.report(&batch, tags))
    }
}

impl Selection<'_> {
    fn ids(&self) -> Vec<String> {
        self.views.iter().map(|view| view.id.clone()).collect()
    }

    /// Asks the user whether to remove these accounts.
    fn confirmed(&self) -> std::io::Result<bool> {
        let labels: Vec<&str> = self.views.iter().map(|view| view.label.as_str()).collect();
        eprint!(
            "Remove {} and the stored tokens? To use them again, you must sign in again. [y/N] ",
            labels.join(", ")
        );
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    /// Prints the result of each account. `done` is the text of a success.
    fn report(&self, batch: &Batch, done: impl Fn(&AccountView) -> String) -> ExitCode {
        if self.common.json {
            output::json(&batch.outcomes);
            return code(batch);
        }
        let now: HashMap<_, _> =
            self.engine.accounts().list().into_iter().map(|view| (view.id.clone(), view)).collect();
        let before: HashMap<_, _> = self.views.iter().map(|view| (&view.id, view)).collect();
        for outcome in &batch.outcomes {
            let Some(view) = before.get(&outcome.id) else { continue };
            let words = match (outcome.result, &outcome.error) {
                (_, Some(why)) => why.clone(),
                (BatchFate::NotFound, None) => "does not exist any more".to_owned(),
                (_, None) => done(now.get(&outcome.id).unwrap_or(view)),
            };
            eprintln!("{}: {words}", view.label);
        }
        code(batch)
    }
}

/// Exit code 4 when an account needs a login, 1 when another change failed.
fn code(batch: &Batch) -> ExitCode {
    let any = |fate| batch.outcomes.iter().any(|outcome| outcome.result == fate);
    match (any(BatchFate::NeedsLogin), any(BatchFate::Failed) || any(BatchFate::NotFound)) {
        (true, _) => ExitCode::from(4),
        (false, true) => ExitCode::FAILURE,
        (false, false) => ExitCode::SUCCESS,
    }
}
