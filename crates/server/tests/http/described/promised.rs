//! A gateway on the offline backend gives every successful response and every specific failure that the description promises. The failures
//! that any route may give are in [`super::refused`].

use std::collections::BTreeSet;
use std::time::Duration;

use engine::{Engine, PrivateAccess, RelaySpec};
use offline::{Endpoint, FakeAccount, Offline, Plan, Proxy, ProxyOptions, ProxyProtocol, Revocation, Rule, Running};
use pool::Secret;
use pool::egress::MOST;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::check::{meant, misshapen, operations};
use crate::gateway::{Gateway, engine_with, request, store};
use crate::wire::Wire;

/// The statuses that routes have because of their class or their body.
const COMMON: [u16; 11] = [400, 401, 403, 404, 408, 413, 415, 421, 431, 500, 503];
/// A refresh token that belongs to no account.
const NOBODYS: &str = "rt_canary-0123456789";
/// A key that the backend's relays accept.
const KEY: &str = "sk-offline-canary-0123456789";

/// A gateway, and the statuses that it has answered with.
struct Witness {
    gateway: Gateway,
    backend: Running,
    engine: Engine,
    codex: std::path::PathBuf,
    seen: BTreeSet<(String, u16)>,
}

impl Witness {
    async fn new() -> Self {
        let backend = Offline::start(offline::Options::default()).await.unwrap();
        let home = TempDir::new().unwrap();
        let codex = home.path().join("auth.json");
        let base = format!("http://{}", backend.addr());
        let file = Some(codex.clone());
        let engine = engine_with(store(&home).await, &base, |settings| settings.codex_file = file).await;
        let gateway = Gateway::on(engine.clone(), home, |_| {}).await;
        Self { gateway, backend, engine, codex, seen: BTreeSet::new() }
    }

    /// Calls with a token of the described scope, and expects this status. The response is checked against the description.
    async fn ask(&mut self, status: u16, line: &str, body: Value) -> Value {
        let (path, method, operation) = meant(line).unwrap_or_else(|| panic!("{line} is not described"));
        let export = operation["security"][0]["adminToken"][0] == "export";
        let token = if export { &self.gateway.keys.exporter } else { &self.gateway.keys.admin };
        let key = format!("authorization: Bearer {token}");
        let mut headers = vec!["host: localhost", "content-type: application/json", key.as_str()];
        if path == "/auth/accounts/export" {
            headers.push("x-polygate-passphrase: four words of mine");
        }
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.gateway.ask(line, &headers, text.as_bytes()).await;
        assert_eq!(answer.status, status, "{line} {text}: {}", answer.text());
        self.seen.insert((format!("{method} {path}"), status));
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }

    async fn rows<const N: usize>(&mut self, rows: [(u16, &str, Value); N]) {
        for (status, line, body) in rows {
            self.ask(status, line, body).await;
        }
    }

    fn fail(&self, place: Endpoint) {
        self.backend.add_rule(Rule::at(place, Plan::auto().status(500)));
    }

    /// An account whose tokens the gateway holds.
    async fn account(&mut self) -> (String, FakeAccount) {
        let login = self.backend.account("plus");
        let added = self.ask(200, "POST /auth/accounts", json!({"refreshToken": login.refresh})).await;
        (added["account"]["id"].as_str().unwrap().to_owned(), login)
    }

    /// An account that must be signed in again.
    async fn lost(&mut self) -> String {
        let (id, login) = self.account().await;
        self.backend.revoke_access(&login.account_id, Revocation::Revoked);
        self.backend.invalidate_refresh(&login.account_id);
        id
    }

    fn relay(&self, name: &str) -> RelaySpec {
        let base_url = format!("{}/relay/chat/v1", self.backend.auth_url());
        let (name, key) = (name.to_owned(), Secret::from(KEY));
        let (wire, models, prefix) = (None, vec!["m".to_owned()], String::new());
        let (capabilities, private, weight, enabled) = (None, PrivateAccess::Allowed, 1, true);
        RelaySpec { name, base_url, key, wire, models, prefix, capabilities, private, weight, enabled }
    }
}

#[tokio::test]
async fn every_promised_answer_is_given() {
    let mut witness = Witness::new().await;
    let mut watcher = watch(&mut witness).await;
    gateway(&mut witness).await;
    accounts(&mut witness).await;
    transfers(&mut witness).await;
    quota(&mut witness).await;
    logins(&mut witness).await;
    devices(&mut witness).await;
    codex(&mut witness).await;
    relays(&mut witness).await;
    proxies(&mut witness).await;
    assignments(&mut witness).await;
    news(&witness, &mut watcher).await;
    let promised = operations().flat_map(|(path, method, operation)| {
        let statuses = operation["responses"].as_object().unwrap().keys().map(|status| status.parse::<u16>().unwrap());
        statuses.map(move |status| (format!("{method} {path}"), status))
    });
    let promised: BTreeSet<_> = promised.filter(|(_, status)| !COMMON.contains(status)).collect();
    let missing: Vec<_> = promised.difference(&witness.seen).collect();
    assert!(missing.is_empty(), "promised and never given here: {missing:?}");
}

/// A watcher of the events, while so many others watch that one more is refused.
async fn watch(witness: &mut Witness) -> Wire {
    let key = format!("authorization: Bearer {}", witness.gateway.keys.reader);
    let mut all = Vec::new();
    let refused = loop {
        let mut wire = Wire::open(witness.gateway.port).await;
        wire.send(request("GET /admin/events", &["host: localhost", &key], b"")).await;
        wire.begun().await;
        if wire.has("HTTP/1.1 429") {
            break wire.answer().await.unwrap();
        }
        all.push(wire);
    };
    super::check("GET /admin/events", b"", &refused);
    witness.seen.extend([200, 429].map(|status| ("GET /admin/events".to_owned(), status)));
    all.swap_remove(0)
}

/// The events that were sent meanwhile are as described.
async fn news(witness: &Witness, watcher: &mut Wire) {
    witness.gateway.shutdown.cancel();
    let text = watcher.rest().await;
    let mut names = BTreeSet::new();
    for line in text.lines() {
        if let Some(data) = line.strip_prefix("data: ") {
            let news: Value = serde_json::from_str(data).unwrap();
            assert_eq!(misshapen("AccountEvent", &news), None, "{news}");
            names.insert(news["type"].as_str().unwrap().to_owned());
        }
    }
    let expected = ["login_added", "login_needed", "login_removed", "quota"];
    assert!(expected.iter().all(|name| names.contains(*name)), "{names:?}");
    assert_ne!(misshapen("AccountEvent", &json!({"type": "lagged"})), None);
}

async fn gateway(witness: &mut Witness) {
    let made = witness.ask(201, "POST /admin/keys", json!({"name": "one"})).await;
    let id = made["id"].as_str().unwrap();
    let rows = [
        (200, "GET /admin/openapi.json", Value::Null),
        (200, "GET /admin/guard", Value::Null),
        (200, "GET /admin/ollama-status", Value::Null),
        (200, "GET /admin/keys", Value::Null),
        (200, "GET /admin/retired-models", Value::Null),
        (204, &format!("PATCH /admin/keys/{id}"), json!({"default_tools": ["web_search"]})),
        (204, &format!("DELETE /admin/keys/{id}"), Value::Null),
    ];
    witness.rows(rows).await;
}

async fn accounts(witness: &mut Witness) {
    let (id, _) = witness.account().await;
    let (lost, other) = (witness.lost().await, witness.account().await.0);
    let rows = [
        (502, "POST /auth/accounts", json!({"refreshToken": NOBODYS})),
        (200, "GET /auth/accounts", Value::Null),
        (200, "GET /admin/accounts", Value::Null),
        (200, &format!("PATCH /admin/accounts/{id}"), json!({"max_concurrent": 2, "priority": 1})),
        (200, "GET /admin/dry-run?model=gpt-6-sol", Value::Null),
        (200, &format!("POST /auth/accounts/{id}/refresh"), Value::Null),
        (502, &format!("POST /auth/accounts/{lost}/refresh"), Value::Null),
        (200, "POST /auth/accounts/health-check", json!({"stagger_ms": 0})),
        (200, &format!("PATCH /auth/accounts/{id}/label"), json!({"label": "Mine"})),
        (200, &format!("PATCH /auth/accounts/{id}/tags"), json!({"tags": ["a"]})),
        (200, &format!("POST /auth/accounts/{id}/cookies"), json!({"cookies": {"cf_clearance": "a", "b": "c"}})),
        (200, &format!("GET /auth/accounts/{id}/cookies"), Value::Null),
        (200, &format!("DELETE /auth/accounts/{id}/cookies"), Value::Null),
        (200, "POST /auth/accounts/batch-status", json!({"ids": [other, "x"], "status": "disabled"})),
        (200, "POST /auth/accounts/batch-label", json!({"ids": [other, "x"], "label": "Spare"})),
        (200, "POST /auth/accounts/batch-tags", json!({"ids": [other, "x"], "add": ["a"], "remove": ["b"]})),
        (200, "POST /auth/accounts/batch-refresh", json!({"ids": [lost, id, "x"]})),
        (200, "GET /auth/accounts?quota=fresh", Value::Null),
        (200, "GET /admin/dry-run?model=gpt-6-sol", Value::Null),
        (200, "POST /auth/accounts/batch-delete", json!({"ids": [other, "x"]})),
        (200, &format!("DELETE /auth/accounts/{lost}"), Value::Null),
    ];
    witness.rows(rows).await;
}

async fn transfers(witness: &mut Witness) {
    let login = witness.backend.account("pro");
    let wrong = json!([{"refresh_token": NOBODYS}, {"refresh_token": login.refresh}]);
    witness.ask(200, "POST /auth/accounts/import", wrong).await;
    let sealed = witness.ask(200, "GET /auth/accounts/export", Value::Null).await;
    assert!(sealed.is_object(), "{sealed}");
    for format in ["full", "minimal", "cockpit_tools", "sub2api", "cpa"] {
        let line = format!("GET /auth/accounts/export?plaintext=true&format={format}");
        let file = witness.ask(200, &line, Value::Null).await;
        witness.ask(200, "POST /auth/accounts/import", file).await;
    }
}

async fn quota(witness: &mut Witness) {
    let ((id, _), lost) = (witness.account().await, witness.lost().await);
    let own = |method: &str, id: &str, path: &str| format!("{method} /auth/accounts/{id}/{path}");
    let lines = [("GET", "quota"), ("GET", "reset-credits"), ("POST", "reset-credits/consume")];
    for ((method, path), place) in lines.into_iter().zip([Endpoint::Usage, Endpoint::Credits, Endpoint::Credits]) {
        let (other, _) = witness.account().await;
        witness.fail(place);
        witness.ask(502, &own(method, &other, path), Value::Null).await;
        witness.ask(200, &own(method, &id, path), Value::Null).await;
        witness.ask(409, &own(method, &lost, path), Value::Null).await;
    }
    witness.ask(429, &own("POST", &id, "reset-credits/consume"), Value::Null).await;
    witness.ask(200, "GET /admin/forecast", Value::Null).await;
    witness.ask(200, "POST /admin/refresh-models", Value::Null).await;
    let warned = witness.ask(200, "GET /auth/quota/warnings", Value::Null).await;
    assert_eq!(warned["warnings"][0]["kind"], "needs_login", "{warned}");
}

async fn logins(witness: &mut Witness) {
    let rows = [
        (200, "POST /auth/token", json!({"token": witness.backend.account("plus").access})),
        (200, "GET /auth/status", Value::Null),
        (302, "GET /auth/login", Value::Null),
        (302, "GET /auth/accounts/login", Value::Null),
    ];
    witness.rows(rows).await;
    for status in [502, 200] {
        let begun = witness.ask(200, "POST /auth/login-start", Value::Null).await;
        witness.ask(200, "GET /auth/status", Value::Null).await;
        let back = browse(&witness.backend, begun["authUrl"].as_str().unwrap()).await;
        if status == 502 {
            witness.backend.add_rule(Rule::token(Plan::invalid_grant()));
        }
        witness.ask(status, "POST /auth/code-relay", json!({"callbackUrl": back})).await;
        let expected = witness.ask(200, "GET /auth/status", Value::Null).await;
        assert_eq!(expected["login"]["status"], if status == 200 { "done" } else { "failed" }, "{expected}");
    }
    witness.ask(200, "POST /auth/logout", json!({"ids": ["x"]})).await;
}

/// The address to which the provider redirects the user's browser.
async fn browse(backend: &Running, url: &str) -> String {
    let mut wire = Wire::open(backend.addr().port()).await;
    let path = url.split_once("127.0.0.1").unwrap().1;
    let line = format!("GET {}", &path[path.find('/').unwrap()..]);
    wire.send(request(&line, &["host: localhost"], b"")).await;
    wire.answer().await.unwrap().header("location").unwrap().to_owned()
}

async fn devices(witness: &mut Witness) {
    witness.fail(Endpoint::DeviceCode);
    witness.ask(502, "POST /auth/device-login", Value::Null).await;
    let begun = witness.ask(200, "POST /auth/device-login", Value::Null).await;
    let line = format!("GET /auth/device-poll/{}", begun["deviceCode"].as_str().unwrap());
    witness.ask(200, &line, Value::Null).await;
    witness.fail(Endpoint::DeviceToken);
    for status in [502, 200] {
        // The provider is polled only as often as it allows.
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(6)).await;
        tokio::time::resume();
        witness.ask(status, &line, Value::Null).await;
        witness.backend.approve_device(begun["userCode"].as_str().unwrap());
    }
}

async fn codex(witness: &mut Witness) {
    // An account whose login was imported, which cannot be linked too, and an account that is linked to the file.
    for (taken, status) in [(true, 409), (false, 200)] {
        std::fs::write(&witness.codex, witness.backend.account("plus").auth_json()).unwrap();
        if taken {
            witness.ask(200, "POST /auth/import-cli", Value::Null).await;
        }
        witness.ask(status, "POST /auth/import-cli", json!({"link": true, "mayRefresh": true})).await;
    }
    std::fs::write(&witness.codex, json!({"tokens": {"refresh_token": NOBODYS}}).to_string()).unwrap();
    witness.ask(502, "POST /auth/import-cli", Value::Null).await;
}

async fn relays(witness: &mut Witness) {
    let url = format!("{}/relay/chat/v1", witness.backend.auth_url());
    let body = json!({"provider": "custom", "name": "mine", "baseUrl": url, "apiKey": KEY, "allowPrivate": true});
    let nowhere = format!("{}/nowhere", witness.backend.auth_url());
    let nowhere = json!({"baseUrl": nowhere, "label": "nowhere", "apiKey": KEY, "allowPrivate": true});
    let added = witness.ask(201, "POST /auth/api-keys", body.clone()).await;
    let id = added["keys"][0]["id"].as_str().unwrap();
    witness.engine.relays().replace_configured(&[witness.relay("filed")]).await;
    let listed = witness.ask(200, "GET /auth/api-keys", Value::Null).await;
    let filed = listed["keys"].as_array().unwrap().iter().find(|key| key["label"] == "filed").unwrap();
    let filed = filed["id"].as_str().unwrap();
    for (id, status) in [(id, 200), (filed, 409)] {
        let rows = [
            (status, &*format!("PATCH /auth/api-keys/{id}/label"), json!({"label": "other"})),
            (status, &format!("PATCH /auth/api-keys/{id}/status"), json!({"status": "disabled"})),
            (status, &format!("PATCH /auth/api-keys/{id}/key"), json!({"apiKey": KEY})),
        ];
        witness.rows(rows).await;
    }
    let rows = [
        (409, "POST /auth/api-keys", json!({"name": "other", "baseUrl": url, "apiKey": KEY, "allowPrivate": true})),
        (502, "POST /auth/api-keys", nowhere.clone()),
        (200, "POST /auth/api-keys/models", body.clone()),
        (502, "POST /auth/api-keys/models", nowhere.clone()),
        (200, "GET /auth/api-keys/catalog", Value::Null),
        (200, "GET /auth/api-keys/export", Value::Null),
        (200, "POST /auth/api-keys/import", json!({"keys": [body, nowhere]})),
        (204, &format!("DELETE /auth/api-keys/{id}"), Value::Null),
        (409, &format!("DELETE /auth/api-keys/{filed}"), Value::Null),
        (409, "POST /auth/api-keys/batch-delete", json!({"ids": [filed]})),
        (200, "POST /auth/api-keys/batch-delete", json!({"ids": ["x"]})),
    ];
    witness.rows(rows).await;
}

async fn proxies(witness: &mut Witness) {
    let options = ProxyOptions { protocol: ProxyProtocol::Socks5, ..ProxyOptions::default() };
    let proxy = Proxy::start(options).await.unwrap();
    let body = json!({"name": "mine", "url": proxy.url(), "allowPrivate": true});
    let added = witness.ask(201, "POST /api/proxies", body.clone()).await;
    let id = added["id"].as_str().unwrap();
    let many: Vec<Value> = (0..MOST).map(|number| json!({"url": format!("http://p{number}.example")})).collect();
    let rows = [
        (200, "POST /api/proxies", body),
        (409, "POST /api/proxies", json!({"name": "mine", "url": "http://proxy.example"})),
        (201, "POST /api/proxies", json!({"name": "other", "url": "http://proxy.example"})),
        (200, &format!("PUT /api/proxies/{id}"), json!({"name": "ours"})),
        (409, &format!("PUT /api/proxies/{id}"), json!({"name": "other"})),
        (200, &format!("POST /api/proxies/{id}/disable"), Value::Null),
        (200, &format!("POST /api/proxies/{id}/enable"), Value::Null),
        (200, &format!("POST /api/proxies/{id}/check"), Value::Null),
        (200, "POST /api/proxies/check-all", Value::Null),
        (200, "GET /api/proxies", Value::Null),
        (200, "GET /api/proxies/export", Value::Null),
        (200, "POST /api/proxies/import", json!({"proxies": [{"url": "http://new.example"}]})),
        (409, "POST /api/proxies/import", json!({"proxies": many})),
        (200, "PUT /api/proxies/settings", json!({"healthCheckIntervalMinutes": 0})),
    ];
    witness.rows(rows).await;
    proxy.stop().await;
}

async fn assignments(witness: &mut Witness) {
    let account = witness.account().await.0;
    let listed = witness.ask(200, "GET /api/proxies", Value::Null).await;
    let id = listed["proxies"][0]["id"].as_str().unwrap();
    let one = json!({"accountId": account, "proxyId": id});
    let rule = json!({"accountIds": [account], "rule": "round-robin", "targetProxyIds": ["auto"]});
    witness.ask(200, "POST /api/proxies/assign", one.clone()).await;
    let file = witness.ask(200, "GET /api/proxies/assignments/export", Value::Null).await;
    let rows = [
        (409, &*format!("DELETE /api/proxies/{id}"), Value::Null),
        (200, "GET /api/proxies/assignments", Value::Null),
        (200, "POST /api/proxies/assign-rule", rule),
        (200, "POST /api/proxies/assignments/import", file),
        (200, "POST /api/proxies/assign-bulk", json!({"assignments": [one]})),
        (200, "POST /api/proxies/assignments/apply", json!({"assignments": [one]})),
        (200, &format!("DELETE /api/proxies/assign/{account}"), Value::Null),
        (200, &format!("DELETE /api/proxies/{id}"), Value::Null),
    ];
    witness.rows(rows).await;
}
