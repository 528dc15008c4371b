//! `relays` and the `[[relays]]` tables of the file, as people and scripts use them.

#![allow(clippy::unwrap_used, reason = "a failing step of a test must end it")]

mod common;

use std::fmt::Write;
use std::process::{Output, Stdio};

use common::{Gateway, Home, KEY, files};
use offline::{Endpoint, Offline, Options, Plan, Rule};
use serde_json::{Value, json};

/// A key that the backend's relays accept, and that no output may contain.
const CANARY: &str = "sk-offline-canary-4711-not-to-be-seen";
const MODEL: &str = "llama-4-scout";

async fn backend() -> offline::Running {
    Offline::start(Options::default()).await.unwrap()
}

fn url(backend: &offline::Running) -> String {
    format!("{}/relay/chat/v1", backend.auth_url())
}

/// Runs a command with `input` on its standard input.
fn fed(home: &Home, args: &[&str], input: &str) -> Output {
    let file = home.dir.path().join("input");
    std::fs::write(&file, input).unwrap();
    home.command(args).stdin(Stdio::from(std::fs::File::open(&file).unwrap())).output().unwrap()
}

fn add(home: &Home, backend: &offline::Running, name: &str, more: &[&str]) -> Value {
    let url = url(backend);
    let mut args = vec!["--json", "relays", "add", "--name", name, "--base-url", &url, "--api-key", "-"];
    args.extend(more);
    let output = fed(home, &args, &format!("{CANARY}\n"));
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn list(home: &Home) -> Vec<Value> {
    serde_json::from_str(&home.ok(&["--json", "relays", "list"])).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The status of a chat request to `model`.
async fn ask(gateway: &Gateway, model: &str) -> u16 {
    let body = json!({"model": model, "messages": [{"role": "user", "content": "Reply with exactly: pong"}]});
    let request = gateway.request("POST", "/v1/chat/completions", KEY, &body.to_string());
    gateway.send(request).await.unwrap().status
}

/// Polls a condition that another process must bring about.
async fn until<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let wait = async {
        while !condition().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(15), wait)
        .await
        .unwrap_or_else(|_| panic!("not in time: {what}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_is_added_tested_used_and_removed_while_a_gateway_runs() {
    let backend = backend().await;
    let home = Home::new(&backend);
    let gateway = home.serve(&[]);
    let added = add(&home, &backend, "local", &[]);
    assert_eq!((&added["format"], &added["allow_private"]), (&json!("chat"), &json!(true)));
    assert!(added["listed"].as_u64().unwrap() > 3, "{added}");
    until("the relay", || async { ask(&gateway, &format!("local:{MODEL}")).await == 200 }).await;
    until("its list", || async { ask(&gateway, MODEL).await == 200 }).await;
    let listed = list(&home);
    assert_eq!((listed.len(), &listed[0]["name"], &listed[0]["origin"]), (1, &json!("local"), &json!("store")));
    assert!(listed[0]["listed"].as_u64().unwrap() > 3, "the gateway keeps its list: {}", listed[0]);
    assert!(home.ok(&["relays", "list"]).contains("(private)"));
    assert!(home.ok(&["relays", "test", "local"]).contains("models"));
    let twice =
        fed(&home, &["relays", "add", "--name", "local", "--base-url", &url(&backend), "--api-key", "-"], CANARY);
    assert_eq!(twice.status.code(), Some(1));
    home.ok(&["relays", "remove", "local"]);
    until("its end", || async { ask(&gateway, &format!("local:{MODEL}")).await == 404 }).await;
    assert_eq!(home.run(&["relays", "remove", "local"]).status.code(), Some(1));
    assert_eq!(home.run(&["relays", "test", "local"]).status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_come_from_the_environment_and_from_files_too() {
    let backend = backend().await;
    let home = Home::new(&backend);
    let file = home.dir.path().join("key");
    std::fs::write(&file, format!("  {CANARY}\n")).unwrap();
    let url = url(&backend);
    for (name, variable, value) in
        [("env", "POLYGATE_RELAY_API_KEY", CANARY), ("file", "POLYGATE_RELAY_API_KEY_FILE", file.to_str().unwrap())]
    {
        let args = ["relays", "add", "--name", name, "--base-url", &url];
        let output = home.command(&args).env(variable, value).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains("allow_private") && text(&output.stdout).contains("models"));
        assert!(home.ok(&["relays", "test", name]).contains("answers"));
    }
    // A wrong key is stored, and the command reports it.
    let wrong = fed(&home, &["relays", "add", "--base-url", &url, "--name", "wrong", "--api-key", "-"], "sk-no");
    assert!(wrong.status.success() && text(&wrong.stderr).contains("key is refused"), "{}", text(&wrong.stderr));
    let tested = home.run(&["--json", "relays", "test", "wrong"]);
    assert_eq!(tested.status.code(), Some(1));
    assert_eq!(serde_json::from_slice::<Value>(&tested.stdout).unwrap()["ok"], false);
    // The key as an argument, without name and format: the command asks the service for its protocol.
    let bare = home.run(&[
        "relays",
        "add",
        "--base-url",
        &format!("{}/relay/gemini", backend.auth_url()),
        "--api-key",
        CANARY,
    ]);
    assert!(bare.status.success(), "{}", text(&bare.stderr));
    assert!(text(&bare.stdout).contains("gemini"), "{}", text(&bare.stdout));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_a_relay_is_refused() {
    let backend = backend().await;
    let home = Home::new(&backend);
    let rows: [(&[&str], i32, &str); 9] = [
        (&["--base-url", "http://169.254.169.254/v1"], 1, "metadata"),
        (&["--base-url", "http://[fd00:ec2::254]/v1"], 1, "metadata"),
        (&["--base-url", "http://localhost:8080/v1"], 1, "this gateway itself"),
        (&["--base-url", "http://u:p@localhost/v1"], 1, "user name"),
        (&["--base-url", "file:///etc/passwd"], 1, "http"),
        (&["--base-url", "https://localhost:22/v1"], 1, "port"),
        (&["--base-url", "https://example.com/v1", "--name", "No Name"], 1, "name"),
        (&["--base-url", "https://example.com/v1", "--format", "pigeon"], 2, "chat, responses"),
        (&["--base-url", "https://example.com/v1", "--capabilities", "flying"], 2, "capability"),
    ];
    for (more, code, expected) in rows {
        let mut args = vec!["relays", "add", "--api-key", CANARY];
        args.extend(more);
        let output = home.run(&args);
        let output_text = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{more:?} {output_text}");
        assert!(output_text.contains(expected) && !output_text.contains("canary"), "{more:?} {output_text}");
    }
    assert!(list(&home).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn relays_of_the_file_are_read_shown_and_followed() {
    let backend = backend().await;
    let home = Home::new(&backend);
    std::fs::create_dir_all(home.path()).unwrap();
    let config = home.path().join("config.toml");
    std::fs::write(home.path().join("relay.key"), CANARY).unwrap();
    let table =
        |name: &str, more: &str| format!("[[relays]]\nname = \"{name}\"\nbase_url = \"{}\"\n{more}\n", url(&backend));
    let first = table("one", &format!("api_key_file = \"relay.key\"\nmodels = [\"{MODEL}\"]\nprefix = \"one/\""));
    std::fs::write(&config, &first).unwrap();
    let gateway = home.serve(&[]);
    until("the relay of the file", || async { ask(&gateway, &format!("one/{MODEL}")).await == 200 }).await;
    let listed = list(&home);
    assert_eq!((&listed[0]["origin"], &listed[0]["allow_private"]), (&json!("file"), &json!(true)));
    let shown = home.ok(&["config", "show", "--origin"]);
    assert!(shown.contains("relays.one.base_url") && shown.contains("# file relays[0]"), "{shown}");
    assert!(home.ok(&["relays", "test", "one"]).contains("models"));
    let removed = home.run(&["relays", "remove", "one"]);
    assert!(removed.status.code() == Some(1) && text(&removed.stderr).contains("config.toml"));

    // A second relay is added, then a mistake changes nothing, then the first relay is removed.
    let second = table("two", &format!("api_key = \"{CANARY}\"\nmodels = \"{MODEL}\""));
    std::fs::write(&config, format!("{first}{second}")).unwrap();
    until("the second", || async { ask(&gateway, &format!("two:{MODEL}")).await == 200 }).await;
    std::fs::write(&config, format!("{first}{second}weight = 0\n")).unwrap();
    until("the mistake is said", || async { gateway.log.text().contains("its relays stay as they were") }).await;
    assert_eq!(ask(&gateway, &format!("one/{MODEL}")).await, 200);
    let listed = home.run(&["relays", "list"]);
    assert!(
        listed.status.success() && text(&listed.stderr).contains("relay 2 (two) of the file: weight is not"),
        "{listed:?}"
    );
    assert!(text(&listed.stdout).contains("one") && !text(&listed.stderr).contains(CANARY), "{listed:?}");
    std::fs::write(&config, &second).unwrap();
    until("the end of the first", || async { ask(&gateway, &format!("one/{MODEL}")).await == 404 }).await;
    assert_eq!(ask(&gateway, &format!("two:{MODEL}")).await, 200);
    assert!(!gateway.log.text().contains("canary"));
}

/// Rows and routes of models that name a relay that does not exist: the gateway logs each such relay once, at the start.
#[tokio::test(flavor = "multi_thread")]
async fn unknown_relays_of_models_are_logged() {
    let backend = backend().await;
    let home = Home::new(&backend).logging_warnings();
    add(&home, &backend, "stored", &[]);
    let file = format!(
        "[model.routing]\n\"a-*\" = \"filed\"\n\"b\" = \"stored\"\n\"c\" = \"codex\"\n\"d\" = \"lost\"\n\"e\" = \"lost\"\n\
         [[model.custom]]\nid = \"stored:m\"\n[[model.custom]]\nid = \"gone:m\"\n[[model.custom]]\nid = \"plain\"\n\
         [[relays]]\nname = \"filed\"\nbase_url = \"{}\"\napi_key = \"{CANARY}\"\n",
        url(&backend)
    );
    std::fs::write(home.path().join("config.toml"), file).unwrap();
    let gateway = home.serve(&[]);
    let warned = || {
        let log = gateway.log.text();
        let named =
            log.lines().filter_map(|line| line.split_once("name the relay ")?.1.split_once(", which does not exist"));
        named.map(|(name, _)| name.to_owned()).collect::<Vec<_>>()
    };
    until("two warnings", || async { warned().len() == 2 }).await;
    assert_eq!(warned(), ["gone", "lost"]);
    assert_eq!(ask(&gateway, "d").await, 404);
    assert_eq!(warned().len(), 2, "not again when it is asked for");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_replaced() {
    let backend = backend().await;
    let home = Home::new(&backend);
    let gateway = home.serve(&[]);
    let args = ["relays", "add", "--name", "local", "--base-url", &url(&backend), "--models", MODEL, "--api-key", "-"];
    assert!(fed(&home, &args, "sk-no-longer-good").status.success());
    until("the refusal", || async { ask(&gateway, MODEL).await == 503 && list(&home)[0]["status"] == "key_refused" })
        .await;
    let none = home.run(&["relays", "key", "local"]);
    assert!(none.status.code() == Some(1) && text(&none.stderr).contains("--api-key -"), "{}", text(&none.stderr));
    let wrong = fed(&home, &["relays", "key", "local", "--api-key", "-"], "sk-another-wrong-one");
    assert!(wrong.status.success() && text(&wrong.stderr).contains("key is refused"), "{}", text(&wrong.stderr));
    let good = fed(&home, &["--json", "relays", "key", "local", "--api-key", "-"], CANARY);
    let output_text: Value = serde_json::from_slice(&good.stdout).unwrap();
    assert!(
        output_text["name"] == "local" && output_text["listed"].as_u64() > Some(3) && good.stderr.is_empty(),
        "{output_text}"
    );
    until("the new key", || async { ask(&gateway, MODEL).await == 200 }).await;
    assert_eq!(list(&home)[0]["status"], "active");
    assert_eq!(home.run(&["relays", "key", "nobody", "--api-key", "x"]).status.code(), Some(1));
}

/// The error of a wrong relay of the file names that relay, and a stored relay that the file hides can be removed.
#[tokio::test(flavor = "multi_thread")]
async fn one_wrong_relay_of_the_file_leaves_the_others() {
    let backend = backend().await;
    let home = Home::new(&backend);
    let id = add(&home, &backend, "twice", &["--models", MODEL])["id"].as_str().unwrap().to_owned();
    let table = |name: &str, more: &str| {
        format!("[[relays]]\nname = \"{name}\"\nmodels = \"{MODEL}\"\nbase_url = \"{}\"\n{more}\n", url(&backend))
    };
    let good = table("twice", &format!("api_key = \"{CANARY}\""));
    let config = home.path().join("config.toml");
    std::fs::write(&config, format!("{good}{}", table("lost", "api_key_file = \"gone.key\""))).unwrap();
    let listed = list(&home);
    let states: Vec<_> = listed.iter().map(|relay| (&relay["name"], &relay["origin"], &relay["status"])).collect();
    let row = |name: &str, origin: &str, status: &str| (json!(name), json!(origin), json!(status));
    let expected = [row("twice", "file", "active"), row("twice", "store", "hidden"), row("lost", "file", "left_out")];
    assert!(states.into_iter().eq(expected.iter().map(|(name, origin, status)| (name, origin, status))), "{listed:?}");
    assert!(listed[2]["why"].as_str().unwrap().contains("gone.key"), "{}", listed[2]);
    let shown = home.ok(&["relays", "list"]);
    assert!(
        shown.contains("not used: its key: cannot read")
            && shown.contains("not used: the file has a relay of this name"),
        "{shown}"
    );
    let lost = home.run(&["relays", "test", "lost"]);
    assert!(lost.status.code() == Some(1) && text(&lost.stderr).contains("gone.key"), "{}", text(&lost.stderr));
    for relay in ["twice", id.as_str()] {
        assert!(home.ok(&["relays", "test", relay]).contains("models"), "{relay}");
    }
    home.ok(&["relays", "remove", "twice"]);
    let both = [["relays", "remove", "twice"], ["relays", "remove", "lost"]];
    for args in both {
        let refused = home.run(&args);
        assert!(refused.status.code() == Some(1) && text(&refused.stderr).contains("config.toml"), "{args:?}");
    }
    assert_eq!(list(&home).len(), 2);
}

/// Only the gateway's memory has the state of a relay of the file; other commands show the state that the gateway stored.
#[tokio::test(flavor = "multi_thread")]
async fn commands_show_a_refused_key_of_the_file() {
    let backend = backend().await;
    let home = Home::new(&backend);
    std::fs::create_dir_all(home.path()).unwrap();
    let table = |key: &str| {
        let url = url(&backend);
        format!("[[relays]]\nname = \"filed\"\nmodels = \"{MODEL}\"\nbase_url = \"{url}\"\napi_key = \"{key}\"\n")
    };
    let config = home.path().join("config.toml");
    std::fs::write(&config, table("sk-not-a-good-one")).unwrap();
    let gateway = home.serve(&[]);
    until("the refusal", || async { ask(&gateway, MODEL).await == 503 && list(&home)[0]["status"] == "key_refused" })
        .await;
    let output_text = text(&home.run(&["doctor", "--offline"]).stdout);
    assert!(output_text.contains("FAIL  relay: filed") && output_text.contains("correct its key in"), "{output_text}");
    std::fs::write(&config, table(CANARY)).unwrap();
    until("the new key", || async { ask(&gateway, MODEL).await == 200 && list(&home)[0]["status"] == "active" }).await;
    assert!(gateway.terminate().success());
    assert_eq!(list(&home)[0]["status"], "active");
}

/// A change of the file during the gateway's start is applied.
#[tokio::test(flavor = "multi_thread")]
async fn no_change_of_the_file_is_missed() {
    let backend = backend().await;
    let home = Home::new(&backend);
    std::fs::create_dir_all(home.path()).unwrap();
    let table =
        |name: &str| format!("[[relays]]\nname = \"{name}\"\nmodels = \"{MODEL}\"\nbase_url = \"{}\"\n", url(&backend));
    let paths = polygate::config::Paths::inside(&home.path());
    std::fs::write(&paths.config, table("one")).unwrap();
    let layers = polygate::config::Layers::read(&paths.config, [("POLYGATE_SERVER__PORT".into(), "0".into())]).unwrap();
    let file = paths.config.clone();
    let config = polygate::Config::from_layers(&layers, paths).unwrap();
    std::fs::write(&file, table("two")).unwrap();
    let running = polygate::start(config).await.unwrap();
    until("the newer file", || async { running.engine().relays().list().iter().any(|relay| relay.name == "two") })
        .await;
    running.stop().await;
}

/// X1 and X3 for relays' keys.
#[tokio::test(flavor = "multi_thread")]
async fn no_relay_key_leaves_the_store() {
    let backend = backend().await;
    let home = Home::new(&backend);
    let token = home.ok(&["admin", "token"]).trim().to_owned();
    let gateway = home.serve(&[("POLYGATE_LOG__LEVEL", "trace")]);
    let mut output_text = add(&home, &backend, "local", &["--models", MODEL]).to_string();
    until("the relay", || async { ask(&gateway, MODEL).await == 200 }).await;
    for plan in [
        Plan::text(500, format!("oops {CANARY}")),
        Plan::json(401, json!({"error": {"message": format!("Incorrect API key provided: {CANARY}")}})),
    ] {
        backend.add_rule(Rule::at(Endpoint::ChatRelay, plan).times(2));
        let body = json!({"model": MODEL, "messages": [{"role": "user", "content": "hello"}]});
        let request = gateway.request("POST", "/v1/chat/completions", KEY, &body.to_string());
        let answer = gateway.send(request).await.unwrap();
        assert!(answer.status >= 500, "{} {}", answer.status, answer.body);
        write!(output_text, "{:?}{}", answer.headers, answer.body).unwrap();
    }
    for path in ["/auth/api-keys", "/readyz", "/admin/accounts"] {
        let answer = gateway.send(gateway.request("GET", path, &token, "")).await.unwrap();
        write!(output_text, "{:?}{}", answer.headers, answer.body).unwrap();
    }
    output_text += &home.ok(&["--json", "relays", "list"]);
    output_text += &home.ok(&["relays", "list"]);
    output_text += &text(&home.run(&["relays", "test", "local"]).stdout);
    output_text += &gateway.log.text();
    assert!(gateway.terminate().success());
    assert!(!output_text.contains("canary"), "the key was shown");
    for file in files(&home.path()) {
        let bytes = std::fs::read(&file).unwrap();
        let found = bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
        assert!(!found, "{} holds the key in clear", file.display());
    }
}
