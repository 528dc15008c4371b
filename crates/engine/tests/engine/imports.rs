//! Imports against a backend that rotates and detects reuse. Rows S7 and S8.

use std::collections::HashMap;

use engine::{ImportOutcome, Imports};
use offline::{FakeAccount, NewAccount, Plan, Rule};
use pool::Secret;
use pool::egress::Egress;
use serde_json::{Value, json};
use upstream::transfer;

use crate::bench::{Bench, PATIENCE, Setup, expired};

async fn bench() -> Bench {
    Bench::with(Setup { accounts: vec![], ..Setup::default() }).await
}

async fn import(bench: &Bench, file: &Value) -> Imports {
    bench.engine.logins().import(file.to_string().into_bytes(), None).await.expect("a sound file")
}

fn counts(done: &Imports) -> [usize; 5] {
    [done.added, done.updated, done.unchanged, done.failed, done.duplicates]
}

/// The refresh tokens that the store has, by account.
async fn stored_tokens(bench: &Bench) -> HashMap<String, String> {
    let mut by_account = HashMap::new();
    for account in bench.store.accounts().await.expect("accounts") {
        let tokens = bench.store.tokens(&account.id).await.expect("tokens").expect("the account");
        by_account
            .insert(account.upstream_id, tokens.refresh.map(|token| token.expose().to_owned()).unwrap_or_default());
    }
    by_account
}

/// Every login is where it can be used: its living refresh token is in the store, or still in the file and not spent.
async fn nothing_lost(bench: &Bench, logins: &[FakeAccount]) {
    let tokens = stored_tokens(bench).await;
    for login in logins {
        let living = bench.backend.current_refresh(&login.account_id);
        let stored = tokens.get(&login.account_id).is_some_and(|token| living.contains(token));
        assert!(stored || living.contains(&login.refresh), "{}: lost", login.account_id);
    }
}

/// Row S7: two hundred refresh tokens, some said twice, while the token endpoint fails in every way that it knows.
#[tokio::test]
async fn every_rotated_token_is_kept() {
    let bench = bench().await;
    let logins: Vec<FakeAccount> = (0..200).map(|_| bench.backend.account("plus")).collect();
    let mut entries: Vec<Value> = logins.iter().map(|login| json!({ "refreshToken": login.refresh })).collect();
    entries.extend(logins.iter().take(20).map(|login| json!({ "refreshToken": login.refresh })));
    entries.push(json!({ "refreshToken": "rt with blanks in it" }));
    entries.push(json!({ "token": "no JWT at all" }));
    // Faults of the first calls, each before the backend has rotated anything.
    for plan in [
        Plan::json(500, json!({"error": "server_error"})),
        Plan::json(503, json!({})),
        Plan::json(429, json!({"error": "slow_down"})),
        Plan::json(200, json!({"expires_in": 1})),
        Plan::json(400, json!({"error": "invalid_grant", "error_description": "gone"})),
        Plan::json(401, json!({"error": {"code": "refresh_token_expired", "message": "gone"}})),
    ] {
        bench.backend.add_rule(Rule::token(plan));
    }
    let done = import(&bench, &Value::Array(entries)).await;
    assert_eq!((done.duplicates, done.added + done.failed, done.success), (20, 202, false), "{:?}", done.errors);
    assert!(done.added >= 194 && done.errors.len() == done.failed, "{:?}", done.errors);
    assert!(done.errors.iter().all(|error| error.starts_with("line 1: ")), "{:?}", done.errors);
    nothing_lost(&bench, &logins).await;
    let used = bench.backend.record();
    assert!(used.refreshes.iter().all(|refresh| !refresh.reused), "a token was used twice");
    bench.innocent();
    // What is stored is known by its token, and nothing is sent.
    let before = bench.backend.record().token_posts().count();
    let known_entries: Vec<Value> =
        stored_tokens(&bench).await.values().map(|token| json!({ "refreshToken": token })).collect();
    let known = import(&bench, &Value::Array(known_entries)).await;
    assert_eq!(counts(&known), [0, 0, done.added, 0, 0], "own tokens are known and not spent");
    assert_eq!(bench.backend.record().token_posts().count(), before);
}

/// A refresh token that an account has already is not spent, and the account takes the egress that was asked for.
#[tokio::test]
async fn a_known_token_moves_its_account() {
    let bench = Bench::new().await;
    let add = || {
        bench.engine.logins().add_token(None, Some(Secret::from(bench.logins[0].refresh.as_str())), Some(Egress::Auto))
    };
    #[cfg(feature = "failpoints")]
    {
        let scenario = fail::FailScenario::setup();
        fail::cfg("store::before_egress", "return").expect("a point");
        assert_eq!(counts(&add().await), [0, 0, 0, 1, 0]);
        scenario.teardown();
    }
    let done = add().await;
    assert_eq!((counts(&done), done.errors), ([0, 0, 1, 0, 0], vec![]));
    assert_eq!(bench.engine.accounts().list()[0].egress, "auto");
    assert_eq!(bench.backend.record().token_posts().count(), 0);
}

/// Row S7: the store fails while tokens that were just issued are on their way to it, before and after it has written, once and
/// several times in a row.
#[cfg(feature = "failpoints")]
#[tokio::test]
async fn a_store_that_fails_loses_no_rotated_token() {
    let scenario = fail::FailScenario::setup();
    let bench = bench().await;
    let logins: Vec<FakeAccount> = (0..200).map(|_| bench.backend.account("plus")).collect();
    let entries: Vec<Value> = logins.iter().map(|login| json!({ "refreshToken": login.refresh })).collect();
    // The first writes, some in the middle, two in a row, and the last that is left.
    let before = "1*return->48*off->1*return->99*off->2*return->53*off->1*return->off";
    fail::cfg("store::before_account", before).expect("a point");
    fail::cfg("store::after_account", "1*off->1*return->120*off->1*return->off").expect("a point");
    let done = import(&bench, &Value::Array(entries)).await;
    scenario.teardown();
    assert!(done.success && done.entries.len() == 200, "{:?}", done.errors);
    // Two were there already when the store said that they were not.
    assert_eq!(counts(&done), [198, 2, 0, 0, 0]);
    let tokens = stored_tokens(&bench).await;
    for login in &logins {
        let living = bench.backend.current_refresh(&login.account_id);
        assert!(
            tokens.get(&login.account_id).is_some_and(|token| living.contains(token)),
            "{}: lost",
            login.account_id
        );
    }
    let record = bench.backend.record();
    assert_eq!((record.token_posts().count(), record.refreshes.iter().any(|refresh| refresh.reused)), (200, false));
    bench.innocent();
}

/// The most that a process has held in memory so far, bytes.
#[cfg(target_os = "linux")]
pub(crate) fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("proc(5)");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches("kB").trim().parse::<usize>().expect("a number") << 10
}

/// Text that a terminal, a page, a database or a log would trip over.
fn hostile(length: usize) -> String {
    let piece = "\u{202e}<script>alert(1)</script>\u{0}\u{1b}[2J'; DROP TABLE account; -- ../../etc/passwd %s%n ";
    piece.chars().cycle().take(length).collect()
}

/// Row S8 at full size: ten thousand entries in 64 MiB, hostile all of them, and not one of them good.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_hostile_file_of_full_size_costs_a_bound_and_changes_nothing() {
    let bench = bench().await;
    let noise = hostile(4200);
    let entry = |n: usize| match n % 4 {
        0 => json!({"refreshToken": noise, "label": "long"}),
        1 => json!({"token": noise, "refreshToken": 7, "label": noise}),
        2 => json!({"accounts": [noise], "label": [[[noise.len()]]]}),
        _ => json!([noise]),
    };
    let mut text = Value::Array((0..transfer::MOST).map(entry).collect()).to_string();
    assert!(text.len() <= transfer::LONGEST && text.len() > transfer::LONGEST / 2, "{}", text.len());
    text.extend(std::iter::repeat_n(' ', transfer::LONGEST - text.len()));
    let before = peak();
    let reading = bench.engine.logins().import(text.into_bytes(), None);
    let done = tokio::time::timeout(3 * PATIENCE, reading).await.expect("in time").expect("it can be read");
    let more = peak().saturating_sub(before);
    assert!(more <= 4 * transfer::LONGEST, "{more} bytes");
    assert_eq!((counts(&done), done.entries.len()), ([0, 0, 0, transfer::MOST, 0], transfer::MOST));
    let length: usize = done.errors.iter().map(String::len).sum();
    assert!(length <= 256 * transfer::MOST, "{length} bytes of errors");
    assert!(done.errors.iter().all(|error| !error.contains(|c: char| c.is_control() || c == '\u{202e}')));
    assert_eq!((bench.engine.accounts().list().len(), bench.backend.record().total), (0, 0));
    assert!(bench.store.accounts().await.expect("accounts").is_empty());
}

/// Row S8: a few good entries among ten thousand are taken, each by itself.
#[tokio::test]
async fn good_entries_are_found_among_ten_thousand() {
    let bench = bench().await;
    let logins: Vec<FakeAccount> = (0..5).map(|_| bench.backend.account("plus")).collect();
    let mut entries: Vec<Value> =
        (0..transfer::MOST).map(|n| json!({"token": "no JWT", "label": hostile(n % 90)})).collect();
    for (n, login) in logins.iter().enumerate() {
        entries[n * 2499] = json!({"token": login.access, "refreshToken": login.refresh});
    }
    let done = import(&bench, &Value::Array(entries)).await;
    assert_eq!(counts(&done), [5, 0, 0, transfer::MOST - 5, 0]);
    let good = done.entries.iter().enumerate().filter(|(_, entry)| entry.result == ImportOutcome::Added);
    assert_eq!(good.map(|(at, _)| at).collect::<Vec<_>>(), [0, 2499, 4998, 7497, 9996]);
    nothing_lost(&bench, &logins).await;
    assert_eq!(bench.backend.record().token_posts().count(), 0);
}

/// What the token endpoint gave is kept also when it names nobody.
#[tokio::test]
async fn tokens_of_nobody_are_set_aside() {
    let bench = bench().await;
    let grant = json!({"access_token": "opaque-access", "refresh_token": "rt_canary-0123456789"});
    bench.backend.add_rule(Rule::token(Plan::json(200, grant)));
    let done = import(&bench, &json!(["rt_0123456789"])).await;
    assert_eq!(done.entries[0].result, ImportOutcome::Refused);
    assert!(!done.errors[0].contains("canary"), "{:?}", done.errors);
    let accounts = bench.store.accounts().await.expect("accounts");
    assert_eq!(accounts[0].status.as_str(), "needs_login");
    let tokens = bench.store.tokens(&accounts[0].id).await.expect("tokens").expect("the account");
    assert_eq!(tokens.refresh, Some(Secret::from("rt_canary-0123456789")));
}

/// Of one login in several words the newest tokens count, and an older file changes nothing.
#[tokio::test]
async fn one_login_is_one_account() {
    let bench = bench().await;
    let login = bench.backend.account("plus");
    let old = json!({"token": login.access, "refreshToken": login.refresh, "label": "Work", "tags": ["a"]});
    let auth: Value = serde_json::from_str(&login.auth_json()).expect("JSON");
    let done = import(&bench, &json!([old, auth])).await;
    assert_eq!(counts(&done), [1, 0, 0, 0, 1]);
    assert_eq!(counts(&import(&bench, &json!([old])).await), [0, 0, 1, 0, 0]);
    let newer = bench.backend.add_account(NewAccount {
        account_id: Some(login.account_id.clone()),
        user: Some(login.user.clone()),
        expires_in: 900_000,
        ..NewAccount::default()
    });
    let newer = json!({"token": newer.access, "refreshToken": newer.refresh});
    assert_eq!(counts(&import(&bench, &json!([newer])).await), [0, 1, 0, 0, 0]);
    assert_eq!(bench.engine.accounts().list().len(), 1);
    assert_eq!(bench.backend.record().token_posts().count(), 0, "access tokens that are good cost nothing");
}

/// An entry that can be refreshed is not given up for one that only lasts a little longer.
#[tokio::test]
async fn a_refresh_token_outweighs_a_later_end() {
    let bench = bench().await;
    let login = bench.backend.account("plus");
    let later = bench.backend.add_account(NewAccount {
        account_id: Some(login.account_id.clone()),
        user: Some(login.user.clone()),
        expires_in: 900_000,
        ..NewAccount::default()
    });
    let entries = json!([{"token": login.access, "refreshToken": login.refresh}, {"token": later.access}]);
    assert_eq!(counts(&import(&bench, &entries).await), [1, 0, 0, 0, 1]);
    assert_eq!(stored_tokens(&bench).await[&login.account_id], login.refresh);
}

/// An auth.json may hold an API key beside its login; it becomes a relay, once.
#[tokio::test]
async fn an_api_key_becomes_a_relay() {
    let bench = bench().await;
    let mut auth: Value = serde_json::from_str(&bench.backend.account("plus").auth_json()).expect("JSON");
    auth["OPENAI_API_KEY"] = json!("sk-canary-0123456789");
    let done = import(&bench, &auth).await;
    assert_eq!((done.added, done.relays), (1, 1), "{:?}", done.errors);
    let relays = bench.engine.relays().list();
    assert_eq!((relays[0].name.as_str(), relays[0].base_url.as_str()), ("openai", "https://api.openai.com/v1"));
    let done = import(&bench, &auth).await;
    assert_eq!((done.unchanged, done.relays, bench.engine.relays().list().len()), (1, 0, 1));
}

/// A broken file changes nothing, whatever stands before the fault.
#[tokio::test]
async fn a_broken_file_changes_nothing() {
    let bench = bench().await;
    let login = bench.backend.account("plus");
    let text = format!("{{\"refreshToken\": {:?}}}\n{{\"refreshToken\": oops}}\n", login.refresh);
    let problem = bench.engine.logins().import(text.into_bytes(), None).await.expect_err("it is broken").to_string();
    assert!(problem.starts_with("line 2, column"), "{problem}");
    let ended = bench.backend.add_account(expired());
    let done = import(&bench, &json!([{ "token": ended.access }])).await;
    assert_eq!(done.entries[0].result, ImportOutcome::Junk);
    assert_eq!((bench.engine.accounts().list().len(), bench.backend.record().token_posts().count()), (0, 0));
}
