//! `accounts quota` and `accounts credits`: remaining quota, and reset credits.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use engine::{AccountView, Engine};
use pool::Millis;
use pool::quota::Window;
use pool::quota::credits::{ResetCredit, ResetCredits};
use pool::quota::forecast::{Forecast, Forecasts};
use serde::Serialize;

use super::detail;
use crate::cli::{Common, context, failure, output};

/// Cells of a bar.
const CELLS: usize = 20;

#[derive(Debug, Args)]
pub(in crate::cli) struct Quota {
    /// Id, e-mail or label of the account. Default: all accounts.
    account: Option<String>,
    /// Ask the backend for fresh figures.
    #[arg(long)]
    fresh: bool,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Credits {
    /// List the reset credits of an account.
    List {
        /// Id, e-mail or label of the account.
        account: String,
    },
    /// Consume a reset credit. This sets used-up quota windows back to zero and cannot be undone.
    Consume {
        /// Id, e-mail or label of the account.
        account: String,
        /// Consume the credit. Without this option the command only says what would happen.
        #[arg(long)]
        yes: bool,
        /// The id of an earlier attempt with an unknown outcome. Repeating the attempt consumes no second credit.
        #[arg(long, value_name = "UUID")]
        request: Option<String>,
    },
}

/// An account's quota in the JSON output.
#[derive(Serialize)]
struct QuotaRow<'a> {
    id: &'a str,
    label: &'a str,
    status: &'static str,
    quota: &'a pool::quota::Quota,
    #[serde(flatten)]
    forecast: Forecasts,
    /// Why the figures are not fresh.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// The provider's reset credits in the JSON output, with times in milliseconds.
#[derive(Serialize)]
struct CreditList<'a> {
    available_count: u64,
    credits: Vec<CreditRow<'a>>,
    next_expires_at: Option<i64>,
}

#[derive(Serialize)]
struct CreditRow<'a> {
    id: &'a str,
    status: &'a str,
    reset_type: Option<&'a str>,
    granted_at: Option<i64>,
    expires_at: Option<i64>,
    redeemed_at: Option<i64>,
    title: Option<&'a str>,
    description: Option<&'a str>,
}

impl Quota {
    pub(super) async fn run(&self, common: &Common, engine: &Engine) -> anyhow::Result<ExitCode> {
        let mut views = match &self.account {
            Some(wanted) => vec![context::account(engine, wanted)?],
            None => engine.accounts().list(),
        };
        let mut errors = vec![None; views.len()];
        if self.fresh {
            for (view, error) in views.iter_mut().zip(&mut errors) {
                *error = engine.quotas().measure(&view.id).await.err().map(|error| error.to_string());
                *view = context::account(engine, &view.id)?;
            }
        }
        let failed = errors.iter().any(Option::is_some);
        show(common, &views, errors);
        Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

impl Credits {
    pub(super) async fn run(&self, common: &Common, engine: &Engine) -> anyhow::Result<ExitCode> {
        match self {
            Self::List { account } => list(common, engine, account).await,
            Self::Consume { account, yes: false, .. } => {
                let view = context::account(engine, account)?;
                let why = format!(
                    "this would consume a reset credit of {}, which cannot be undone; add --yes to do it",
                    view.label
                );
                Err(failure::UsageError(why).into())
            }
            Self::Consume { account, request, .. } => consume(common, engine, (account, request.as_deref())).await,
        }
    }
}

async fn list(common: &Common, engine: &Engine, wanted: &str) -> anyhow::Result<ExitCode> {
    let view = context::account(engine, wanted)?;
    let credits = engine.quotas().reset_credits(&view.id).await?;
    if common.json {
        output::json(&CreditList::from(&credits));
        return Ok(ExitCode::SUCCESS);
    }
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let row = |credit: &ResetCredit| {
        vec![credit.id.clone(), credit.status.clone(), text(&credit.expires_at), text(&credit.title)]
    };
    let empty = format!("{} has no reset credits.", view.label);
    output::table(&["ID", "STATE", "ENDS", "TITLE"], credits.credits.iter().map(row).collect(), &empty);
    Ok(ExitCode::SUCCESS)
}

impl<'a> From<&'a ResetCredits> for CreditList<'a> {
    fn from(credits: &'a ResetCredits) -> Self {
        let ResetCredits { available_count, credits, next_expires_at } = credits;
        Self {
            available_count: *available_count,
            credits: credits.iter().map(CreditRow::from).collect(),
            next_expires_at: millis(next_expires_at.as_ref()),
        }
    }
}

impl<'a> From<&'a ResetCredit> for CreditRow<'a> {
    fn from(credit: &'a ResetCredit) -> Self {
        Self {
            id: &credit.id,
            status: &credit.status,
            reset_type: credit.reset_type.as_deref(),
            granted_at: millis(credit.granted_at.as_ref()),
            expires_at: millis(credit.expires_at.as_ref()),
            redeemed_at: millis(credit.redeemed_at.as_ref()),
            title: credit.title.as_deref(),
            description: credit.description.as_deref(),
        }
    }
}

/// The provider's date in milliseconds; `None` for a text that is no date.
fn millis(text: Option<&String>) -> Option<i64> {
    text?.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

async fn consume(
    common: &Common,
    engine: &Engine,
    (wanted, request): (&str, Option<&str>),
) -> anyhow::Result<ExitCode> {
    let view = context::account(engine, wanted)?;
    let consumed = engine.quotas().consume_credit(&view.id, request).await?;
    if common.json {
        output::json(&consumed);
    } else {
        output::line(&format!("{}: {}.", view.label, consumed.outcome.describe()));
        show(common, &[context::account(engine, &view.id)?], vec![None]);
    }
    Ok(if consumed.outcome.done() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(common: &Common, views: &[AccountView], errors: Vec<Option<String>>) {
    if common.json {
        let row = |(view, error)| row(view, error);
        output::json(&views.iter().zip(errors).map(row).collect::<Vec<_>>());
        return;
    }
    if views.is_empty() {
        output::line("No accounts yet. Add one: polygate login");
    }
    let now = context::now();
    for (view, error) in views.iter().zip(errors) {
        output::line(&page(view, now));
        if let Some(error) = error {
            failure::note(&format!("{}: {error}", view.label), false);
        }
    }
}

fn row(view: &AccountView, error: Option<String>) -> QuotaRow<'_> {
    let AccountView { id, label, status, quota, forecast, .. } = view;
    QuotaRow { id, label, status, quota, forecast: *forecast, error }
}

/// One account: a line for each window, then credits and spending.
fn page(view: &AccountView, now: Millis) -> String {
    let quota = &view.quota;
    let plan = quota.plan.as_deref().unwrap_or(&view.plan);
    let mut lines = vec![format!("{} ({plan}), {}", view.label, detail::state(view))];
    if quota.updated.0 == 0 {
        lines.push("  no figures yet; fetch them with --fresh".to_owned());
        return lines.join("\n");
    }
    let windows = windows(view, now);
    let width = windows.iter().map(|(name, ..)| name.chars().count()).max().unwrap_or_default();
    lines.extend(windows.iter().map(|(name, window, words)| {
        let words = words.as_ref().map_or(String::new(), |words| format!("; {words}"));
        format!("  {name:<width$} {}{words}", bar(window, now))
    }));
    lines.extend(extras(quota, &view.label));
    lines.push(format!("  learned {}", ago(quota.updated, now)));
    lines.join("\n")
}

/// Lines for credits, spending, and reset credits, if there are any.
fn extras(quota: &pool::quota::Quota, label: &str) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(credits) = quota.credits.as_ref().filter(|credits| credits.has || credits.unlimited) {
        let amount = if credits.unlimited { "unlimited" } else { credits.balance.as_deref().unwrap_or("some") };
        lines.push(format!("  credits: {amount}"));
    }
    if let Some(spend) = &quota.spend
        && let (Some(used), Some(limit)) = (&spend.used, &spend.limit)
    {
        lines.push(format!("  spending: {used} of {limit}{}", if spend.reached { ", limit reached" } else { "" }));
    }
    if let Some(count @ 1..) = quota.reset_credits {
        lines.push(format!("  reset credits: {count}; see `polygate accounts credits list {label}`"));
    }
    lines
}

/// Every window with its name, and its forecast as text if there is one.
fn windows(view: &AccountView, now: Millis) -> Vec<(String, Window, Option<String>)> {
    let AccountView { quota, forecast, .. } = view;
    let words = |forecast: Option<Forecast>| forecast.map(|forecast| forecast.describe(now));
    let own = [
        ("primary", quota.primary, words(forecast.primary)),
        ("secondary", quota.secondary, words(forecast.secondary)),
    ];
    let named = quota.named.iter().flat_map(|limit| {
        let name = limit.name.as_deref().unwrap_or(&limit.id);
        [(name, limit.primary, None), (name, limit.secondary, None)]
    });
    own.into_iter().chain(named).filter_map(|(name, window, words)| Some((name.to_owned(), window?, words))).collect()
}

/// `    5 h [######--------------]  31 % used, resets in 2 h 5 min`.
fn bar(window: &Window, now: Millis) -> String {
    let used = window.used(now);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share is 0 to 100")]
    let full = ((used / 100.0 * 20.0).round() as usize).min(CELLS);
    let bar = format!("{}{}", "#".repeat(full), "-".repeat(CELLS - full));
    let reset = window.resets_at.map_or(String::new(), |at| match now.until(at) {
        0 => ", has reset".to_owned(),
        _ => format!(", resets {}", output::time_until(now, at)),
    });
    format!("{:>7} [{bar}] {used:>3.0} % used{reset}", length(window.minutes))
}

fn length(minutes: Option<u32>) -> String {
    match minutes {
        Some(minutes) if minutes % 1440 == 0 => format!("{} d", minutes / 1440),
        Some(minutes) if minutes % 60 == 0 => format!("{} h", minutes / 60),
        Some(minutes) => format!("{minutes} min"),
        None => String::new(),
    }
}

fn ago(then: Millis, now: Millis) -> String {
    match then.until(now) / 1000 {
        0..60 => "just now".to_owned(),
        seconds @ 60..7200 => format!("{} min ago", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h ago", seconds / 3600),
        seconds => format!("{} days ago", seconds / 86_400),
    }
}
