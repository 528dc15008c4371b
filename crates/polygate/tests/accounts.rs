//! Accounts on the command line: import and export, links, and changes that an owner makes.

#![allow(clippy::unwrap_used, reason = "a failing step of a test must end it")]

mod common;

use common::Home;
use offline::{NewAccount, Offline, Options};
use serde_json::{Value, json};

async fn backend() -> offline::Running {
    Offline::start(Options::default()).await.unwrap()
}

fn list(home: &Home) -> Vec<Value> {
    serde_json::from_str(&home.ok(&["--json", "accounts", "list"])).unwrap()
}

fn output_text(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_move_between_homes_sealed() {
    let backend = backend().await;
    let (one, two) = (Home::new(&backend), Home::new(&backend));
    let logins = ["plus", "pro"].map(|plan| backend.account(plan));
    for login in &logins {
        one.import(login);
    }
    let email = list(&one)[0]["email"].as_str().unwrap().to_owned();
    one.ok(&["accounts", "label", &email, "--to", "Work"]);
    one.ok(&["accounts", "tag", "Work", "--set", "team,late"]);
    one.ok(&["accounts", "disable", "Work"]);
    let out = one.dir.path().join("out.json");
    let path = out.to_str().unwrap();
    assert_eq!(one.run(&["accounts", "export", "--out", path]).status.code(), Some(2), "in clear or sealed: say which");
    let bare = one.run(&["accounts", "export", "--encrypt", "--out", path]);
    assert!(!bare.status.success() && output_text(&bare).contains("POLYGATE_PASSPHRASE") && !out.exists());
    let pass = ("POLYGATE_PASSPHRASE", "four words of mine");
    let sealed = one.command(&["accounts", "export", "--encrypt", "--out", path]).env(pass.0, pass.1).output().unwrap();
    assert!(sealed.status.success(), "{}", output_text(&sealed));
    let text = std::fs::read_to_string(&out).unwrap();
    assert!(!logins.iter().any(|login| text.contains(&login.refresh) || text.contains(&login.access)));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let again = one.command(&["accounts", "export", "--encrypt", "--out", path]).env(pass.0, pass.1).output().unwrap();
    assert!(!again.status.success(), "what is there stays");

    assert_eq!(two.run(&["accounts", "import", path]).status.code(), Some(1));
    let wrong = two.command(&["accounts", "import", path]).env(pass.0, "something else").output().unwrap();
    assert_eq!(wrong.status.code(), Some(1));
    assert_eq!(list(&two), Vec::<Value>::new());
    let taken = two.command(&["accounts", "import", path]).env(pass.0, pass.1).output().unwrap();
    assert!(taken.status.success() && output_text(&taken).contains("2 added"), "{}", output_text(&taken));
    let work = list(&two).into_iter().find(|account| account["label"] == "Work").unwrap();
    assert_eq!((&work["tags"], &work["status"]), (&json!(["team", "late"]), &json!("disabled")));
    two.ok(&["accounts", "enable", "Work"]);
    assert!(two.ok(&["accounts", "show", "Work"]).contains("active"));
    assert_eq!(backend.record().token_posts().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn imports_report_every_entry() {
    let backend = backend().await;
    let home = Home::new(&backend);
    let file = home.dir.path().join("tokens.txt");
    let login = backend.account("plus");
    std::fs::write(&file, format!("{}\nrt_canary-0123456789\n{}\n", login.refresh, login.refresh)).unwrap();
    let output = home.run(&["accounts", "import", file.to_str().unwrap()]);
    let text = output_text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("1 added, 1 failed, 1 listed twice") && text.contains("line 2: "), "{text}");
    assert!(!text.contains("canary") && !text.contains(&login.refresh), "{text}");
    std::fs::write(&file, "{\"accounts\": [\n  oops").unwrap();
    let broken = home.run(&["accounts", "import", file.to_str().unwrap()]);
    assert!(output_text(&broken).contains("line 2, column 3"), "{}", output_text(&broken));
    assert_eq!(list(&home).len(), 1);
    let email = login.email.as_str();
    let refreshed = home.run(&["accounts", "refresh", email]);
    assert!(refreshed.status.success(), "{}", output_text(&refreshed));
    assert!(home.ok(&["accounts", "check"]).contains("alive"));
    backend.expire_access(&login.account_id);
    assert_eq!(home.run(&["accounts", "check", email]).status.code(), Some(4));
    assert_eq!(home.run(&["accounts", "show", "nobody"]).status.code(), Some(1));
    assert_eq!(backend.record().offences, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_accounts_are_changed_at_once() {
    let backend = backend().await;
    let home = Home::new(&backend);
    let logins = ["plus", "pro", "plus"].map(|plan| backend.account(plan));
    for login in &logins {
        home.import(login);
    }
    let [first, second, third] = logins.each_ref().map(|login| login.email.as_str());
    let of = |field: &str| -> Vec<Value> {
        let mut list = list(&home);
        list.sort_by_key(|account| logins.iter().position(|login| account["email"] == login.email));
        list.iter().map(|account| account[field].clone()).collect()
    };
    // With one unknown name, nothing is changed.
    let unknown = home.run(&["accounts", "tag", first, "nobody", "--add", "team"]);
    assert!(
        unknown.status.code() == Some(1) && output_text(&unknown).contains("no account nobody"),
        "{}",
        output_text(&unknown)
    );
    for words in [&["tag", first][..], &["tag", first, "--set", "a", "--add", "b"], &["label", first]] {
        assert_eq!(home.run(&[&["accounts"], words].concat()).status.code(), Some(2), "{words:?}");
    }
    assert_eq!(of("tags"), [json!([]), json!([]), json!([])]);
    home.ok(&["accounts", "tag", first, second, "--set", "team, late"]);
    home.ok(&["accounts", "tag", second, third, "--add", "night", "--remove", "late"]);
    assert_eq!(of("tags"), [json!(["team", "late"]), json!(["team", "night"]), json!(["night"])]);
    home.ok(&["accounts", "tag", first, second, third, "--clear"]);
    assert_eq!(of("tags"), [json!([]), json!([]), json!([])]);
    let named = home.run(&["accounts", "label", first, second, "--to", "Team"]);
    assert!(output_text(&named).contains(&format!("{second}: is Team now")), "{}", output_text(&named));
    assert_eq!(of("label"), [json!("Team"), json!("Team"), json!(third)]);
    assert!(output_text(&home.run(&["accounts", "disable", "Team"])).contains("matches 2 accounts"));
    home.ok(&["accounts", "label", first, second, "--clear"]);
    home.ok(&["accounts", "disable", first, third]);
    assert_eq!(of("status"), ["disabled", "active", "disabled"]);
    home.ok(&["accounts", "enable", first, second, third]);

    // One login has ended: the other logins are refreshed, and the exit code says that a login is needed.
    backend.invalidate_refresh(&logins[1].account_id);
    let output = home.run(&["--json", "accounts", "refresh", first, second, third]);
    let results: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let results: Vec<_> = results.iter().map(|result| result["result"].as_str().unwrap()).collect();
    assert_eq!(
        (output.status.code(), results),
        (Some(4), vec!["done", "needs_login", "done"]),
        "{}",
        output_text(&output)
    );
    // The account serves until its access token expires.
    let output = home.run(&["accounts", "enable", second, third]);
    let text = output_text(&output);
    assert!(output.status.success() && text.contains(&format!("{third}: active")), "{text}");
    assert!(text.contains(&format!("{second}: expiring (needs a new login")), "{text}");
    assert_eq!(of("status"), ["active", "expiring", "active"]);
    home.ok(&["accounts", "remove", second, third, second]);
    assert_eq!(of("email"), [json!(first)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_gateway_notices_a_switch_and_a_link() {
    let backend = backend().await;
    let home = Home::new(&backend);
    let login = backend.add_account(NewAccount::default());
    let codex = home.dir.path().join("codex");
    std::fs::create_dir(&codex).unwrap();
    std::fs::write(codex.join("auth.json"), login.auth_json()).unwrap();
    let gateway = home.serve(&[]);
    let linked = home.command(&["login", "--link"]).env("CODEX_HOME", &codex).output().unwrap();
    assert!(linked.status.success() && output_text(&linked).contains("follows"), "{}", output_text(&linked));
    until(|| async { gateway.chat("Reply with exactly: pong").await.unwrap().status == 200 }).await;
    home.ok(&["accounts", "disable", &login.email]);
    until(|| async { gateway.chat("Reply with exactly: pong").await.unwrap().status == 503 }).await;
    home.ok(&["accounts", "enable", &login.email]);
    until(|| async { gateway.chat("Reply with exactly: pong").await.unwrap().status == 200 }).await;
    let export = home.ok(&["accounts", "export", "--format", "minimal"]);
    assert!(!export.contains("rt_"), "Codex's refresh token is not ours: {export}");
    assert_eq!(backend.record().token_posts().count(), 0);
    assert_eq!(home.run(&["login", "--link", "--device"]).status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_the_environment_is_taken_in_at_start() {
    let backend = backend().await;
    let home = Home::new(&backend);
    let login = backend.account("plus");
    let gateway = home.serve(&[("CODEX_JWT_TOKEN", &login.access)]);
    until(|| async { gateway.chat("Reply with exactly: pong").await.unwrap().status == 200 }).await;
    assert!(!gateway.log.text().contains(&login.access));
    let shown = home.command(&["config", "show"]).env("CODEX_JWT_TOKEN", &login.access).output().unwrap();
    assert!(!output_text(&shown).contains(&login.access));
}

/// Polls a condition that another process must bring about, for at most 10 s.
async fn until<F: Future<Output = bool>>(condition: impl Fn() -> F) {
    let wait = async {
        while !condition().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), wait).await.expect("the condition came to hold");
}
