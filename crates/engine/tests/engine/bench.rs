//! An engine, its store in a directory of its own, and the backend that it speaks to.

use std::path::PathBuf;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use engine::{Call, Client, Clock, Engine, Head, KeyId, Parts, Refusal, Reply, ReplyBody, ReplyStream, Settings};
use offline::{FakeAccount, NewAccount, Offline, Options, Running};
use pool::transport::TransportMode;
use pool::{AccountId, Millis, Secret, Tokens};
use proto::Dialect;
use serde_json::{Value, json};
use store::{Store, TokenOrigin, UsageRow};
use tempfile::TempDir;
use upstream::{Config, Timeouts, Upstream};
use url::Url;
use uuid::Uuid;

use crate::tls;

/// The bound of every wait of a test; never reached by one that passes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// A model that the backend lists and the bundled list too.
pub(crate) const MODEL: &str = "gpt-5.5";

pub(crate) struct Bench {
    pub(crate) backend: Running,
    pub(crate) engine: Engine,
    pub(crate) store: Store,
    /// The engine's outbound client.
    pub(crate) upstream: Upstream,
    /// The logins at the backend, and their ids here, in the same order.
    pub(crate) logins: Vec<FakeAccount>,
    pub(crate) ids: Vec<AccountId>,
    /// The engine's clock, moved by hand.
    pub(crate) clock: Clock,
    pub(crate) home: TempDir,
}

/// How a bench is set up.
pub(crate) struct Setup {
    pub(crate) options: Options,
    pub(crate) settings: Settings,
    pub(crate) accounts: Vec<NewAccount>,
    pub(crate) timeouts: Timeouts,
    /// Whether the backend speaks under TLS.
    pub(crate) secure: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            options: Options::default(),
            // Most tests are about POSTs; those about sockets say so.
            settings: Settings { transport: TransportMode::Http, ..Settings::default() },
            accounts: vec![NewAccount::default()],
            timeouts: Timeouts::default(),
            secure: false,
        }
    }
}

impl Setup {
    /// So many fresh accounts.
    pub(crate) fn accounts(count: usize) -> Self {
        Self { accounts: vec![NewAccount::default(); count], ..Self::default() }
    }

    /// One account whose access token has ended.
    pub(crate) fn expired() -> Self {
        Self { accounts: vec![expired()], ..Self::default() }
    }

    pub(crate) fn settings(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }
}

/// An account whose access token has ended.
pub(crate) fn expired() -> NewAccount {
    NewAccount { expires_in: -60, ..NewAccount::default() }
}

impl Bench {
    /// One fresh account and the usual settings.
    pub(crate) async fn new() -> Self {
        Self::with(Setup::default()).await
    }

    pub(crate) async fn with(setup: Setup) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let mut options = setup.options;
        let mut bundle = None;
        if setup.secure {
            let (tls, file) = tls::certificate(&["127.0.0.1"]);
            let bundle_file = home.path().join("authority.pem");
            std::fs::copy(file.path(), &bundle_file).expect("a copy");
            (options.tls, bundle) = (Some(tls), Some(bundle_file));
        }
        let backend = Offline::start(options).await.expect("the backend starts");
        let options = store::Options { home: home.path().to_owned(), ..store::Options::default() };
        let store = Store::open(options).await.expect("the store opens");
        let mut logins = Vec::new();
        let mut ids = Vec::new();
        for new in setup.accounts {
            let login = backend.add_account(new);
            ids.push(import(&store, &login).await);
            logins.push(login);
        }
        let clock = Clock::manual(now());
        let upstream = upstream_with_bundle(&backend, setup.timeouts, bundle);
        let parts =
            Parts { store: store.clone(), upstream: upstream.clone(), settings: setup.settings, clock: clock.clone() };
        let engine = Engine::start(parts).await.expect("the engine starts");
        Self { backend, engine, store, upstream, logins, ids, clock, home }
    }

    /// A second engine on the same store, as of a command: it does nothing by itself.
    pub(crate) async fn beside(&self) -> Engine {
        Engine::for_command(self.parts().await).await.expect("it opens")
    }

    /// The parts of a second engine on the same store.
    pub(crate) async fn parts(&self) -> Parts {
        let options = store::Options { home: self.home.path().to_owned(), ..store::Options::default() };
        Parts {
            store: Store::open(options).await.expect("a second handle"),
            upstream: upstream_with_bundle(&self.backend, Timeouts::default(), None),
            settings: Settings { transport: TransportMode::Http, ..Settings::default() },
            clock: self.clock.clone(),
        }
    }

    /// Runs a request to its end.
    pub(crate) async fn ask(&self, call: Call) -> Result<Answer, Refusal> {
        let Reply { head, body } =
            tokio::time::timeout(PATIENCE, Box::pin(self.engine.run(call))).await.expect("an answer in time")?;
        match body {
            ReplyBody::Whole(body) => Ok(Answer { body, head, pieces: 1 }),
            ReplyBody::Stream(stream) => Ok(Tap::from((head, stream)).rest().await),
        }
    }

    /// Begins a streaming request.
    pub(crate) async fn open(&self, call: Call) -> Tap {
        let reply = tokio::time::timeout(PATIENCE, self.engine.run(call)).await.expect("an answer in time");
        match reply {
            Ok(Reply { head, body: ReplyBody::Stream(stream) }) => (head, stream).into(),
            Ok(_) => panic!("a whole reply"),
            Err(refusal) => panic!("refused: {refusal}"),
        }
    }

    /// Lets time pass, here and at the backend.
    pub(crate) fn pass(&self, time: Duration) {
        self.clock.advance(time);
        self.backend.advance(time);
    }

    /// Model calls that the backend has seen.
    pub(crate) fn posts(&self) -> usize {
        self.backend.record().model_requests().count()
    }

    /// Asserts that the backend has nothing to complain about.
    pub(crate) fn innocent(&self) {
        assert_eq!(self.backend.record().offences, [], "offences");
    }

    /// Usage rows, newest first, once `count` are there.
    pub(crate) async fn rows(&self, count: usize) -> Vec<UsageRow> {
        let enough = async {
            loop {
                self.store.usage().flush().await;
                let rows = self.store.usage().rows(10_000).await.expect("rows");
                if rows.len() >= count {
                    return rows;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, enough).await.expect("the rows in time")
    }

    /// The state of an account, by its place.
    pub(crate) fn status(&self, at: usize) -> &'static str {
        self.status_of(&self.ids[at])
    }

    /// The state of an account, by its id.
    pub(crate) fn status_of(&self, id: &AccountId) -> &'static str {
        self.engine.accounts().list().iter().find(|view| view.id == id.0).map_or("gone", |view| view.status)
    }

    /// Waits until something holds.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let wait = async {
            while !holds(self) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("not in time: {what}"));
    }
}

/// The client for this backend.
pub(crate) fn upstream(backend: &Running, timeouts: Timeouts) -> Upstream {
    upstream_with_bundle(backend, timeouts, None)
}

fn upstream_with_bundle(backend: &Running, timeouts: Timeouts, ca_bundle: Option<PathBuf>) -> Upstream {
    let url = |text: String| Url::parse(&text).expect("a URL");
    let (base_url, auth_url) = (url(backend.base_url()), url(backend.auth_url()));
    Upstream::new(Config { base_url, auth_url, timeouts, ca_bundle, ..Config::default() }).expect("the client")
}

/// Stores a login as `login --import` does.
pub(crate) async fn import(store: &Store, login: &FakeAccount) -> AccountId {
    let access = Secret::from(login.access.as_str());
    let claims = upstream::jwt::Claims::from_tokens(&access, None);
    let now = Clock::System.now();
    let new = store::NewAccount {
        label: String::new(),
        email: login.email.clone(),
        plan: login.plan.clone(),
        upstream_id: login.account_id.clone(),
        user: login.user.clone(),
        fedramp: false,
        tokens: Tokens {
            access,
            refresh: Some(Secret::from(login.refresh.as_str())),
            id: Some(Secret::from(login.id.as_str())),
            expires: claims.expires,
            refreshed: now.plus(-3_600_000),
        },
        origin: TokenOrigin::Login,
        egress: None,
        status: pool::Status::Active,
    };
    store.put_account(new, now).await.expect("the account is stored").id
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) body: Bytes,
    pub(crate) head: Head,
    /// Pieces that it came in.
    pub(crate) pieces: usize,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }
}

/// A stream under way.
pub(crate) struct Tap {
    head: Head,
    stream: Box<ReplyStream>,
    got: BytesMut,
    pieces: usize,
}

impl From<(Head, Box<ReplyStream>)> for Tap {
    fn from((head, stream): (Head, Box<ReplyStream>)) -> Self {
        Self { head, stream, got: BytesMut::new(), pieces: 0 }
    }
}

impl Tap {
    /// The next piece.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        let next = std::future::poll_fn(|cx| self.stream.poll_bytes(cx));
        let piece = tokio::time::timeout(PATIENCE, next).await.expect("a piece in time")?;
        self.got.extend_from_slice(&piece);
        self.pieces += 1;
        Some(piece)
    }

    /// Reads until `part` was seen.
    pub(crate) async fn see(&mut self, part: &str) {
        while !self.so_far().contains(part) {
            assert!(self.next().await.is_some(), "ended before {part:?}: {}", self.so_far());
        }
    }

    pub(crate) fn so_far(&self) -> &str {
        std::str::from_utf8(&self.got).expect("UTF-8")
    }

    pub(crate) async fn rest(mut self) -> Answer {
        while self.next().await.is_some() {}
        Answer { body: self.got.freeze(), head: self.head, pieces: self.pieces }
    }
}

/// A request in either protocol.
pub(crate) fn call(dialect: Dialect, prompt: &str, stream: bool) -> Call {
    let body = match dialect {
        Dialect::Chat | Dialect::Ollama => {
            json!({"model": MODEL, "stream": stream, "messages": [{"role": "user", "content": prompt}]})
        }
        Dialect::Responses => json!({"model": MODEL, "stream": stream, "input": prompt}),
        Dialect::Messages => {
            let messages = json!([{"role": "user", "content": prompt}]);
            json!({"model": MODEL, "stream": stream, "max_tokens": 1000, "messages": messages})
        }
        Dialect::Gemini => json!({"contents": [{"role": "user", "parts": [{"text": prompt}]}]}),
    };
    let mut call = from(dialect, &body);
    // Gemini has both in the path.
    call.request.model.get_or_insert(MODEL.to_owned());
    call.request.reply.stream = stream;
    call
}

/// A request with this body.
pub(crate) fn from(dialect: Dialect, body: &Value) -> Call {
    let (request, notes) = dialect.read_request(body.to_string().into()).expect("a request");
    let client = Client { request_id: Uuid::now_v7().to_string(), ..Client::default() };
    Call { dialect, request, notes, key: KeyId("testkey1".into()), client, memory: engine::RequestMemory::default() }
}

/// A streaming chat request.
pub(crate) fn chat(prompt: &str) -> Call {
    call(Dialect::Chat, prompt, true)
}

/// A streaming responses request.
pub(crate) fn responses(prompt: &str) -> Call {
    call(Dialect::Responses, prompt, true)
}

/// A collected chat request.
pub(crate) fn whole(prompt: &str) -> Call {
    call(Dialect::Chat, prompt, false)
}

/// What a request came to that was refused.
pub(crate) fn refused(result: Result<Answer, Refusal>) -> Refusal {
    match result {
        Err(refusal) => refusal,
        Ok(answer) => panic!("not refused: {}", answer.text()),
    }
}

/// The data of every event of a stream, parsed; `[DONE]` is a string. A stream of bare lines is one of JSON lines.
pub(crate) fn events(text: &str) -> Vec<Value> {
    if text.starts_with('{') {
        return text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    }
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).unwrap_or_else(|_| Value::from(data))).collect()
}

/// The visible text of a stream.
pub(crate) fn words(dialect: Dialect, text: &str) -> String {
    let delta = |event: &Value| match dialect {
        Dialect::Chat => event["choices"][0]["delta"]["content"].as_str().map(str::to_owned),
        Dialect::Responses if event["type"] == "response.output_text.delta" => {
            event["delta"].as_str().map(str::to_owned)
        }
        Dialect::Responses => None,
        Dialect::Messages => event["delta"]["text"].as_str().map(str::to_owned),
        Dialect::Gemini => event["candidates"][0]["content"]["parts"][0]["text"].as_str().map(str::to_owned),
        Dialect::Ollama => event["message"]["content"].as_str().map(str::to_owned),
    };
    events(text).iter().filter_map(delta).collect()
}

/// Unix milliseconds.
pub(crate) fn now() -> Millis {
    Clock::System.now()
}
