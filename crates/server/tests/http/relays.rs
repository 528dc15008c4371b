//! Relays over the admin API, and the services that only relays offer: embeddings, audio and images.

use std::sync::{Arc, Mutex};

use offline::{Endpoint, Plan, Rule, Termination};
use serde_json::{Value, json};

use crate::gateway::{Gateway, request};
use crate::streams;
use crate::wire::{Answer, Wire};

/// A key that the backend's relays accept.
const KEY: &str = "sk-offline-canary-0123456789";

/// The log of this thread, on which the server of a test runs too.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct Bench {
    gateway: Gateway,
    backend: offline::Running,
}

impl Bench {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut server::Settings)) -> Self {
        let (gateway, backend) = streams::gateway(change).await;
        Self { gateway, backend }
    }

    /// An admin call with this token and an optional body.
    async fn admin(&self, token: &str, line: &str, body: &Value) -> Answer {
        let key = format!("authorization: Bearer {token}");
        let headers = ["host: localhost", "content-type: application/json", key.as_str()];
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.gateway.ask(line, &headers, text.as_bytes()).await;
        answer.check();
        answer
    }

    /// A call with a token that may write.
    async fn write(&self, line: &str, body: Value) -> Answer {
        self.admin(&self.gateway.keys.admin, line, &body).await
    }

    async fn list(&self) -> Vec<Value> {
        let answer = self.write("GET /auth/api-keys", Value::Null).await;
        read(&answer)["keys"].as_array().cloned().unwrap()
    }

    /// A request to add the backend's chat relay.
    fn relay_body(&self) -> Value {
        let url = format!("{}/relay/chat/v1", self.backend.auth_url());
        json!({"provider": "custom", "baseUrl": url, "apiKey": KEY, "label": "My Relay", "allowPrivate": true})
    }

    async fn able(&self) -> Value {
        let mut relay_body = self.relay_body();
        relay_body["capabilities"] = json!(["chat", "embeddings", "audio", "images"]);
        let answer = self.write("POST /auth/api-keys", relay_body).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        read(&answer)["keys"][0].clone()
    }

    /// A POST of JSON whose response may be of any type; `None` if the connection ends inside the response.
    async fn raw(&self, path: &str, body: &str) -> Option<Answer> {
        let key = format!("authorization: Bearer {}", self.gateway.keys.client);
        let headers = ["host: localhost", "content-type: application/json", key.as_str()];
        let mut wire = Wire::open(self.gateway.port).await;
        wire.send(request(&format!("POST {path}"), &headers, body.as_bytes())).await;
        wire.answer().await
    }

    /// A form with the client key.
    async fn form(&self, path: &str, body: &[u8]) -> Answer {
        let key = format!("authorization: Bearer {}", self.gateway.keys.client);
        let headers = ["host: localhost", "content-type: multipart/form-data; boundary=b", key.as_str()];
        self.gateway.ask(&format!("POST {path}"), &headers, body).await
    }
}

fn read(answer: &Answer) -> Value {
    serde_json::from_str(&answer.text()).unwrap_or_else(|_| panic!("no JSON: {} {}", answer.status, answer.text()))
}

#[tokio::test]
async fn relays_are_added_seen_changed_and_removed() {
    let bench = Bench::new().await;
    assert_eq!(bench.list().await, Vec::<Value>::new());
    let catalog = read(&bench.write("GET /auth/api-keys/catalog", Value::Null).await);
    assert_eq!(catalog["catalog"]["anthropic"]["defaultBaseUrl"], "https://api.anthropic.com");

    let added = read(&bench.write("POST /auth/api-keys", bench.relay_body()).await);
    let entry = &added["keys"][0];
    assert_eq!((&added["added"], &entry["label"], &entry["wire"]), (&json!(1), &json!("my-relay"), &json!("chat")));
    assert_eq!((&entry["allowPrivate"], &entry["origin"]), (&json!(true), &json!("store")));
    assert!(!added.to_string().contains("canary"), "{added}");
    // A taken name gets a number, unless the exact name is requested.
    let again = read(&bench.write("POST /auth/api-keys", bench.relay_body()).await);
    assert_eq!(again["keys"][0]["label"], "my-relay-2");
    let mut exact = bench.relay_body();
    exact["name"] = json!("my-relay");
    assert_eq!(bench.write("POST /auth/api-keys", exact).await.status, 409);

    let id = entry["id"].as_str().unwrap();
    let label = bench.write(&format!("PATCH /auth/api-keys/{id}/label"), json!({"label": "Other Name"})).await;
    assert_eq!((label.status, &read(&label)["label"]), (200, &json!("other-name")));
    let off = bench.write(&format!("PATCH /auth/api-keys/{id}/status"), json!({"status": "disabled"})).await;
    assert_eq!(read(&off)["status"], "disabled");
    let odd = bench.write(&format!("PATCH /auth/api-keys/{id}/status"), json!({"status": "odd"})).await;
    assert_eq!(odd.status, 400);
    bench.write(&format!("PATCH /auth/api-keys/{id}/status"), json!({"status": "active"})).await;
    for (key, status) in [("sk-wrong", 503), ("sk-offline-another", 200)] {
        let rekeyed = bench.write(&format!("PATCH /auth/api-keys/{id}/key"), json!({"apiKey": key})).await;
        assert_eq!((rekeyed.status, &read(&rekeyed)["status"]), (200, &json!("active")));
        assert!(!rekeyed.text().contains(key), "{}", rekeyed.text());
        let body = json!({"model": "other-name:llama-4-scout", "messages": [{"role": "user", "content": "hello"}]});
        let answer = bench.gateway.post("/v1/chat/completions", &[], body.to_string().as_bytes()).await;
        assert_eq!(answer.check().status, status, "{key} {}", answer.text());
    }
    let odd = bench.write(&format!("PATCH /auth/api-keys/{id}/key"), json!({"key": KEY})).await;
    assert!(odd.status == 400 && !odd.text().contains("canary"), "{}", odd.text());
    assert_eq!(bench.write("PATCH /auth/api-keys/none/key", json!({"apiKey": KEY})).await.status, 404);
    assert_eq!(bench.write(&format!("DELETE /auth/api-keys/{id}"), Value::Null).await.status, 204);
    assert_eq!(bench.write(&format!("DELETE /auth/api-keys/{id}"), Value::Null).await.status, 404);
    let ids: Vec<Value> = bench.list().await.iter().map(|entry| entry["id"].clone()).collect();
    let gone = read(&bench.write("POST /auth/api-keys/batch-delete", json!({"ids": ids})).await);
    assert_eq!(gone, json!({"success": true, "deleted": 1}));
}

#[tokio::test]
async fn what_may_not_be_is_refused_without_a_word_of_the_key() {
    let bench = Bench::new().await;
    let with = |name: &str, value: Value| {
        let mut relay_body = bench.relay_body();
        relay_body[name] = value;
        relay_body
    };
    let rows = [
        (with("allowPrivate", json!(false)), 400),
        (with("baseUrl", json!("http://169.254.169.254/latest")), 400),
        (with("baseUrl", json!("ftp://example.com")), 400),
        (with("baseUrl", json!(format!("http://u:{KEY}@localhost/v1"))), 400),
        (with("provider", json!("nobody")), 400),
        (with("wire", json!("carrier-pigeon")), 400),
        (with("capabilities", json!(["flying"])), 400),
        (with("prefix", json!("a b")), 400),
        (with("name", json!("No Name")), 400),
        (with("apiKey", json!({"secret": KEY})), 400),
        (with("unknown", json!(KEY)), 400),
        (json!({"provider": "custom", "apiKey": KEY}), 400),
    ];
    for (relay_body, status) in rows {
        let answer = bench.write("POST /auth/api-keys", relay_body.clone()).await;
        assert_eq!(answer.status, status, "{relay_body} {}", answer.text());
        assert!(!answer.text().contains("canary"), "{}", answer.text());
    }
    assert_eq!(bench.list().await, Vec::<Value>::new());
}

#[tokio::test]
async fn an_export_wants_its_own_scope_and_is_read_back() {
    let bench = Bench::new().await;
    bench.able().await;
    let exporter = bench.gateway.keys.exporter.clone();
    let log = Log::default();
    let writer = log.clone();
    let lines = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    let logged = tracing::subscriber::set_default(lines);
    let exported = read(&bench.admin(&exporter, "GET /auth/api-keys/export", &Value::Null).await);
    drop(logged);
    let log_text = log.text();
    assert!(
        log_text.contains("audit") && log_text.contains("relays exported") && !log_text.contains("canary"),
        "{log_text}"
    );
    assert_eq!(exported["keys"][0]["apiKey"], KEY);
    let listed = bench.write("GET /auth/api-keys", Value::Null).await.text();
    assert!(!listed.contains("canary"), "{listed}");

    let id = bench.list().await[0]["id"].as_str().unwrap().to_owned();
    bench.write(&format!("DELETE /auth/api-keys/{id}"), Value::Null).await;
    let mut keys = exported["keys"].as_array().cloned().unwrap();
    keys.push(json!({"provider": "custom", "label": "bad", "apiKey": KEY, "baseUrl": "http://169.254.169.254"}));
    let mut foreign = bench.relay_body();
    foreign["wire"] = json!("codex-responses");
    keys.push(foreign);
    let imported = read(&bench.write("POST /auth/api-keys/import", json!({ "keys": keys })).await);
    assert_eq!((&imported["added"], &imported["failed"]), (&json!(2), &json!(1)));
    assert!(!imported.to_string().contains("canary"), "{imported}");
    let foreign = bench.list().await.pop().unwrap();
    assert_eq!((&foreign["label"], &foreign["wire"]), (&json!("my-relay-2"), &json!("responses")));
    bench.write(&format!("DELETE /auth/api-keys/{}", foreign["id"].as_str().unwrap()), Value::Null).await;
    let again = read(&bench.admin(&exporter, "GET /auth/api-keys/export", &Value::Null).await);
    assert_eq!(again, exported);
}

#[tokio::test]
async fn models_of_a_relay_are_asked_for_before_it_is_added() {
    let bench = Bench::new().await;
    let models = read(&bench.write("POST /auth/api-keys/models", bench.relay_body()).await);
    assert!(models["models"].as_array().unwrap().iter().any(|model| model["id"] == "llama-4-scout"), "{models}");
    let mut relay_body = bench.relay_body();
    relay_body["apiKey"] = json!("sk-wrong");
    let refused = bench.write("POST /auth/api-keys/models", relay_body.clone()).await;
    assert_eq!((refused.status, &read(&refused)["error"]["code"]), (401, &json!("relay_key_refused")));
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    relay_body["baseUrl"] = json!(format!("http://{closed}/v1"));
    assert_eq!(bench.write("POST /auth/api-keys/models", relay_body).await.status, 502);
    assert_eq!(bench.list().await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_relay_serves_and_is_named() {
    let bench = Bench::new().await;
    bench.able().await;
    let body = json!({"model": "my-relay:llama-4-scout", "messages": [{"role": "user", "content": "Reply with exactly: pong"}]});
    let answer = bench.gateway.post("/v1/chat/completions", &[], body.to_string().as_bytes()).await;
    assert_eq!(answer.check().status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-polygate-account"), Some("my-relay"));
    assert_eq!(answer.header("x-polygate-model"), Some("llama-4-scout"));
    assert!(answer.text().contains("pong"));
}

#[tokio::test]
async fn models_are_listed_with_their_owner() {
    let bench = Bench::new().await;
    let mut relay_body = bench.relay_body();
    relay_body["models"] = json!(["a/b", "gpt-6-sol"]);
    bench.write("POST /auth/api-keys", relay_body).await;
    let key = format!("authorization: Bearer {}", bench.gateway.keys.client);
    let get =
        async |path: &str| read(&bench.gateway.ask(&format!("GET {path}"), &["host: localhost", &key], b"").await);
    let list = get("/v1/models").await;
    let owned: Vec<_> =
        list["data"].as_array().unwrap().iter().filter(|model| model["owned_by"] == "my-relay").collect();
    let ids: Vec<_> = owned.iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["a/b", "my-relay:gpt-6-sol"]);
    let one = get("/v1/models/a%2Fb").await;
    assert_eq!((&one["id"], &one["owned_by"]), (&json!("a/b"), &json!("my-relay")));
    assert_eq!(get("/v1/models/gpt-6-sol").await["owned_by"], "openai");
}

#[tokio::test]
async fn embeddings_and_speech_pass() {
    let bench = Bench::new().await;
    let body = json!({"model": "text-embedding-3-small", "input": "hello"}).to_string();
    let nobody = bench.gateway.post("/v1/embeddings", &[], body.as_bytes()).await;
    assert_eq!((nobody.check().status, &read(&nobody)["error"]["code"]), (404, &json!("unsupported_endpoint")));
    bench.able().await;
    let answer = bench.gateway.post("/v1/embeddings", &[], body.as_bytes()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(read(&answer)["data"][0]["object"], "embedding");
    assert_eq!(answer.header("x-polygate-account"), Some("my-relay"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    let speech = json!({"model": "gpt-4o-mini-tts", "input": "hi", "voice": "alloy"}).to_string();
    let answer = bench.raw("/v1/audio/speech", &speech).await.unwrap();
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("audio/mpeg")));
    assert_eq!(answer.header("content-security-policy"), Some("default-src 'none'; frame-ancestors 'none'"));
    for (body, status) in [("{", 400), (r#"{"model":7,"input":"a"}"#, 400), (r#"{"model":"nothing","input":"a"}"#, 404)]
    {
        let answer = bench.gateway.post("/v1/embeddings", &[], body.as_bytes()).await;
        assert_eq!(answer.status, status, "{body} {}", answer.text());
    }
}

#[tokio::test]
async fn forms_pass_with_the_relays_name_of_the_model() {
    let bench = Bench::new().await;
    bench.able().await;
    let file = "x".repeat(100_000);
    let part =
        |name: &str, value: &str| format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    let sound = format!("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\n{file}\r\n");
    let model = part("model", "my-relay:whisper-1");
    for form in [format!("{model}{sound}--b--\r\n"), format!("{sound}{model}--b--\r\n")] {
        let answer = bench.form("/v1/audio/transcriptions", form.as_bytes()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(read(&answer)["text"], "I heard 100000 bytes.");
    }
    // A form is not JSON, and JSON endpoints refuse it.
    let answer = bench.form("/v1/embeddings", sound.as_bytes()).await;
    assert_eq!(answer.check().status, 415);
    let seen = bench.backend.record();
    assert_eq!(seen.requests_to(Endpoint::RelayMedia).count(), 2);
}

/// A client must be able to distinguish half a response from a whole one.
#[tokio::test]
async fn half_an_answer_breaks_the_connection() {
    let bench = Bench::new().await;
    bench.able().await;
    bench.backend.add_rule(Rule::at(Endpoint::RelayMedia, Plan::auto().cut_byte(60, Termination::Fin)));
    let body = json!({"model": "text-embedding-3-small", "input": "hello"}).to_string();
    let key = format!("authorization: Bearer {}", bench.gateway.keys.client);
    let mut wire = crate::wire::Wire::open(bench.gateway.port).await;
    let headers = ["host: localhost", "content-type: application/json", key.as_str()];
    wire.send(crate::gateway::request("POST /v1/embeddings", &headers, body.as_bytes())).await;
    assert!(
        wire.answer()
            .await
            .is_none_or(|answer| answer.body.len() < 60 || serde_json::from_slice::<Value>(&answer.body).is_err())
    );
    assert!(wire.answer().await.is_none(), "the connection is over");
}

/// An upload that stops or becomes too long while it is forwarded gets a 4xx, because it is the client's fault.
#[tokio::test]
async fn a_form_that_breaks_off_says_why() {
    let bench = Bench::with(|settings| {
        settings.limits.wire = 64 << 10;
        settings.limits.body_stall = std::time::Duration::from_millis(200);
    })
    .await;
    bench.able().await;
    let begin = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nmy-relay:whisper-1\r\n--b\r\n\
        Content-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\n";
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let key = &bench.gateway.keys.client;
    for (rest, status) in [("x".repeat(100), 408), ("x".repeat(70_000), 413)] {
        let head = format!(
            "POST /v1/audio/transcriptions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n\
             content-type: multipart/form-data; boundary=b\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        let mut wire = Wire::open(bench.gateway.port).await;
        wire.send(format!("{head}{}{}", chunk(begin), chunk(&rest)).into_bytes()).await;
        let answer = wire.answer().await.unwrap();
        assert_eq!(answer.status, status, "{}", answer.text());
    }
}
