//! Commands that are interrupted after they sent a refresh token, and gateways that start meanwhile.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use offline::{Endpoint, Offline, Options, Plan, Rule, Running};
use rstest::rstest;

use crate::common::Home;

/// Time for a process to start on a slow machine.
const SOON: Duration = Duration::from_secs(30);
/// The gate at which the token endpoint waits.
const GATE: &str = "token";

/// A home with one account, or none, and a token endpoint that accepts a token and then waits for [`GATE`].
async fn site(signed_in: bool) -> (Running, Home, offline::FakeAccount) {
    let backend = Offline::start(Options::default()).await.unwrap();
    let home = Home::new(&backend);
    let login = backend.account("plus");
    if signed_in {
        home.import(&login);
    }
    backend.add_rule(Rule::token(Plan::auto().delay(GATE)).times(1));
    (backend, home, login)
}

/// Starts a command, and waits until its refresh token has reached the backend.
async fn under_way(backend: &Running, home: &Home, args: &[&str], input: &str) -> Child {
    let file = home.dir.path().join("input");
    std::fs::write(&file, input).unwrap();
    let mut command = home.command(args);
    command.stdin(std::fs::File::open(&file).unwrap()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    backend.wait_until(SOON, |record| record.refreshes.len() == 1).await.unwrap();
    child
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap().success());
}

/// Asserts that the home's one account serves with its own tokens.
async fn serves(backend: &Running, home: &Home) {
    let gateway = home.serve(&[]);
    let answer = gateway.chat("Reply with exactly: pong").await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(backend.record().refreshes.iter().all(|refresh| !refresh.reused), "a refresh token was used twice");
    assert!(gateway.terminate().success());
    home.ok(&["accounts", "refresh", &account(home)]);
}

fn account(home: &Home) -> String {
    let listed: serde_json::Value = serde_json::from_str(&home.ok(&["--json", "accounts", "list"])).unwrap();
    listed[0]["id"].as_str().unwrap().to_owned()
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_waits_for_the_tokens(
    #[values("INT", "TERM")] name: &str,
    #[values("refresh", "login")] command: &str,
) {
    let (backend, home, login) = site(command == "refresh").await;
    let child = if command == "refresh" {
        under_way(&backend, &home, &["accounts", "refresh", &account(&home)], "").await
    } else {
        under_way(&backend, &home, &["login", "--token", "-"], &login.refresh).await
    };
    signal(&child, name);
    backend.release(GATE);
    let output = child.wait_with_output().unwrap();
    let output_text = String::from_utf8_lossy(&output.stderr).into_owned();
    // The signal may come after the command is done.
    let code = if name == "INT" { 130 } else { 143 };
    assert!([Some(code), Some(0)].contains(&output.status.code()), "{:?}: {output_text}", output.status);
    serves(&backend, &home).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_a_command_at_once() {
    let (backend, home, _) = site(true).await;
    let mut child = under_way(&backend, &home, &["accounts", "refresh", &account(&home)], "").await;
    let stderr = child.stderr.take().unwrap();
    signal(&child, "INT");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(stderr)).map_while(Result::ok);
    assert!(lines.any(|line| line.contains("a second signal ends the command at once")));
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    backend.release(GATE);
}

/// A living process holds the command's lease, so the gateway waits for that lease.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_starts_during_a_refresh_leaves_it_alone() {
    let (backend, home, login) = site(true).await;
    let id = account(&home);
    backend.expire_access(&login.account_id);
    let child = under_way(&backend, &home, &["accounts", "refresh", &id], "").await;
    let gateway = home.serve(&[]);
    let asked = gateway.chat("Reply with exactly: pong");
    let release = async {
        backend
            .wait_until(SOON, |record| {
                record.model_requests().count() > 0 || record.requests_to(Endpoint::Token).count() > 1
            })
            .await
            .ok();
        backend.release(GATE);
    };
    let (answer, ()) = tokio::join!(asked, release);
    assert_eq!(answer.unwrap().status, 200);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(backend.record().requests_to(Endpoint::Token).count(), 1, "one use of one token");
    assert!(gateway.terminate().success());
    serves(&backend, &home).await;
}
