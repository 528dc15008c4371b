//! Proxies over the admin API.

use offline::{Proxy, ProxyFault, ProxyOptions, ProxyProtocol};
use serde_json::{Value, json};

use crate::gateway::Gateway;
use crate::streams;
use crate::wire::Answer;

/// A password that only an export may show.
const PASSWORD: &str = "canary-password";

struct Bench {
    gateway: Gateway,
    backend: offline::Running,
    proxy: Proxy,
}

impl Bench {
    async fn new() -> Self {
        let (gateway, backend) = streams::gateway(|_| {}).await;
        let credentials = Some(("me".to_owned(), PASSWORD.to_owned()));
        let proxy =
            Proxy::start(ProxyOptions { credentials, protocol: ProxyProtocol::Socks5, ..ProxyOptions::default() });
        Self { gateway, backend, proxy: proxy.await.unwrap() }
    }

    async fn raw(&self, token: &str, line: &str, body: &str) -> Answer {
        let key = format!("authorization: Bearer {token}");
        let headers = ["host: localhost", "content-type: application/json", key.as_str()];
        let answer = self.gateway.ask(line, &headers, body.as_bytes()).await;
        answer.check();
        answer
    }

    /// A call with a token that may write: the status and the body, which never shows the password.
    async fn call(&self, line: &str, body: Value) -> (u16, Value) {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.raw(&self.gateway.keys.admin, line, &text).await;
        assert!(!answer.text().contains(PASSWORD), "{line}: {}", answer.text());
        (answer.status, serde_json::from_str(&answer.text()).unwrap_or(Value::Null))
    }

    async fn add(&self, name: &str) -> String {
        let body = json!({"name": name, "url": self.proxy.url(), "allowPrivate": true});
        let (status, added) = self.call("POST /api/proxies", body).await;
        assert_eq!(status, 201, "{added}");
        added["id"].as_str().unwrap().to_owned()
    }

    async fn account(&self) -> String {
        let (_, accounts) = self.call("GET /admin/accounts", Value::Null).await;
        accounts["accounts"][0]["id"].as_str().unwrap().to_owned()
    }

    async fn chat(&self) -> u16 {
        let body = json!({"model": "gpt-6-sol", "messages": [{"role": "user", "content": "hello"}]}).to_string();
        self.gateway.post("/v1/chat/completions", &[], body.as_bytes()).await.check().status
    }
}

#[tokio::test]
async fn proxies_are_added_seen_changed_checked_and_removed() {
    let bench = Bench::new().await;
    let (_, list) = bench.call("GET /api/proxies", Value::Null).await;
    assert_eq!(list, json!({"proxies": [], "assignments": [], "healthCheckIntervalMinutes": 0, "global": null}));
    let id = bench.add("Mine").await;
    let (_, list) = bench.call("GET /api/proxies", Value::Null).await;
    let entry = &list["proxies"][0];
    assert_eq!((&entry["name"], &entry["status"], &entry["health"]), (&json!("Mine"), &json!("active"), &Value::Null));
    let shown = entry["url"].as_str().unwrap().to_owned();
    assert!(shown.starts_with("socks5h://me:***@127.0.0.1:"), "{shown}");
    // Adding the same address again gives the same proxy.
    let parts = json!({"protocol": "socks5h", "host": "127.0.0.1", "port": shown.rsplit(':').next().unwrap().parse::<u16>().unwrap(),
        "username": "me", "password": PASSWORD, "allowPrivate": true});
    let (status, again) = bench.call("POST /api/proxies", parts).await;
    assert_eq!((status, &again["id"], &again["added"]), (200, &json!(id), &json!(false)));

    let (status, checked) = bench.call(&format!("POST /api/proxies/{id}/check"), Value::Null).await;
    assert_eq!(
        (status, &checked["health"]["exitIp"], &checked["health"]["error"]),
        (200, &json!("127.0.0.1"), &Value::Null)
    );
    let (_, all) = bench.call("POST /api/proxies/check-all", Value::Null).await;
    assert!(all["proxies"][0]["health"]["latencyMs"].is_u64(), "{all}");

    // The masked password from the list keeps the stored password, for this address only.
    let (status, changed) = bench.call(&format!("PUT /api/proxies/{id}"), json!({"name": "Other", "url": shown})).await;
    assert_eq!((status, &changed["name"]), (200, &json!("Other")));
    let (_, checked) = bench.call(&format!("POST /api/proxies/{id}/check"), Value::Null).await;
    assert_eq!(checked["health"]["exitIp"], "127.0.0.1");
    let (status, moved) =
        bench.call(&format!("PUT /api/proxies/{id}"), json!({"url": "http://me:***@8.8.8.8:1"})).await;
    assert!(status == 400 && moved.to_string().contains("its password must be given"), "{moved}");

    let (_, off) = bench.call(&format!("POST /api/proxies/{id}/disable"), Value::Null).await;
    assert_eq!(off["status"], "disabled");
    let (_, on) = bench.call(&format!("POST /api/proxies/{id}/enable"), Value::Null).await;
    assert_eq!(on["status"], "active");
    assert_eq!(bench.call("PUT /api/proxies/settings", json!({"healthCheckIntervalMinutes": 7})).await.0, 200);
    assert_eq!(bench.call("GET /api/proxies", Value::Null).await.1["healthCheckIntervalMinutes"], 7);
    assert_eq!(bench.call("PUT /api/proxies/settings", json!({"healthCheckIntervalMinutes": 1_000_000})).await.0, 400);
    assert_eq!(bench.call(&format!("DELETE /api/proxies/{id}"), Value::Null).await.0, 200);
    for line in ["DELETE /api/proxies/", "POST /api/proxies/", "PUT /api/proxies/"] {
        let tail = if line.starts_with("POST") { "/check" } else { "" };
        assert_eq!(bench.call(&format!("{line}{id}{tail}"), json!({})).await.0, 404, "{line}");
    }
}

#[tokio::test]
async fn bad_proxies_are_refused_with_what_to_do() {
    let bench = Bench::new().await;
    let cases = [
        (json!({"url": "http://127.0.0.1:7890"}), "allow_private"),
        (json!({"url": "http://10.0.0.1:7890"}), "allow_private"),
        (json!({"url": "http://169.254.169.254", "allowPrivate": true}), "never called"),
        (json!({"url": "ftp://proxy.example"}), "socks5h"),
        (json!({"url": "nonsense canary-password"}), "scheme://"),
        (json!({"protocol": "http", "host": "proxy.example"}), "scheme://"),
        (json!({"url": "http://proxy.example", "name": "auto"}), "name"),
        (json!({"url": "http://me:***@proxy.example"}), "password"),
        (json!({"link": "http://proxy.example"}), "form"),
    ];
    for (body, word) in cases {
        let (status, said) = bench.call("POST /api/proxies", body.clone()).await;
        assert!(status == 400 && said["error"]["message"].as_str().unwrap().contains(word), "{body}: {status} {said}");
    }
    bench.add("taken").await;
    let (status, _) = bench.call("POST /api/proxies", json!({"url": "http://proxy.example", "name": "taken"})).await;
    assert_eq!(status, 409);
}

#[tokio::test]
async fn accounts_take_the_ways_that_they_are_assigned() {
    let bench = Bench::new().await;
    let (id, account) = (bench.add("mine").await, bench.account().await);
    let assign = |egress: &str| json!({"accountId": account, "proxyId": egress});
    for (egress, name) in [("direct", "direct"), ("auto", "auto"), ("global", "global"), (&id, "mine")] {
        assert_eq!(bench.call("POST /api/proxies/assign", assign(egress)).await.0, 200);
        let (_, seen) = bench.call("GET /auth/accounts", Value::Null).await;
        let seen = &seen["accounts"][0];
        assert_eq!((&seen["proxyId"], &seen["proxyName"]), (&json!(egress), &json!(name)));
    }
    let (_, found) = bench.call("GET /api/proxies/assignments", Value::Null).await;
    assert_eq!(found, json!({"assignments": [{"accountId": account, "proxyId": id}]}));
    assert_eq!(bench.chat().await, 200);
    assert!(bench.backend.record().model_requests().all(|seen| bench.proxy.saw(seen)));
    let (status, said) = bench.call(&format!("DELETE /api/proxies/{id}"), Value::Null).await;
    assert!(status == 409 && said.to_string().contains("assign them elsewhere"), "{said}");

    // Calls do not bypass a proxy that is switched off.
    bench.call(&format!("POST /api/proxies/{id}/disable"), Value::Null).await;
    assert_eq!(bench.chat().await, 503);
    let (_, ready) = bench.call("GET /readyz", Value::Null).await;
    assert!(ready.to_string().contains("its proxy mine is switched off"), "{ready}");
    bench.call(&format!("POST /api/proxies/{id}/enable"), Value::Null).await;
    bench.proxy.set_fault(ProxyFault::Closes);
    assert_ne!(bench.chat().await, 200);
    assert_eq!(bench.backend.record().model_requests().count(), 1);
    assert_eq!(bench.call(&format!("DELETE /api/proxies/assign/{account}"), Value::Null).await.0, 200);
    assert_eq!(bench.chat().await, 200);

    for (line, body) in [
        ("POST /api/proxies/assign", assign("none")),
        ("POST /api/proxies/assign", json!({"accountId": "none", "proxyId": "direct"})),
        ("POST /api/proxies/assign-bulk", json!({"assignments": [assign("direct"), assign("none")]})),
        ("DELETE /api/proxies/assign/none", Value::Null),
    ] {
        assert_eq!(bench.call(line, body).await.0, 404, "{line}");
    }
    let (_, found) = bench.call("GET /api/proxies/assignments", Value::Null).await;
    assert_eq!(found, json!({"assignments": []}), "nothing half done");
}

#[tokio::test]
async fn assignments_travel_as_a_file_that_is_shown_first() {
    let bench = Bench::new().await;
    let (id, account) = (bench.add("mine").await, bench.account().await);
    let rule = json!({"accountIds": [account], "rule": "round-robin", "targetProxyIds": [id, "direct"]});
    assert_eq!(bench.call("POST /api/proxies/assign-rule", rule).await.1, json!({"success": true, "applied": 1}));
    let (_, file) = bench.call("GET /api/proxies/assignments/export", Value::Null).await;
    assert_eq!(
        (&file["assignments"][0]["proxyId"], &file["assignments"][0]["proxyName"]),
        (&json!(id), &json!("mine"))
    );
    let email = &file["assignments"][0]["email"];
    assert!(email.as_str().unwrap().contains('@'));

    let (_, same) = bench.call("POST /api/proxies/assignments/import", file.clone()).await;
    assert_eq!(same, json!({"changes": [], "unchanged": 1}));
    // In a file of another install, accounts are known by e-mail and proxies by name.
    let elsewhere = json!({"assignments": [{"email": email, "proxyId": "auto"}]});
    let (_, moves) = bench.call("POST /api/proxies/assignments/import", elsewhere).await;
    assert_eq!(moves["changes"], json!([{"accountId": account, "email": email, "from": id, "to": "auto"}]));
    let (_, found) = bench.call("GET /api/proxies/assignments", Value::Null).await;
    assert_eq!(found["assignments"][0]["proxyId"], json!(id), "only shown");
    let apply = json!({"assignments": [{"accountId": account, "proxyId": "auto"}]});
    assert_eq!(bench.call("POST /api/proxies/assignments/apply", apply).await.0, 200);
    let (_, found) = bench.call("GET /api/proxies/assignments", Value::Null).await;
    assert_eq!(found["assignments"][0]["proxyId"], "auto");
    let unknown = json!({"assignments": [{"email": "nobody@example.com", "proxyId": "auto"}]});
    assert_eq!(bench.call("POST /api/proxies/assignments/import", unknown).await.0, 404);
}

#[tokio::test]
async fn proxies_travel_as_a_file_or_not_at_all() {
    let bench = Bench::new().await;
    bench.add("mine").await;
    assert_eq!(bench.raw(&bench.gateway.keys.admin, "GET /api/proxies/export", "").await.status, 403);
    let file = bench.raw(&bench.gateway.keys.exporter, "GET /api/proxies/export", "").await;
    assert!(file.status == 200 && file.text().contains(PASSWORD), "{}", file.text());

    let import = async |text: &str| {
        let answer = bench.raw(&bench.gateway.keys.admin, "POST /api/proxies/import", text).await;
        assert!(!answer.text().contains("canary"), "{}", answer.text());
        (answer.status, serde_json::from_str::<Value>(&answer.text()).unwrap())
    };
    assert_eq!(import(&file.text()).await, (200, json!({"success": true, "added": 0, "errors": []})));
    let yaml = "proxies:\n  - name: a\n    url: http://u:canary@a.example:3128\n  - socks5://b.example\n";
    assert_eq!(import(yaml).await.1["added"], 2);
    let wrong = "proxies:\n  - http://c.example:1\n  - {name: d, url: \"http://canary:canary@10.0.0.1:1\"}\n";
    let (status, said) = import(wrong).await;
    let message = said["error"]["message"].as_str().unwrap();
    assert!(status == 400 && message.starts_with("line 3: ") && message.contains("nothing was imported"), "{said}");
    let taken = import("- {name: a, url: http://other.example:1}").await;
    assert!(taken.0 == 400 && taken.1.to_string().contains("line 1"), "{taken:?}");
    let (_, list) = bench.call("GET /api/proxies", Value::Null).await;
    assert_eq!(list["proxies"].as_array().unwrap().len(), 3);
}
