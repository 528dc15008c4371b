//! A server under test.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use engine::{Engine, NewKey};
use pool::keys::{KeyKind, Scope, Scopes};
use pool::transport::TransportMode;
use pool::{Millis, Secret, Tokens};
use server::{Counters, Ollama, Server, Settings};
use store::{NewAccount, Store, TokenOrigin};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::described;
use crate::wire::{Answer, Wire};

/// The client key that the owner chose.
pub(crate) const FIXED: &str = "a key of one's own";

/// A running server, and every kind of credential for it.
pub(crate) struct Gateway {
    pub(crate) port: u16,
    /// The port of the Ollama listener, 0 if there is none.
    pub(crate) ollama: u16,
    pub(crate) counters: Arc<Counters>,
    pub(crate) keys: Keys,
    pub(crate) shutdown: CancellationToken,
    pub(crate) now: CancellationToken,
    task: JoinHandle<()>,
    _home: TempDir,
}

/// One credential of each kind.
pub(crate) struct Keys {
    pub(crate) client: String,
    pub(crate) revoked: String,
    pub(crate) expired: String,
    pub(crate) admin: String,
    pub(crate) reader: String,
    pub(crate) exporter: String,
}

impl Gateway {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let home = TempDir::new().unwrap();
        let engine = engine(store(&home).await, "http://127.0.0.1:1").await;
        Self::on(engine, home, change).await
    }

    /// A gateway with an account whose backend is never reached, so that the built-in models are listed.
    pub(crate) async fn listing(change: impl FnOnce(&mut Settings)) -> Self {
        let home = TempDir::new().unwrap();
        let store = store(&home).await;
        let tokens = Tokens {
            access: Secret::new("access"),
            refresh: None,
            id: None,
            expires: Some(Millis(4_102_444_800_000)),
            refreshed: Millis(1),
        };
        let account = NewAccount {
            label: String::new(),
            email: "a@b.c".to_owned(),
            plan: "plus".to_owned(),
            upstream_id: "account".to_owned(),
            user: "user".to_owned(),
            fedramp: false,
            tokens,
            origin: TokenOrigin::Login,
            egress: None,
            status: pool::Status::Active,
        };
        store.put_account(account, Millis(1)).await.unwrap();
        let engine = engine(store, "http://127.0.0.1:1").await;
        Self::on(engine, home, change).await
    }

    pub(crate) async fn on(engine: Engine, home: TempDir, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings { port: 0, ..Settings::default() };
        change(&mut settings);
        let server = Server::bind(settings, engine.clone()).unwrap();
        let (port, counters) = (server.addresses()[0].port(), server.counters());
        let ollama = server.ollama_addresses().first().map_or(0, std::net::SocketAddr::port);
        let (shutdown, now) = (CancellationToken::new(), CancellationToken::new());
        let task = tokio::spawn(server.run_until(shutdown.clone(), now.clone()));
        let keys = Keys::make(&engine).await;
        Self { port, ollama, counters, keys, shutdown, now, task, _home: home }
    }

    /// Sends a request line, header lines and a body on a new connection. Responses of the admin API must be as described.
    pub(crate) async fn ask(&self, line: &str, headers: &[&str], body: &[u8]) -> Answer {
        let answer = ask(self.port, line, headers, body).await;
        described::check(line, body, &answer);
        answer
    }

    /// Asks the Ollama listener.
    pub(crate) async fn ask_ollama(&self, line: &str, headers: &[&str], body: &[u8]) -> Answer {
        ask(self.ollama, line, headers, body).await
    }

    /// A POST of JSON with the client key.
    pub(crate) async fn post(&self, path: &str, headers: &[&str], body: &[u8]) -> Answer {
        let key = format!("authorization: Bearer {}", self.keys.client);
        let mut all = vec!["host: localhost", "content-type: application/json", key.as_str()];
        all.extend(headers);
        self.ask(&format!("POST {path}"), &all, body).await
    }

    /// Waits until the server has stopped.
    pub(crate) async fn stopped(self) {
        self.task.await.unwrap();
    }
}

impl Keys {
    async fn make(engine: &Engine) -> Self {
        let key = async |kind, scopes: &[Scope], expires| {
            let scopes: Scopes = scopes.iter().copied().collect();
            engine.keys().create(NewKey { name: "test".to_owned(), kind, scopes, expires, tools: None }).await.unwrap()
        };
        let text = |key: engine::CreatedKey| -> String { Secret::expose(&key.text).to_owned() };
        let revoked = key(KeyKind::Client, &[], None).await;
        engine.keys().revoke(&revoked.id).await.unwrap();
        Self {
            client: text(key(KeyKind::Client, &[], None).await),
            revoked: text(revoked),
            expired: text(key(KeyKind::Client, &[], Some(pool::Millis(1))).await),
            admin: text(key(KeyKind::Admin, &[Scope::Read, Scope::Write], None).await),
            reader: text(key(KeyKind::Admin, &[Scope::Read], None).await),
            exporter: text(key(KeyKind::Admin, &[Scope::Export], None).await),
        }
    }
}

async fn ask(port: u16, line: &str, headers: &[&str], body: &[u8]) -> Answer {
    let mut wire = Wire::open(port).await;
    wire.send(request(line, headers, body)).await;
    let answer = wire.answer().await.unwrap_or_else(|| panic!("no answer to {line} {headers:?}"));
    answer.check();
    answer
}

/// Settings with an Ollama listener on a free port.
pub(crate) fn ollama() -> Ollama {
    Ollama { enabled: true, port: 0, ..Ollama::default() }
}

/// A store in `home`.
pub(crate) async fn store(home: &TempDir) -> Store {
    let options = store::Options { home: home.path().join("home"), ..store::Options::default() };
    Store::open(options).await.unwrap()
}

/// An engine whose backend is at `base`.
pub(crate) async fn engine(store: Store, base: &str) -> Engine {
    engine_with(store, base, |_| {}).await
}

/// An engine whose backend is at `base`, with changed settings.
pub(crate) async fn engine_with(store: Store, base: &str, change: impl FnOnce(&mut engine::Settings)) -> Engine {
    let url = |path: &str| format!("{base}{path}").parse().unwrap();
    let config = upstream::Config { base_url: url("/backend-api"), auth_url: url(""), ..upstream::Config::default() };
    let mut settings = engine::Settings { api_key: Some(Secret::new(FIXED)), ..engine::Settings::default() };
    // These tests are about POSTs.
    settings.transport = TransportMode::Http;
    settings.proxies.echo = url("/echo");
    change(&mut settings);
    let upstream = upstream::Upstream::new(config).unwrap();
    Engine::start(engine::Parts { store, upstream, settings, clock: engine::Clock::System }).await.unwrap()
}

/// A whole HTTP/1.1 request.
pub(crate) fn request(line: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut lines = vec![format!("{line} HTTP/1.1")];
    lines.extend(headers.iter().map(ToString::to_string));
    if !body.is_empty() {
        lines.push(format!("content-length: {}", body.len()));
    }
    [lines.join("\r\n").as_bytes(), b"\r\n\r\n", body].concat()
}

/// A counter's value.
pub(crate) fn count(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
