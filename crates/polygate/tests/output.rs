//! The output of commands: errors, `--json`, the lines of `serve`, and advice.

#![allow(clippy::unwrap_used, reason = "a failing step of a test must end it")]

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

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

/// With `--json` every error is one object on standard error.
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
    let output_text: Value =
        serde_json::from_str(&stderr(&output)).unwrap_or_else(|error| panic!("{error}: {}", stderr(&output)));
    assert_eq!(output_text["error"]["kind"], kind, "{output_text}");
    assert!(output_text["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{output_text}");
}

/// All JSON output has one style: names in snake_case, instants in milliseconds.
#[tokio::test(flavor = "multi_thread")]
async fn json_has_one_style() {
    let (backend, home) = home().await;
    let account = backend.account("plus");
    home.import(&account);
    home.ok(&["keys", "create"]);
    let email = account.email.as_str();
    let commands: [&[&str]; 10] = [
        &["accounts", "list"],
        &["accounts", "show", email],
        &["accounts", "check"],
        &["accounts", "quota", "--fresh"],
        &["accounts", "credits", "list", email],
        &["keys", "list"],
        &["relays", "list"],
        &["proxies", "list"],
        &["config", "show"],
        &["doctor"],
    ];
    for command in commands {
        let output = home.run(&[&["--json"], command].concat());
        let json: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{command:?}: {error}"));
        one_style(&json, &format!("{command:?}"));
    }
    let credits: Value = serde_json::from_str(&home.ok(&["--json", "accounts", "credits", "list", email])).unwrap();
    assert!(credits["credits"][0]["expires_at"].is_number() && credits["next_expires_at"].is_number(), "{credits}");
}

/// Panics when a name has capitals or a text is a date.
fn one_style(json: &Value, place: &str) {
    match json {
        Value::Object(members) => {
            for (name, value) in members {
                assert!(!name.contains(|letter: char| letter.is_ascii_uppercase()), "{place}: {name}");
                one_style(value, &format!("{place}.{name}"));
            }
        }
        Value::Array(values) => values.iter().for_each(|value| one_style(value, place)),
        Value::String(text) => {
            let date = text.len() >= 20 && matches!((text.as_bytes()[4], text.as_bytes()[10]), (b'-', b'T'));
            assert!(!date, "{place}: {text}");
        }
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cause_is_printed_once() {
    let (_backend, home) = home().await;
    std::fs::create_dir_all(home.path()).unwrap();
    std::fs::create_dir(home.path().join("config.toml")).unwrap();
    let output_text = stderr(&home.run(&["keys", "list"]));
    assert_eq!(output_text.matches("os error").count(), 1, "{output_text}");
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
    // A gateway that has ended has written its whole log.
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let log = stderr(&child.wait_with_output().unwrap());
    assert!(log.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{log}");
    assert!(log.contains("polygate login"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_names_the_next_step() {
    let (backend, home) = home().await;
    let home = home.with("POLYGATE_SERVER__API_KEY", "");
    let output_text = |home: &Home| {
        let gateway = home.serve(&[]);
        (gateway.port, gateway.end())
    };
    let (_, empty) = output_text(&home);
    assert!(empty.contains("polygate login") && empty.contains("polygate keys create"), "{empty}");
    home.import(&backend.account("plus"));
    home.ok(&["keys", "create"]);
    let (port, ready) = output_text(&home);
    assert!(ready.contains(&format!("http://127.0.0.1:{port}/v1")), "{ready}");
    let weak = Home::new(&backend).with("POLYGATE_SERVER__API_KEY", "x");
    assert!(output_text(&weak).1.contains("server.api_key has fewer than 24 characters"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_settings_for_codex_name_the_port_of_the_settings() {
    let (_backend, home) = home().await;
    let folder = home.dir.path().join("codex");
    let args = ["keys", "create", "--codex-home", folder.to_str().unwrap()];
    let output = home.command(&args).env("POLYGATE_SERVER__PORT", "9123").output().unwrap();
    let output_text = stderr(&output);
    assert!(
        output.status.success() && output_text.contains("http://127.0.0.1:9123/backend-api/codex"),
        "{output_text}"
    );
    assert!(!output_text.contains("8080"), "{output_text}");
}

/// Each finding names its reason and its correction.
#[tokio::test(flavor = "multi_thread")]
async fn doctor_speaks_of_the_store_the_file_and_relays() {
    let (backend, home) = home().await;
    let empty = home.run(&["doctor", "--offline"]);
    let output_text = String::from_utf8_lossy(&empty.stdout).into_owned();
    assert!(output_text.contains("settings file: none (") && output_text.contains("relays: 0"), "{output_text}");
    home.ok(&["keys", "create"]);
    let url = format!("{}/relay/chat/v1", backend.auth_url());
    let rows = format!(
        "[[relays]]\nname = \"good\"\nbase_url = \"{url}\"\n[[relays]]\nname = \"keyless\"\nbase_url = \"{url}\"\napi_key_file = \"/nowhere\"\n"
    );
    std::fs::write(home.path().join("config.toml"), rows).unwrap();
    let output_text = String::from_utf8_lossy(&home.run(&["doctor", "--offline"]).stdout).into_owned();
    assert!(
        output_text.contains("FAIL  relay: keyless is not used")
            && output_text.contains("accounts: none; relays serve"),
        "{output_text}"
    );
    std::fs::write(home.path().join("accounts.db"), "no database at all").unwrap();
    let output_text = String::from_utf8_lossy(&home.run(&["doctor", "--offline"]).stdout).into_owned();
    assert!(
        output_text.contains("FAIL  store")
            && output_text.contains("restore a backup")
            && !output_text.contains("see the reason"),
        "{output_text}"
    );
}

/// Read-only commands create nothing, not even the home that they would read.
#[rstest]
#[case(&["keys", "list"])]
#[case(&["accounts", "list"])]
#[case(&["relays", "list"])]
#[case(&["proxies", "list"])]
#[case(&["doctor", "--offline"])]
#[case(&["config", "show"])]
#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_command_creates_no_home(#[case] args: &[&str]) {
    let (_backend, home) = home().await;
    let _ = std::fs::remove_dir_all(home.path());
    // Another program uses the port: doctor looks for a gateway of this home, which needs a home.
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = home.command(args).env("POLYGATE_SERVER__PORT", port).output().unwrap();
    assert!(output.status.success() || args[0] == "doctor", "{}", stderr(&output));
    assert!(!home.path().exists());
}

/// A wrong relay of the file does not stop the commands that need no relays.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_relay_of_the_file_stops_serve_only() {
    let (backend, home) = home().await;
    let url = format!("{}/relay/chat/v1", backend.auth_url());
    std::fs::create_dir_all(home.path()).unwrap();
    let rows = format!("[[relays]]\nname = \"good\"\nbase_url = \"{url}\"\n[[relays]]\nname = \"far\"\n");
    std::fs::write(home.path().join("config.toml"), rows).unwrap();
    let wrong = "relay 2 (far) of the file: base_url";
    home.import(&backend.account("plus"));
    for (args, code) in
        [(&["keys", "list"][..], 0), (&["relays", "list"], 0), (&["config", "show"], 2), (&["serve", "--port", "0"], 2)]
    {
        let output = home.run(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(wrong), "{args:?}: {}", stderr(&output));
    }
    let shown = String::from_utf8_lossy(&home.run(&["config", "show"]).stdout).into_owned();
    assert!(shown.contains("server.port") && shown.contains("relays.good.base_url"), "{shown}");
    let output_text = String::from_utf8_lossy(&home.run(&["doctor", "--offline"]).stdout).into_owned();
    assert!(output_text.contains(wrong) && output_text.contains("store: opens"), "{output_text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_that_is_no_text_is_refused() {
    let (_backend, home) = home().await;
    std::fs::create_dir_all(home.path()).unwrap();
    std::fs::write(home.path().join("config.toml"), "[model.aliases]\nquick = 7\n").unwrap();
    let output = home.run(&["keys", "list"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("model.aliases.quick"), "{}", stderr(&output));
}

/// A model list that needs no key does not show whether a key is valid.
#[tokio::test(flavor = "multi_thread")]
async fn testing_a_relay_says_whether_its_key_was_checked() {
    let (backend, home) = home().await;
    let relay = open_relay().await;
    home.ok(&["relays", "add", "--name", "open", "--base-url", &relay, "--format", "chat", "--api-key", "sk-any"]);
    let url = format!("{}/relay/chat/v1", backend.auth_url());
    home.ok(&["relays", "add", "--name", "closed", "--base-url", &url, "--api-key", "sk-offline-relay"]);
    for (name, checked) in [("open", false), ("closed", true)] {
        let tested: Value = serde_json::from_str(&home.ok(&["--json", "relays", "test", name])).unwrap();
        assert_eq!((&tested["ok"], &tested["key_checked"]), (&Value::Bool(true), &Value::Bool(checked)), "{tested}");
    }
    let output = home.run(&["relays", "test", "open"]);
    assert!(stderr(&output).contains("does not check the key"), "{}", stderr(&output));
}

/// A service that lists its models without a key.
async fn open_relay() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let answer = hyper::service::service_fn(|_| async {
                let body = http_body_util::Full::new(bytes::Bytes::from(
                    r#"{"object":"list","data":[{"id":"m","object":"model"}]}"#,
                ));
                Ok::<_, std::convert::Infallible>(
                    http::Response::builder().header("content-type", "application/json").body(body).unwrap(),
                )
            });
            let socket = hyper_util::rt::TokioIo::new(socket);
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(socket, answer));
        }
    });
    format!("http://{address}/v1")
}

/// A gateway with the usual log level logs the failure of an upstream.
#[tokio::test(flavor = "multi_thread")]
async fn a_failure_of_an_upstream_is_logged() {
    let (_backend, home) = home().await;
    let home = home.logging_warnings();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let gone = format!("http://127.0.0.1:{port}/v1");
    home.ok(&["relays", "add", "--name", "gone", "--base-url", &gone, "--format", "chat", "--models", "m"]);
    let gateway = home.serve(&[]);
    let ask = async |at: usize| {
        let body = format!(r#"{{"model":"gone:m","messages":[{{"role":"user","content":"canary {at}"}}]}}"#);
        gateway.send(gateway.request("POST", "/v1/chat/completions", common::KEY, &body)).await.unwrap()
    };
    let answer = ask(0).await;
    assert_eq!(answer.status, 502, "{}", answer.body);
    for at in 1..10 {
        ask(at).await;
    }
    let log = gateway.end();
    let id = answer.headers["x-request-id"].to_str().unwrap();
    assert!(log.contains(id) && log.contains("failed upstream") && !log.contains("canary"), "{log}");
    // The log names the upstream's address; the client does not see it.
    assert!(log.contains("127.0.0.1") && log.contains(&format!("port={port}")), "{log}");
    assert!(!answer.body.contains(&port.to_string()), "{}", answer.body);
    // The log names a relay as a relay, and not as an account.
    assert!(log.contains("left alone for a while relay=\"gone\"") && !log.contains("account="), "{log}");
}
