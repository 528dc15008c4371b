//! `/offline/*`: scripts, record and accounts as JSON, for tests in other languages and for people. These requests are not recorded.

use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::Response;
use http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::account::{NewAccount, Quota, RefreshTokenState};
use crate::answer::{Answer, AnswerBody, unrecorded};
use crate::errors::Reject;
use crate::plan::Plan;
use crate::plan::wire::ConnectionFault;
use crate::record::Record;
use crate::script::{Rule, When};
use crate::state::Shared;
use crate::token::Revocation;

/// One rule or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Rules {
    Many(Vec<Rule>),
    One(Box<Rule>),
}

#[derive(Deserialize)]
struct Name {
    gate: String,
}

#[derive(Deserialize)]
struct Forbid {
    #[serde(default)]
    when: When,
    note: String,
}

#[derive(Deserialize)]
struct Device {
    user_code: String,
}

/// Changes to an account.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    account_id: String,
    quota: Option<Quota>,
    models: Option<Vec<String>>,
    revoke_access: Option<Revocation>,
    /// `expired` or `invalidated`.
    refresh: Option<String>,
}

/// Answers one control request.
pub(crate) fn answer(shared: &Arc<Shared>, parts: &Parts, body: &[u8]) -> Response<AnswerBody> {
    let path = parts.uri.path().trim_start_matches("/offline/");
    let done = match (parts.method.as_str(), path) {
        ("GET", "record") => Ok(record_json(&shared.recorder.snapshot())),
        ("GET", "script") => Ok(json!(shared.script.pending())),
        ("POST", "script") => read(body).map(|rules| script(shared, rules)),
        ("POST", "reset") => Ok(()).map(|()| shared.reset()).map(ok),
        ("POST", "release") => read(body).map(|Name { gate }| shared.gates.release(&gate)).map(ok),
        ("POST", "forbid") => read(body).map(|Forbid { when, note }| shared.script.forbid(when, note)).map(ok),
        ("POST", "greet") => {
            read(body).map(|greeting: ConnectionFault| shared.greetings.lock().push_back(greeting)).map(ok)
        }
        ("POST", "versions") => read(body).map(|versions| *shared.versions.lock() = versions).map(ok),
        ("POST", "approve") => read(body).map(|Device { user_code }| approve(shared, &user_code)),
        ("POST", "accounts") => read(body).map(|new| account(shared, new)),
        ("PATCH", "accounts") => read(body).map(|change| edit(shared, &change)),
        _ => Err(Reject::detail(404, "no such control; see the crate's documentation")),
    };
    let answer = done.map_or_else(Answer::from, |value| Answer::json(200, &value));
    answer.respond(&Plan::auto(), unrecorded(shared))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Reject> {
    serde_json::from_slice(body).map_err(|error| Reject::detail(400, error.to_string()))
}

fn ok((): ()) -> Value {
    json!({ "ok": true })
}

fn script(shared: &Shared, rules: Rules) -> Value {
    let rules = match rules {
        Rules::Many(rules) => rules,
        Rules::One(rule) => vec![*rule],
    };
    for rule in rules {
        shared.script.add(rule);
    }
    json!({ "pending": shared.script.pending().len() })
}

fn approve(shared: &Shared, user_code: &str) -> Value {
    json!({ "approved": shared.pending_logins.lock().approve(user_code) })
}

fn account(shared: &Shared, new: NewAccount) -> Value {
    let mut accounts = shared.accounts.lock();
    let expires_in = new.expires_in;
    let who = accounts.add(new);
    let grant = accounts.grant(who, expires_in, &shared.options.client_id);
    let account = accounts.fake_account(who, grant);
    json!({ "account": account, "auth_json": account.auth_json() })
}

fn edit(shared: &Shared, change: &Change) -> Value {
    let mut accounts = shared.accounts.lock();
    let who: Vec<usize> = accounts.of(&change.account_id).collect();
    for person in who.iter().copied() {
        if let Some(quota) = &change.quota {
            accounts.logins[person].quota = quota.clone();
        }
        if let Some(models) = &change.models {
            accounts.logins[person].models = Some(models.clone());
        }
    }
    if let Some(why) = change.revoke_access {
        accounts.revoke_access(&change.account_id, why);
    }
    match change.refresh.as_deref() {
        Some("expired") => accounts.invalidate_refresh_tokens(&change.account_id, RefreshTokenState::Expired),
        Some(_) => accounts.invalidate_refresh_tokens(&change.account_id, RefreshTokenState::Invalidated),
        None => {}
    }
    json!({ "changed": who.len() })
}

/// The record with request bodies: as JSON if they parse, else as base64.
fn record_json(record: &Record) -> Value {
    let mut whole = json!(record);
    for (shown, seen) in whole["requests"].as_array_mut().into_iter().flatten().zip(&record.requests) {
        shown["body"] =
            serde_json::from_slice(&seen.body).unwrap_or_else(|_| json!(BASE64_STANDARD.encode(&seen.body)));
    }
    whole
}
