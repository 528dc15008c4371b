//! What commands print: errors, `--json`, the lines of `serve`, and advice.

#![allow(clippy::unwrap_used, reason = "a failing step of a test must end it")]

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Output, Stdio};

use common::Home;
use offline::{Offline, Options};
use rstest::rstest;
use serde_json::Value;

async fn home() -> (offline::Running, Home) {
    let backend = Offline::start(Options::default()).await.unwrap();
    let home = Home::new(&backend);
    (backend, home)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// With `--json` an error is one object on standard error, whoever found it.
#[rstest]
#[case::no_such_account(&["accounts", "show", "nobody"], 1, "failed")]
#[case::no_such_key(&["keys", "revoke", "nobody"], 1, "failed")]
#[case::no_such_relay(&["relays", "remove", "nobody"], 1, "failed")]
#[case::no_such_file(&["login", "--import", "/nowhere/auth.json"], 1, "failed")]
#[case::no_such_command(&["fly"], 2, "usage")]
#[case::no_such_option(&["keys", "list", "--fly"], 2, "usage")]
#[case::wrong_setting(&["serve", "--port", "many"], 2, "configuration")]
#[tokio::test(flavor = "multi_thread")]
async fn errors_are_json_where_json_is_asked_for(#[case] args: &[&str], #[case] code: i32, #[case] kind: &str) {
    let (_backend, home) = home().await;
    let args = [&["--json"], args].concat();
    let output = home.run(&args);
    assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
    let said: Value =
        serde_json::from_str(&stderr(&output)).unwrap_or_else(|error| panic!("{error}: {}", stderr(&output)));
    assert_eq!(said["error"]["kind"], kind, "{said}");
    assert!(said["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cause_is_told_once() {
    let (_backend, home) = home().await;
    std::fs::create_dir_all(home.path()).unwrap();
    std::fs::create_dir(home.path().join("config.toml")).unwrap();
    let said = stderr(&home.run(&["keys", "list"]));
    assert_eq!(said.matches("os error").count(), 1, "{said}");
    let blocked = home.dir.path().join("file");
    std::fs::write(&blocked, "").unwrap();
    let output =
        home.command(&["keys", "list"]).env("POLYGATE_DATA_KEY_FILE", blocked.join("data.key")).output().unwrap();
    assert!(stderr(&output).matches("os error").count() <= 1, "{}", stderr(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_speaks_json_where_json_is_asked_for() {
    let (_backend, home) = home().await;
    let mut child = home
        .command(&["--json", "serve", "--port", "0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let first = BufReader::new(child.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    let line: Value = serde_json::from_str(&first).unwrap_or_else(|error| panic!("{error}: {first}"));
    assert!(line["listening"].as_str().unwrap().starts_with("http://127.0.0.1:"), "{line}");
    child.kill().unwrap();
    let log = stderr(&child.wait_with_output().unwrap());
    assert!(log.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{log}");
    assert!(log.contains("polygate login"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_names_the_next_step() {
    let (backend, home) = home().await;
    let home = home.with("POLYGATE_SERVER__API_KEY", "");
    let said = |home: &Home| {
        let gateway = home.serve(&[]);
        let port = gateway.port;
        let log = gateway.log.text();
        let mut gateway = gateway;
        gateway.signal("TERM");
        gateway.wait(std::time::Duration::from_secs(30));
        (port, log + &gateway.log.text())
    };
    let (_, empty) = said(&home);
    assert!(empty.contains("polygate login") && empty.contains("polygate keys create"), "{empty}");
    home.import(&backend.account("plus"));
    home.ok(&["keys", "create"]);
    let (port, ready) = said(&home);
    assert!(ready.contains(&format!("http://127.0.0.1:{port}/v1")), "{ready}");
    let weak = Home::new(&backend).with("POLYGATE_SERVER__API_KEY", "x");
    assert!(said(&weak).1.contains("server.api_key has fewer than 24 characters"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_settings_for_codex_name_the_port_of_the_settings() {
    let (_backend, home) = home().await;
    let folder = home.dir.path().join("codex");
    let args = ["keys", "create", "--codex-home", folder.to_str().unwrap()];
    let output = home.command(&args).env("POLYGATE_SERVER__PORT", "9123").output().unwrap();
    let said = stderr(&output);
    assert!(output.status.success() && said.contains("http://127.0.0.1:9123/backend-api/codex"), "{said}");
    assert!(!said.contains("8080"), "{said}");
}
