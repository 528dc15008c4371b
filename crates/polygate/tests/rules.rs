//! The choice among accounts as its owner sees and sets it: concurrency limits, priorities, the dry run, fallback chains.

#![allow(clippy::unwrap_used, reason = "a failing step of a test must end it")]

mod common;

use common::{Answer, Gateway, Home, KEY};
use offline::{Offline, Options, Plan, Rule};
use serde_json::{Value, json};

async fn backend() -> offline::Running {
    Offline::start(Options::default()).await.unwrap()
}

/// Two accounts, a relay of the file, and a fallback chain from a model of the accounts to the relay.
fn home(backend: &offline::Running) -> Home {
    let home = Home::new(backend);
    std::fs::create_dir_all(home.path()).unwrap();
    let relay = format!("{}/relay/chat/v1", backend.auth_url());
    let file = format!(
        "[model.fallbacks]\n\"gpt-5.5\" = [\"far:llama-4-scout\"]\n[[relays]]\nname = \"far\"\nbase_url = \"{relay}\"\n\
         api_key = \"sk-offline-relay\"\nformat = \"chat\"\n"
    );
    std::fs::write(home.path().join("config.toml"), file).unwrap();
    for plan in ["plus", "pro"] {
        home.import(&backend.account(plan));
    }
    home
}

fn accounts(home: &Home) -> Vec<Value> {
    serde_json::from_str(&home.ok(&["--json", "accounts", "list"])).unwrap()
}

async fn admin(gateway: &Gateway, token: &str, (method, path): (&str, &str), body: &str) -> Answer {
    gateway.send(gateway.request(method, path, token, body)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_set_on_the_command_line_and_over_the_api() {
    let backend = backend().await;
    let home = home(&backend);
    let listed = accounts(&home);
    let (email, id) = (listed[0]["email"].as_str().unwrap(), listed[1]["id"].as_str().unwrap());
    home.ok(&["accounts", "set", email, "--max-concurrent", "2", "--priority", "-3"]);
    for wrong in [
        &["accounts", "set", email][..],
        &["accounts", "set", email, "--priority", "1001"],
        &["accounts", "set", email, "--max-concurrent", "many"],
    ] {
        assert_eq!(home.run(wrong).status.code(), Some(2), "{wrong:?}");
    }
    assert_eq!(home.run(&["accounts", "set", "nobody", "--priority", "1"]).status.code(), Some(1));
    let explained: Value = serde_json::from_str(&home.ok(&["--json", "accounts", "explain"])).unwrap();
    assert_eq!(explained["candidates"][0]["score"]["max_concurrent"], 2, "{explained}");
    assert_eq!(explained["candidates"][0]["score"]["priority"], -3);
    let table = home.ok(&["accounts", "explain", "--model", "gpt-5.5"]);
    assert!(
        table.contains("serves") && table.contains("priority -3") && table.contains("far:llama-4-scout"),
        "{table}"
    );
    let both: Vec<&str> = listed.iter().map(|account| account["id"].as_str().unwrap()).collect();
    home.ok(&[&["accounts", "disable"], &both[..]].concat());
    let table = home.ok(&["accounts", "explain", "--model", "gpt-5.5"]);
    assert!(table.contains("No account or relay can serve it now; llama-4-scout would be tried instead."), "{table}");
    home.ok(&[&["accounts", "enable"], &both[..]].concat());
    assert_eq!(home.run(&["accounts", "explain", "--model", "unheard-of"]).status.code(), Some(1));

    let gateway = home.serve(&[]);
    let token = home.ok(&["admin", "token"]);
    let token = token.trim();
    let path = format!("/admin/accounts/{id}");
    let set = admin(&gateway, token, ("PATCH", &path), r#"{"max_concurrent": 0, "priority": -9}"#).await;
    let view: Value = serde_json::from_str(&set.body).unwrap();
    assert_eq!((set.status, &view["max_concurrent"], &view["priority"]), (200, &json!(0), &json!(-9)), "{}", set.body);
    let first = admin(&gateway, token, ("GET", "/admin/dry-run?model=gpt-5.5"), "").await;
    let first: Value = serde_json::from_str(&first.body).unwrap();
    assert_eq!((&first["chosen"], &first["candidates"][0]["id"]), (&json!(id), &json!(id)), "{first}");
    let back = admin(&gateway, token, ("PATCH", &path), r#"{"max_concurrent": null}"#).await;
    let view: Value = serde_json::from_str(&back.body).unwrap();
    assert_eq!((&view["max_concurrent"], &view["priority"]), (&Value::Null, &json!(-9)), "{}", back.body);
    for (path, body, status) in [
        (path.as_str(), r#"{"priority": 1001}"#, 400),
        (path.as_str(), r#"{"priorities": 1}"#, 400),
        (path.as_str(), r#"{"max_concurrent": -1}"#, 400),
        (path.as_str(), "7", 400),
        ("/admin/accounts/nobody", r#"{"priority": 1}"#, 404),
    ] {
        let refused = admin(&gateway, token, ("PATCH", path), body).await;
        assert_eq!(refused.status, status, "{body}: {}", refused.body);
    }
    for (query, status) in [("model=unheard-of", 404), ("key_id=nobody", 400), ("conversation=any", 200)] {
        let answer = admin(&gateway, token, ("GET", &format!("/admin/dry-run?{query}")), "").await;
        assert_eq!(answer.status, status, "{query}: {}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fallback_of_the_file_serves_and_the_answer_says_so() {
    let backend = backend().await;
    let home = home(&backend);
    backend.add_rule(Rule::responses(Plan::usage_limit(3600)).always());
    let gateway = home.serve(&[]);
    let body = r#"{"model":"gpt-5.5","messages":[{"role":"user","content":"Reply with exactly: pong"}]}"#;
    let ask = || gateway.send(gateway.request("POST", "/v1/chat/completions", KEY, body));
    let first = ask().await.unwrap();
    assert_eq!(first.status, 429, "two calls are the most: {}", first.body);
    let second = ask().await.unwrap();
    assert_eq!(second.status, 200, "{}", second.body);
    assert_eq!(second.headers["x-polygate-fallback"], "gpt-5.5 -> llama-4-scout; quota used up");
    assert_eq!(
        (&second.headers["x-polygate-model"], &second.headers["x-polygate-account"]),
        (&"llama-4-scout".parse().unwrap(), &"far".parse().unwrap())
    );
    let reply: Value = serde_json::from_str(&second.body).unwrap();
    assert_eq!(reply["model"], "llama-4-scout");
}

/// The account that served the conversation `talk` before, according to the dry run.
async fn owner(gateway: &Gateway, token: &str, query: &str) -> Option<Value> {
    let path = format!("/admin/dry-run?conversation=talk&{query}");
    let answer = admin(gateway, token, ("GET", &path), "").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let explained: Value = serde_json::from_str(&answer.body).unwrap();
    let candidates = explained["candidates"].as_array().unwrap();
    candidates.iter().find(|candidate| candidate["score"]["owner"] == true).map(|owner| owner["id"].clone())
}

/// The dry run finds conversations of clients without a key by the key id that the server gives to such clients.
#[tokio::test(flavor = "multi_thread")]
async fn the_dry_run_knows_who_asks_without_a_key() {
    let backend = backend().await;
    let home = home(&backend);
    let token = home.ok(&["admin", "token"]);
    let token = token.trim();
    let free = ("POLYGATE_SERVER__REQUIRE_KEY", "false");
    let mut gateway = home.serve(&[free, ("POLYGATE_OLLAMA__ENABLED", "true"), ("POLYGATE_OLLAMA__PORT", "0")]);
    let status = admin(&gateway, token, ("GET", "/admin/ollama-status"), "").await;
    let status: Value = serde_json::from_str(&status.body).unwrap();
    let ports = [gateway.port, u16::try_from(status["port"].as_u64().unwrap()).unwrap()];
    let mut found = Vec::new();
    for port in ports {
        gateway.port = ports[0];
        let [open, ollama] =
            [owner(&gateway, token, "key_id=open").await, owner(&gateway, token, "key_id=ollama").await];
        assert_eq!(owner(&gateway, token, "").await, open);
        found.push((open.is_some(), ollama.is_some()));
        gateway.port = port;
        let body = r#"{"model":"gpt-5.5","messages":[{"role":"user","content":"hello"}]}"#;
        let mut request = gateway.request("POST", "/v1/chat/completions", "any", body);
        request.headers_mut().insert("session-id", "talk".parse().unwrap());
        let served = gateway.send(request).await.unwrap();
        assert_eq!(served.status, 200, "{}", served.body);
    }
    gateway.port = ports[0];
    assert_eq!(found, [(false, false), (true, false)]);
    assert!(owner(&gateway, token, "key_id=ollama").await.is_some());
    drop(gateway);
    // When every client needs a key, these key ids do not exist.
    let gateway = home.serve(&[]);
    for id in ["open", "ollama"] {
        let path = format!("/admin/dry-run?key_id={id}");
        assert_eq!(admin(&gateway, token, ("GET", &path), "").await.status, 400, "{id}");
    }
}
