//! The command line, as people and scripts use it.

#![allow(clippy::unwrap_used, reason = "a failing step of a test must end it")]

mod common;

use common::{Home, KEY};
use offline::{Offline, Options};
use serde_json::{Value, json};

async fn backend() -> offline::Running {
    Offline::start(Options::default()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_made_listed_and_revoked_while_a_gateway_runs() {
    let backend = backend().await;
    let home = Home::new(&backend);
    home.import(&backend.account("plus"));
    let gateway = home.serve(&[]);
    let made: Value = serde_json::from_str(&home.ok(&["--json", "keys", "create", "--name", "laptop"])).unwrap();
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    assert!(key.starts_with("pgk_"));

    let models = || async { gateway.send(gateway.request("GET", "/v1/models", key, "")).await.unwrap().status };
    until(|| async { models().await == 200 }).await;

    let listed = home.ok(&["--json", "keys", "list"]);
    assert!(listed.contains("laptop") && !listed.contains(key), "{listed}");
    // The hosted tools that Polygate adds to requests with this key.
    let tools = || {
        let keys: Vec<Value> = serde_json::from_str(&home.ok(&["--json", "keys", "list"])).unwrap();
        keys.iter().find(|key| key["id"] == id).unwrap()["default_tools"].clone()
    };
    assert_eq!(tools(), Value::Null);
    for (list, stored) in [("web_search", json!(["web_search"])), ("none", json!([])), ("inherit", Value::Null)] {
        home.ok(&["keys", "tools", id, list]);
        assert_eq!(tools(), stored, "{list}");
    }
    assert_eq!(home.run(&["keys", "tools", id, "telephone"]).status.code(), Some(2));
    assert_eq!(home.run(&["keys", "tools", "nothing", "none"]).status.code(), Some(1));
    home.ok(&["keys", "revoke", id]);
    until(|| async { models().await == 401 }).await;
    assert_eq!(home.run(&["keys", "revoke", "nothing"]).status.code(), Some(1));
}

/// Codex would send the access token of the file that the command wrote.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_can_be_codexs_login() {
    let backend = backend().await;
    let home = Home::new(&backend);
    home.import(&backend.account("plus"));
    let gateway = home.serve(&[]);
    let folder = home.path().join("codex");
    let codex = folder.to_str().unwrap();
    let made: Value = serde_json::from_str(&home.ok(&["--json", "keys", "create", "--codex-home", codex])).unwrap();
    let file = folder.join("auth.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let login: Value = serde_json::from_str(&text).unwrap();
    let token = login["tokens"]["access_token"].as_str().unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&file)), (0o700, 0o600));
    }
    let usage =
        || async { gateway.send(gateway.request("GET", "/backend-api/wham/usage", token, "")).await.unwrap().status };
    until(|| async { usage().await == 200 }).await;
    // An existing file is a login and stays, and no key is created.
    let keys = home.ok(&["--json", "keys", "list"]);
    assert_eq!(home.run(&["keys", "create", "--codex-home", codex]).status.code(), Some(1));
    assert_eq!((std::fs::read_to_string(&file).unwrap(), home.ok(&["--json", "keys", "list"])), (text, keys));
    home.ok(&["keys", "revoke", made["id"].as_str().unwrap()]);
    until(|| async { usage().await == 401 }).await;
    // When the file cannot be written, no working key stays behind.
    #[cfg(unix)]
    {
        std::fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink(home.path().join("nowhere/auth.json"), &file).unwrap();
        let failed = home.run(&["keys", "create", "--codex-home", codex, "--name", "lost"]);
        assert_eq!(failed.status.code(), Some(1));
        let keys: Vec<Value> = serde_json::from_str(&home.ok(&["--json", "keys", "list"])).unwrap();
        let lost = keys.iter().find(|key| key["name"] == "lost").unwrap();
        assert!(lost["revoked"].is_number(), "{lost}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_gateway_sees_an_imported_account() {
    let backend = backend().await;
    let home = Home::new(&backend);
    let gateway = home.serve(&[]);
    let none = gateway.chat("Reply with exactly: pong").await.unwrap();
    assert_eq!(none.status, 503, "{}", none.body);
    assert!(none.body.contains("polygate login"), "{}", none.body);

    let accounts = [backend.account("plus"), backend.account("pro")];
    for account in &accounts {
        home.import(account);
    }
    home.import(&accounts[0]);
    let listed: Value = serde_json::from_str(&home.ok(&["--json", "accounts", "list"])).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 2, "the same login twice is one account");
    until(|| async { gateway.chat("Reply with exactly: pong").await.unwrap().status == 200 }).await;

    for account in &accounts {
        home.ok(&["accounts", "remove", &account.email]);
    }
    until(|| async { gateway.chat("Reply with exactly: pong").await.unwrap().status == 503 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_side_wants_an_admin_token() {
    let backend = backend().await;
    let home = Home::new(&backend);
    home.import(&backend.account("plus"));
    let gateway = home.serve(&[]);
    let token = home.ok(&["admin", "token"]);
    let token = token.trim();
    assert!(token.starts_with("pga_"));
    let accounts = |key: String| {
        let gateway = &gateway;
        async move { gateway.send(gateway.request("GET", "/admin/accounts", &key, "")).await.unwrap() }
    };
    until(|| async { accounts(token.to_owned()).await.status == 200 }).await;
    assert_eq!(accounts(KEY.to_owned()).await.status, 403);
    let body = accounts(token.to_owned()).await.body;
    assert!(body.contains("example.test") && !body.contains("rt_"), "{body}");

    let wish = r#"{"name":"from the API"}"#;
    let made = gateway.send(gateway.request("POST", "/admin/keys", token, wish)).await.unwrap();
    assert!(made.status == 200 || made.status == 201, "{} {}", made.status, made.body);
    assert!(made.body.contains("pgk_"));
    let id = serde_json::from_str::<Value>(&made.body).unwrap()["id"].as_str().unwrap().to_owned();
    let change = async |key: &str, body: &str| {
        let path = format!("/admin/keys/{key}");
        gateway.send(gateway.request("PATCH", &path, token, body)).await.unwrap().status
    };
    let rows = [
        (id.as_str(), r#"{"default_tools":["image_generation","web_search","web_search"]}"#, 204),
        (id.as_str(), r#"{"default_tools":["telephone"]}"#, 400),
        (id.as_str(), "{}", 400),
        ("nobody", r#"{"default_tools":null}"#, 404),
    ];
    for (key, body, status) in rows {
        assert_eq!(change(key, body).await, status, "{body}");
    }
    let listed = gateway.send(gateway.request("GET", "/admin/keys", token, "")).await.unwrap().body;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let own = listed["keys"].as_array().unwrap().iter().find(|key| key["id"] == id.as_str()).unwrap();
    assert_eq!(own["default_tools"], json!(["web_search", "image_generation"]));
    let reader = home.ok(&["admin", "token", "--scopes", "read"]);
    until(|| async { accounts(reader.trim().to_owned()).await.status == 200 }).await;
    let refused = gateway.send(gateway.request("POST", "/admin/keys", reader.trim(), wish)).await.unwrap();
    assert_eq!(refused.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ollama_listener_is_opened_when_it_is_wanted() {
    let backend = backend().await;
    let home = Home::new(&backend);
    home.import(&backend.account("plus"));
    let mut gateway = home.serve(&[("OLLAMA_BRIDGE_ENABLED", "true"), ("POLYGATE_OLLAMA__PORT", "0")]);
    let token = home.ok(&["admin", "token"]);
    let status = async || {
        let asked = gateway.request("GET", "/admin/ollama-status", token.trim(), "");
        gateway.send(asked).await.unwrap()
    };
    until(|| async { status().await.status == 200 }).await;
    let status: Value = serde_json::from_str(&status().await.body).unwrap();
    assert_eq!((&status["running"], &status["host"]), (&Value::Bool(true), &Value::from("127.0.0.1")));
    gateway.port = status["port"].as_u64().unwrap().try_into().unwrap();
    let body = r#"{"model":"claude-haiku-4-5","stream":false,"prompt":"Reply with exactly: pong"}"#;
    let answer = gateway.send(gateway.request("POST", "/api/generate", "ollama", body)).await.unwrap();
    assert!(answer.status == 200 && answer.body.contains("\"response\":\"pong\""), "{}", answer.body);
    assert_eq!(answer.headers["x-polygate-model"], "gpt-6-luna", "a shipped alias");

    let other = Home::new(&backend);
    let public = [("POLYGATE_OLLAMA__ENABLED", "true"), ("POLYGATE_OLLAMA__HOST", "0.0.0.0")];
    let refused = other.command(&["serve", "--port", "0"]).envs(public).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let output_text = String::from_utf8_lossy(&refused.stderr);
    assert!(output_text.contains("ollama.allow_remote"), "{output_text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_show_their_origin_and_no_secret() {
    let backend = backend().await;
    let home = Home::new(&backend);
    let shown = home.ok(&["config", "show", "--origin"]);
    assert!(shown.contains("server.api_key = \"***\"  # env POLYGATE_SERVER__API_KEY"), "{shown}");
    assert!(shown.contains("# server.port = 8080  # default") && !shown.contains(KEY));
    // Settings that are set come before the defaults, and each value has its type.
    let env = [("POLYGATE_SERVER__PORT", "9000"), ("POLYGATE_SERVER__ALLOWED_HOSTS", "a.test, b.test")];
    let shown = home.command(&["config", "show"]).envs(env).output().unwrap().stdout;
    let shown = String::from_utf8(shown).unwrap();
    let (own, defaults) = shown.split_once("# Not set by you:").unwrap();
    assert!(own.contains("\nserver.port = 9000\n"), "{shown}");
    assert!(own.contains("\nserver.allowed_hosts = [\"a.test\", \"b.test\"]\n") && !own.contains("quota."), "{shown}");
    assert!(defaults.contains("\n# server.require_key = true\n"), "{shown}");
    assert!(defaults.contains("\n# quota.warn_primary = [80, 95]\n"), "{shown}");
    let rows = home.command(&["--json", "config", "show"]).envs(env).output().unwrap().stdout;
    let rows: serde_json::Value = serde_json::from_slice(&rows).unwrap();
    let row = |key: &str| rows.as_array().unwrap().iter().find(|row| row["key"] == key).unwrap().clone();
    assert_eq!((&row("server.port")["value"], &row("server.port")["own"]), (&9000.into(), &true.into()));
    assert_eq!((&row("server.require_key")["value"], &row("server.require_key")["own"]), (&true.into(), &false.into()));
    assert_eq!(row("server.drain_delay")["value"], serde_json::Value::Null);
    let wrong = home.command(&["config", "show"]).env("POLYGATE_SERVER__PORT", "many").output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("server.port"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_address_wants_a_real_key() {
    let backend = backend().await;
    let home = Home::new(&backend);
    let refused = home
        .command(&["serve", "--host", "0.0.0.0", "--port", "0", "--allow-plain-http"])
        .env("POLYGATE_SERVER__API_KEY", "changeme")
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let output_text = String::from_utf8_lossy(&refused.stderr);
    assert!(output_text.contains("key"), "{output_text}");
    let plain = home.run(&["serve", "--host", "0.0.0.0", "--port", "0"]);
    assert_eq!(plain.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&plain.stderr).contains("allow"), "{}", String::from_utf8_lossy(&plain.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_gateway_on_the_same_home_is_refused() {
    let backend = backend().await;
    let home = Home::new(&backend);
    let gateway = home.serve(&[]);
    let second = home.run(&["serve", "--port", "0"]);
    assert_eq!(second.status.code(), Some(1));
    gateway.kill();
    // The kernel releases the lock of a killed process.
    assert!(home.serve(&[]).terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_names_what_fixes_each_finding() {
    let backend = backend().await;
    let home = Home::new(&backend);
    let empty = home.run(&["doctor", "--json"]);
    assert_eq!(empty.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&empty.stdout).contains("polygate login"));
    home.import(&backend.account("plus"));
    let port = ("POLYGATE_SERVER__PORT", "0");
    let fine = home.command(&["doctor"]).env(port.0, port.1).output().unwrap();
    assert!(fine.status.success(), "{}", String::from_utf8_lossy(&fine.stdout));
    let listed: Value = serde_json::from_str(&home.ok(&["--json", "accounts", "list"])).unwrap();
    let id = listed[0]["id"].as_str().unwrap();
    home.ok(&["accounts", "disable", id]);
    let off = home.command(&["doctor"]).env(port.0, port.1).output().unwrap();
    let output_text = String::from_utf8_lossy(&off.stdout).into_owned();
    assert!(
        output_text.contains("is disabled") && output_text.contains(&format!("polygate accounts enable {id}")),
        "{output_text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_imports_change_nothing() {
    let backend = backend().await;
    let home = Home::new(&backend);
    let file = home.dir.path().join("auth.json");
    let broken = [
        "",
        "{",
        "[]",
        "{}",
        r#"{"tokens":{"access_token":"x"}}"#,
        r#"{"auth_mode":"apikey","OPENAI_API_KEY":"sk-canary"}"#,
    ];
    for text in broken {
        std::fs::write(&file, text).unwrap();
        let refused = home.run(&["login", "--import", file.to_str().unwrap()]);
        assert_eq!(refused.status.code(), Some(1), "{text}");
        let output_text = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!output_text.contains("sk-canary") && !output_text.contains("panicked"), "{output_text}");
    }
    let listed: Value = serde_json::from_str(&home.ok(&["--json", "accounts", "list"])).unwrap();
    assert_eq!(listed, Value::Array(Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_taken_from_standard_input() {
    let backend = backend().await;
    let home = Home::new(&backend);
    for (token, refreshable) in [(backend.account("plus").access, false), (backend.account("pro").refresh, true)] {
        let file = home.dir.path().join("token");
        std::fs::write(&file, &token).unwrap();
        let output =
            home.command(&["login", "--token", "-"]).stdin(std::fs::File::open(&file).unwrap()).output().unwrap();
        assert!(output.status.success(), "refreshable {refreshable}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(!String::from_utf8_lossy(&output.stdout).contains(&token));
    }
    assert_eq!(backend.record().refreshes.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_login_adds_an_account() {
    let backend = Offline::start(Options { device_interval: 0, ..Options::default() }).await.unwrap();
    let home = Home::new(&backend);
    let output = home.run(&["login", "--device"]);
    let output_text = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && output_text.contains("valid for 15 minutes") && output_text.contains("Waiting"),
        "{output_text}"
    );
    let listed: Value = serde_json::from_str(&home.ok(&["--json", "accounts", "list"])).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 1);
}

#[test]
fn static_output_needs_no_environment() {
    for args in [&["completions", "bash"][..], &["admin", "openapi"], &["--help"], &["--version"]] {
        let output =
            std::process::Command::new(env!("CARGO_BIN_EXE_polygate")).args(args).env_clear().output().unwrap();
        assert!(output.status.success() && !output.stdout.is_empty(), "{args:?}");
    }
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
