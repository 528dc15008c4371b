//! Codex's own paths: which credentials are accepted, and what the Codex client reads there.

use std::path::PathBuf;
use std::time::Duration;

use engine::Engine;
use offline::{Endpoint, FakeAccount, NewAccount, Offline, Plan, Quota, Rule, Running};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::gateway::{Gateway, engine, request, store};
use crate::socket::Socket;
use crate::wire::{Answer, Wire};

const AGENT: &str = "user-agent: codex_exec/0.169.0 (Debian 12.0.0; x86_64) xterm (codex_exec; 0.169.0)";
/// The prefixes under which a path exists.
const BASES: [&str; 3] = ["/backend-api/wham", "/wham", "/api/codex"];

/// A gateway with two accounts, both linked to Codex's files.
struct Bench {
    gateway: Gateway,
    backend: Running,
    engine: Engine,
    logins: Vec<FakeAccount>,
    files: Vec<PathBuf>,
    _folder: TempDir,
}

impl Bench {
    async fn new() -> Self {
        let backend = Offline::start(offline::Options::default()).await.unwrap();
        let (home, folder) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let engine = engine(store(&home).await, &format!("http://{}", backend.addr())).await;
        let (mut logins, mut files) = (Vec::new(), Vec::new());
        for name in ["one", "two"] {
            let login = backend.add_account(NewAccount::default());
            let file = folder.path().join(name);
            std::fs::write(&file, login.auth_json()).unwrap();
            engine.logins().link(&file, false).await.unwrap();
            logins.push(login);
            files.push(file);
        }
        let gateway = Gateway::on(engine.clone(), home, |_| {}).await;
        let bench = Self { gateway, backend, engine, logins, files, _folder: folder };
        bench.until("the live lists", |engine| engine.accounts().list().iter().all(|account| account.models > 0)).await;
        bench
    }

    async fn until(&self, what: &str, holds: impl Fn(&Engine) -> bool) {
        let wait = async {
            while !holds(&self.engine) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap_or_else(|_| panic!("not in time: {what}"));
    }

    async fn get(&self, path: &str, bearer: &str) -> Answer {
        self.ask(&format!("GET {path}"), bearer, &[], Value::Null).await
    }

    async fn ask(&self, line: &str, bearer: &str, more: &[&str], body: Value) -> Answer {
        let key = format!("authorization: Bearer {bearer}");
        let mut headers = vec!["host: localhost", "content-type: application/json", AGENT, key.as_str()];
        headers.extend(more);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.gateway.ask(line, &headers, body.as_bytes()).await
    }

    async fn respond(&self, path: &str, bearer: &str, agent: &str) -> Answer {
        let key = format!("authorization: Bearer {bearer}");
        let headers = ["host: localhost", "content-type: application/json", agent, key.as_str()];
        let body = json!({"model": "gpt-6-sol", "stream": true, "input": "Reply with exactly: pong"}).to_string();
        let mut wire = Wire::open(self.gateway.port).await;
        wire.send(request(&format!("POST {path}"), &headers, body.as_bytes())).await;
        wire.answer().await.unwrap()
    }

    fn exhaust(&self, at: usize) {
        let quota = Quota::exhausted(Duration::from_secs(3600 * (at as u64 + 1)));
        self.backend.set_quota(&self.logins[at].account_id, &quota);
    }

    async fn measure(&self) {
        let failed = self.engine.quotas().measure_all().await;
        assert!(failed.is_empty(), "{failed:?}");
    }
}

fn read(answer: &Answer) -> Value {
    serde_json::from_str(&answer.text()).unwrap_or_else(|_| panic!("no JSON: {} {}", answer.status, answer.text()))
}

#[tokio::test]
async fn the_models_are_codexs_own_and_their_etag_is_on_every_reply() {
    let bench = Bench::new().await;
    let key = bench.gateway.keys.client.clone();
    let list = bench.get("/backend-api/codex/models?client_version=0.169.0", &key).await;
    let etag = list.header("etag").unwrap().to_owned();
    let body = read(&list);
    let models = body["models"].as_array().unwrap();
    assert_eq!((list.status, models.len()), (200, 12));
    let entry = models[0].as_object().unwrap();
    assert!(entry.len() >= 40 && entry["base_instructions"].as_str().unwrap().contains("offline backend"), "{entry:?}");
    let known =
        bench.ask("GET /backend-api/codex/models", &key, &[&format!("if-none-match: {etag}")], Value::Null).await;
    assert_eq!((known.status, known.header("etag"), known.body.len()), (304, Some(etag.as_str()), 0));
    let reply = bench.respond("/backend-api/codex/responses", &key, AGENT).await;
    assert_eq!((reply.status, reply.header("x-models-etag")), (200, Some(etag.as_str())), "{}", reply.head);
    let other = bench.respond("/v1/responses", &key, "user-agent: OpenAI/Python 3.52.0").await;
    assert_eq!((other.status, other.header("x-models-etag")), (200, None));
    // A client of another version gets the backend's list for its version, and its replies have the ETag of that list.
    let entry = json!({"slug": "gpt-6-sol", "display_name": "For old clients", "priority": 1});
    bench.backend.add_rule(Rule::at(Endpoint::Models, Plan::json(200, json!({"models": [entry]}))));
    let old = bench.get("/backend-api/codex/models?client_version=0.150.0", &key).await;
    let (old_etag, body) = (old.header("etag").map(str::to_owned), read(&old));
    let names: Vec<_> = body["models"].as_array().unwrap().iter().map(|entry| &entry["display_name"]).collect();
    assert_eq!(names, ["For old clients"]);
    let agent = "user-agent: codex_exec/0.150.0 (Debian 12.0.0; x86_64) xterm (codex_exec; 0.150.0)";
    let reply = bench.respond("/backend-api/codex/responses", &key, agent).await;
    assert_eq!((reply.status, reply.header("x-models-etag")), (200, old_etag.as_deref()));
    assert_ne!(old_etag.as_deref(), Some(etag.as_str()));
    // The client also requests the list under a path of the public API.
    assert_eq!(bench.get("/v1/models?client_version=0.169.0", &key).await.header("etag"), Some(etag.as_str()));
}

#[tokio::test]
async fn the_account_is_the_one_that_the_client_names() {
    let bench = Bench::new().await;
    let key = bench.gateway.keys.client.clone();
    let id = "0f8fad5b-d9cb-469f-a165-70867728950e";
    for base in BASES {
        let header = format!("chatgpt-account-id: {id}");
        let check = bench.ask(&format!("GET {base}/accounts/check"), &key, &[&header], Value::Null).await;
        let body = read(&check);
        let entry = &body["accounts"][0];
        assert_eq!(
            (&body["account_ordering"][0], &body["default_account_id"], &entry["id"]),
            (&json!(id), &json!(id), &json!(id))
        );
        assert_eq!((&entry["plan_type"], entry.as_object().unwrap().len()), (&json!("plus"), 11));
        assert_eq!(
            (&entry["workspace_backend_origin"], &entry["account_routing_override"]),
            (&json!("NO_CONSTRAINT"), &json!("NO_CONSTRAINT"))
        );
    }
    assert_eq!(
        read(&bench.get("/backend-api/wham/accounts/check", &key).await)["accounts"].as_array().unwrap().len(),
        1
    );
}

#[tokio::test]
async fn limits_are_the_pools_and_stop_nobody_while_anybody_serves() {
    let bench = Bench::new().await;
    let key = bench.gateway.keys.client.clone();
    bench.exhaust(0);
    bench.measure().await;
    for base in BASES {
        let usage = read(&bench.get(&format!("{base}/usage"), &key).await);
        let limit = &usage["rate_limit"];
        assert_eq!((&limit["allowed"], &limit["limit_reached"]), (&json!(true), &json!(false)), "{usage}");
        assert_eq!(
            (&limit["primary_window"]["used_percent"], &limit["primary_window"]["limit_window_seconds"]),
            (&json!(12), &json!(18_000))
        );
        assert_eq!((&usage["plan_type"], &usage["rate_limit_reached_type"]), (&json!("plus"), &Value::Null));
    }
    let reply = bench.respond("/backend-api/codex/responses", &key, AGENT).await;
    assert_eq!(reply.header("x-codex-primary-used-percent"), Some("12"), "{}", reply.head);
    bench.exhaust(1);
    bench.measure().await;
    let usage = read(&bench.get("/backend-api/wham/usage", &key).await);
    let limit = &usage["rate_limit"];
    assert_eq!((&limit["allowed"], &limit["limit_reached"]), (&json!(false), &json!(true)), "{usage}");
    // The window that is reset first counts.
    assert!(limit["primary_window"]["reset_after_seconds"].as_u64().unwrap() <= 3600, "{usage}");
    assert_eq!(usage["rate_limit_reached_type"]["type"], "rate_limit_reached");
    // A refusal has the same figures for Codex clients, and none for others.
    for (agent, used) in [(AGENT, Some("100")), ("user-agent: OpenAI/Python 3.52.0", None)] {
        let refusal = bench.respond("/v1/responses", &key, agent).await;
        assert_eq!((refusal.status, refusal.header("x-codex-primary-used-percent")), (429, used), "{}", refusal.head);
    }
}

/// The client trusts the remaining quota only for its own user.
#[tokio::test]
async fn limits_are_of_the_user_whose_login_asks() {
    let bench = Bench::new().await;
    let (key, id) = (bench.gateway.keys.client.clone(), "0f8fad5b-d9cb-469f-a165-70867728950e");
    let login = &bench.logins[0];
    let own = format!("user-{id}");
    for (bearer, user) in [(&key, &own), (&login.access, &login.user)] {
        let header = format!("chatgpt-account-id: {id}");
        let usage = read(&bench.ask("GET /backend-api/wham/usage", bearer, &[&header], Value::Null).await);
        assert_eq!((&usage["account_id"], &usage["user_id"]), (&json!(id), &json!(user)));
    }
}

/// An account that is used up by its last reply does not stop a client that another account can serve.
#[tokio::test]
async fn a_reply_tells_of_the_account_that_serves_next() {
    let bench = Bench::new().await;
    let key = bench.gateway.keys.client.clone();
    bench.measure().await;
    let first = bench.respond("/backend-api/codex/responses", &key, AGENT).await;
    let served = first.header("x-polygate-account").unwrap().to_owned();
    let at = usize::from(bench.engine.accounts().list().iter().position(|account| account.id == served).unwrap() == 1);
    let headers = [
        ("x-codex-primary-used-percent", "100"),
        ("x-codex-primary-window-minutes", "300"),
        ("x-codex-primary-reset-after-seconds", "900"),
    ];
    let mut plan = offline::Plan::auto();
    for (name, value) in headers {
        plan = plan.header(name, value);
    }
    bench.backend.add_rule(offline::Rule::responses(plan).account(&bench.logins[at].account_id));
    let reply = bench.respond("/backend-api/codex/responses", &key, AGENT).await;
    assert_eq!((reply.status, reply.header("x-polygate-account")), (200, Some(served.as_str())));
    assert_eq!(reply.header("x-codex-primary-used-percent"), Some("12"), "{}", reply.head);
    assert_eq!(reply.header("x-codex-rate-limit-reached-type"), None);
}

#[tokio::test]
async fn a_linked_login_lets_in_on_codexs_paths_and_nowhere_else() {
    let bench = Bench::new().await;
    let access = bench.logins[0].access.clone();
    assert_eq!(bench.get("/backend-api/wham/usage", &access).await.status, 200);
    assert_eq!(bench.respond("/backend-api/codex/responses", &access, AGENT).await.status, 200);
    for (line, status) in [("/v1/models", 401), ("/admin/accounts", 401), ("/auth/accounts", 401)] {
        assert_eq!(bench.get(line, &access).await.status, status, "{line}");
    }
    assert_eq!(bench.respond("/v1/responses", &access, AGENT).await.status, 401);
    // A login that is not linked, an id token, a token that only looks like the login, and a refresh token.
    let other = bench.backend.account("plus");
    let forged = format!("{access}x");
    for stranger in [&other.access, &bench.logins[0].id, &forged, &bench.logins[0].refresh] {
        assert_eq!(bench.get("/backend-api/wham/usage", stranger).await.status, 401);
    }
}

/// The login is checked again with each message, by the rules of the path.
#[tokio::test]
async fn a_linked_login_speaks_over_a_socket_on_codexs_path_only() {
    let bench = Bench::new().await;
    let bearer = format!("Bearer {}", bench.logins[0].access);
    let headers = [("authorization", bearer.as_str()), ("user-agent", "codex_exec/0.169.0")];
    assert!(Socket::open(bench.gateway.port, &headers).await.is_err());
    let mut socket = Socket::at("/backend-api/codex/responses", bench.gateway.port, &headers).await.unwrap();
    for _ in 0..2 {
        let last = socket.ask(json!({"model": "gpt-6-sol", "input": "Reply with exactly: pong"})).await;
        assert_eq!(last["type"], "response.completed", "{last}");
    }
}

/// Codex refreshes its file and uses the new token before the gateway has read the file.
#[tokio::test]
async fn a_login_that_was_refreshed_a_moment_ago_lets_in() {
    let bench = Bench::new().await;
    let FakeAccount { account_id, user, .. } = bench.logins[0].clone();
    let again =
        NewAccount { account_id: Some(account_id), user: Some(user), expires_in: 900_000, ..NewAccount::default() };
    let fresh = bench.backend.add_account(again);
    std::fs::write(&bench.files[0], fresh.auth_json()).unwrap();
    // The client sends several calls at once with the new token.
    let calls = (0..4).map(|_| bench.get("/backend-api/wham/usage", &fresh.access));
    for answer in futures_util::future::join_all(calls).await {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(bench.get("/backend-api/wham/usage", &bench.logins[0].access).await.status, 401);
}

/// A blocked account's token may be valid for days, but its holder can no longer use the pool.
#[tokio::test]
async fn an_account_that_the_provider_blocks_lets_nobody_in() {
    let bench = Bench::new().await;
    let login = bench.logins[0].clone();
    bench.backend.add_rule(offline::Rule::responses(offline::Plan::deactivated_workspace()).account(&login.account_id));
    let blocked = |engine: &Engine| {
        engine
            .accounts()
            .list()
            .iter()
            .any(|account| account.account_id == login.account_id && account.status == "blocked")
    };
    // The other account may serve first, but the scripted account gets its turn.
    for _ in 0..8 {
        if blocked(&bench.engine) {
            break;
        }
        bench.respond("/backend-api/codex/responses", &bench.logins[1].access, AGENT).await;
    }
    assert!(blocked(&bench.engine));
    assert_eq!(bench.get("/backend-api/wham/usage", &login.access).await.status, 401);
    assert_eq!(bench.get("/backend-api/wham/usage", &bench.logins[1].access).await.status, 200);
}

#[tokio::test]
async fn an_account_that_is_switched_off_lets_nobody_in() {
    let bench = Bench::new().await;
    let id = bench
        .engine
        .accounts()
        .list()
        .into_iter()
        .find(|account| account.account_id == bench.logins[0].account_id)
        .unwrap()
        .id;
    let admin = format!("authorization: Bearer {}", bench.gateway.keys.admin);
    let body = json!({"ids": [id], "status": "disabled"}).to_string();
    let headers = ["host: localhost", "content-type: application/json", admin.as_str()];
    let done = bench.gateway.ask("POST /auth/accounts/batch-status", &headers, body.as_bytes()).await;
    assert_eq!(done.status, 200, "{}", done.text());
    assert_eq!(bench.get("/backend-api/wham/usage", &bench.logins[0].access).await.status, 401);
    assert_eq!(bench.get("/backend-api/wham/usage", &bench.logins[1].access).await.status, 200);
}

/// Spending a reset credit is irreversible: only the login of its account may do it, and no client key.
#[tokio::test]
async fn reset_credits_are_their_owners() {
    let bench = Bench::new().await;
    bench.exhaust(0);
    bench.measure().await;
    let (key, access) = (bench.gateway.keys.client.clone(), bench.logins[0].access.clone());
    let path = "/backend-api/wham/rate-limit-reset-credits";
    let none = read(&bench.get(path, &key).await);
    assert_eq!((&none["available_count"], &none["credits"]), (&json!(0), &json!([])));
    let own = read(&bench.get(path, &access).await);
    assert_eq!((&own["available_count"], &own["credits"][0]["status"]), (&json!(1), &json!("available")));
    assert_eq!(
        read(&bench.get("/backend-api/wham/usage", &access).await)["rate_limit_reset_credits"]["available_count"],
        1
    );
    let order = json!({"redeem_request_id": "11111111-1111-4111-8111-111111111111"});
    let line = format!("POST {path}/consume");
    assert_eq!(
        read(&bench.ask(&line, &key, &[], order.clone()).await),
        json!({"code": "no_credit", "windows_reset": 0})
    );
    assert_eq!(
        read(&bench.ask(&line, &access, &[], order.clone()).await),
        json!({"code": "reset", "windows_reset": 1})
    );
    assert_eq!(bench.ask(&line, &access, &[], json!({})).await.status, 400);
    let balance =
        async |bearer: &str| read(&bench.get("/backend-api/wham/usage", bearer).await)["credits"]["balance"].clone();
    assert_eq!((balance(&key).await, balance(&access).await), (Value::Null, json!("0")));
}

#[tokio::test]
async fn what_only_the_real_backend_has_is_answered_quietly() {
    let bench = Bench::new().await;
    let key = bench.gateway.keys.client.clone();
    let events = bench.ask("POST /backend-api/codex/analytics-events/events", &key, &[], json!({"events": []})).await;
    assert_eq!((events.status, events.text().as_str()), (200, "{}"));
    let plugins = read(&bench.get("/backend-api/ps/plugins/suggested/codex?scope=GLOBAL", &key).await);
    assert_eq!(plugins, json!({"plugins": [], "pagination": {}}));
    for path in ["/backend-api/ps/other", "/backend-api/plugins/export/curated"] {
        let answer = bench.get(path, &key).await;
        assert_eq!((answer.status, &read(&answer)["error"]["code"]), (404, &json!("not_found")), "{path}");
    }
    let mcp = async |body: Value| {
        let headers = ["host: localhost", "content-type: application/json"];
        bench.gateway.ask("POST /backend-api/ps/mcp", &headers, body.to_string().as_bytes()).await
    };
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": "2025-06-18"}});
    let reply_text = read(&mcp(hello).await);
    assert_eq!((&reply_text["id"], &reply_text["result"]["protocolVersion"]), (&json!(0), &json!("2025-06-18")));
    let tools = read(&mcp(json!({"jsonrpc": "2.0", "id": "a", "method": "tools/list"})).await);
    assert_eq!(tools, json!({"jsonrpc": "2.0", "id": "a", "result": {"tools": []}}));
    assert_eq!(mcp(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await.status, 202);
    let long = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"more": "x".repeat(16 << 10)}});
    assert_eq!(mcp(long).await.status, 413);
    for path in ["profiles/me", "settings/user", "workspace-messages", "security-setup"] {
        for base in BASES {
            assert_eq!(bench.get(&format!("{base}/{path}"), &key).await.status, 200, "{base}/{path}");
        }
    }
}

/// Calls for features that the gateway does not have get an error in the client's format, which the client does not repeat, and never reach
/// the backend.
#[tokio::test]
async fn unsupported_calls_are_refused_without_retries() {
    let bench = Bench::new().await;
    let key = bench.gateway.keys.client.clone();
    let nudges = BASES.map(|base| format!("{base}/accounts/send_add_credits_nudge_email"));
    let others =
        ["/backend-api/codex/memories/trace_summarize", "/backend-api/codex/realtime/calls"].map(str::to_owned);
    for path in nudges.into_iter().chain(others) {
        let answer = bench.ask(&format!("POST {path}"), &key, &[], json!({"credit_type": "credits"})).await;
        let error = read(&answer)["error"].clone();
        assert_eq!((answer.status, &error["code"]), (404, &json!("not_found")), "{path}: {error}");
        assert!(error["message"].is_string() && answer.header("retry-after").is_none(), "{path}: {error}");
    }
    for base in BASES {
        for name in ["thread_usage/query", "thread_usage/query_v2", "thread-estimates/query"] {
            let answer = bench.ask(&format!("POST {base}/usage/{name}"), &key, &[], json!({"thread_ids": []})).await;
            assert_eq!((answer.status, answer.text().as_str()), (200, "{}"), "{base} {name}");
        }
        // The client sends no credential here.
        let keys = bench.gateway.ask(&format!("GET {base}/agent-identities/jwks"), &["host: localhost"], b"").await;
        assert_eq!((keys.status, read(&keys)), (200, json!({"keys": []})), "{base}");
    }
    let words = ["nudge", "trace_summarize", "realtime", "/usage/", "jwks"];
    let record = bench.backend.record();
    assert!(
        record.requests.iter().all(|seen| words.iter().all(|word| !seen.path.contains(word))),
        "{:?}",
        record.requests
    );
}

/// A device's attestation is about its owner's account, and must not vouch for the calls of another account.
#[tokio::test]
async fn a_clients_attestation_stays_here() {
    let bench = Bench::new().await;
    let key = bench.gateway.keys.client.clone();
    let canary = "v1.canary-of-a-device";
    let metadata = json!({"x-oai-attestation": canary, "ws_request_header_x_oai_attestation": canary});
    let body =
        json!({"model": "gpt-6-sol", "stream": true, "input": "Reply with exactly: pong", "client_metadata": metadata});
    for path in ["/backend-api/codex/responses", "/v1/responses"] {
        let bearer = format!("Bearer {key}");
        let lines = [format!("authorization: {bearer}"), format!("x-oai-attestation: {canary}")];
        let headers = ["host: localhost", "content-type: application/json", AGENT, &lines[0], &lines[1]];
        let mut wire = Wire::open(bench.gateway.port).await;
        wire.send(request(&format!("POST {path}"), &headers, body.to_string().as_bytes())).await;
        let reply = wire.answer().await.unwrap();
        assert!(reply.status == 200 && reply.text().contains("pong"), "{path}: {}", reply.text());
        let headers =
            [("authorization", bearer.as_str()), ("user-agent", "codex_exec/0.169.0"), ("x-oai-attestation", canary)];
        let mut socket = Socket::at(path, bench.gateway.port, &headers).await.unwrap();
        assert_eq!(socket.ask(body.clone()).await["type"], "response.completed", "{path}");
    }
    let record = bench.backend.record();
    assert_eq!(record.model_requests().count(), 4);
    for seen in &record.requests {
        let reply_text = format!("{:?} {}", seen.headers, seen.json());
        assert!(
            !reply_text.contains("canary-of-a-device") && !reply_text.contains("attestation"),
            "{}: {reply_text}",
            seen.path
        );
    }
}
