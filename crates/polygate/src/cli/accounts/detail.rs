//! `accounts show` and `accounts check`: the details of one account, and whether logins are valid.

use std::process::ExitCode;
use std::time::Duration;

use engine::{AccountHealth, AccountView, CheckPace, Engine};

use super::AccountJson;
use crate::cli::{Common, context, output};

/// Pause between two checks, and how many run in parallel.
const PACE: CheckPace = CheckPace { stagger: Duration::from_millis(200), parallel: 4 };

/// The account's state as text.
pub(super) fn state(view: &AccountView) -> String {
    match &view.why {
        Some(why) if view.status == "disabled" => why.clone(),
        Some(why) => format!("{} ({why})", view.status.replace('_', " ")),
        None => view.status.to_owned(),
    }
}

pub(super) fn show(common: &Common, view: &AccountView) {
    if common.json {
        output::json(&AccountJson::from(view));
        return;
    }
    let now = context::now();
    let token = view.expires.map_or("unknown".to_owned(), |at| output::time_until(now, at));
    let rows = [
        ("id", view.id.clone()),
        ("label", view.label.clone()),
        ("e-mail", view.email.clone()),
        ("plan", view.plan.clone()),
        ("state", state(view)),
        ("tags", view.tags.join(", ")),
        ("token ends", token),
        ("workspace", view.account_id.clone()),
        ("user", view.user.clone()),
        ("follows", view.linked.clone().unwrap_or_default()),
    ];
    for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        output::line(&format!("{name:<11}{value}"));
    }
}

pub(super) async fn check(common: &Common, engine: &Engine, wanted: &[String]) -> anyhow::Result<ExitCode> {
    let ids: Vec<String> = context::accounts(engine, wanted)?.into_iter().map(|view| view.id).collect();
    let checked = engine.accounts().check((!wanted.is_empty()).then_some(ids.as_slice()), PACE).await;
    let dead = checked.iter().any(|checked| checked.result == AccountHealth::Dead);
    let unknown = checked.iter().any(|checked| checked.result == AccountHealth::Skipped);
    if common.json {
        output::json(&checked);
    } else {
        let word = |health| match health {
            AccountHealth::Alive => "alive",
            AccountHealth::Dead => "dead",
            AccountHealth::Skipped => "not known",
        };
        let rows = checked.into_iter().map(|checked| {
            let time = checked.duration_ms.map_or(String::new(), |millis| format!("{millis} ms"));
            vec![checked.label, word(checked.result).to_owned(), time, checked.error.unwrap_or_default()]
        });
        let empty = "No accounts yet. Add one: polygate login";
        output::table(&["LABEL", "LOGIN", "TIME", "WHY"], rows.collect(), empty);
    }
    Ok(ExitCode::from(match (dead, unknown) {
        (true, _) => 4,
        (false, true) => 1,
        (false, false) => 0,
    }))
}
