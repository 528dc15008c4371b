//! The binary in a separate home, with an offline backend.

#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "a failing step of a test must end it")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use offline::FakeAccount;
use tempfile::TempDir;
use tokio::net::TcpStream;

/// A fixed client key for tests that are not about keys.
pub(crate) const KEY: &str = "test-key-of-more-than-24-characters";

/// A home with the settings for one backend.
pub(crate) struct Home {
    pub(crate) dir: TempDir,
    backend: String,
    env: Vec<(&'static str, String)>,
    level: &'static str,
    /// Soft limit of open files at the start of its commands.
    files: Option<u32>,
}

impl Home {
    /// An empty home.
    pub(crate) fn new(backend: &offline::Running) -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            backend: backend.auth_url(),
            env: Vec::new(),
            level: "debug",
            files: None,
        }
    }

    /// Adds a variable to the environment of every command.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.env.push((name, value.into()));
        self
    }

    /// The folder that `--home` names.
    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.dir.path().join("home")
    }

    /// Its gateway logs only warnings and errors.
    pub(crate) fn logging_warnings(mut self) -> Self {
        self.level = "warn";
        self
    }

    /// Its gateway logs at the trace level.
    pub(crate) fn logging_trace(mut self) -> Self {
        self.level = "trace";
        self
    }

    /// Its commands start with this soft limit of open files.
    pub(crate) fn with_file_limit(mut self, files: u32) -> Self {
        self.files = Some(files);
        self
    }

    /// A command of the binary in this home.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.binary();
        command.env_clear().arg("--home").arg(self.path()).args(args);
        for name in ["PATH", "LLVM_PROFILE_FILE"] {
            std::env::var_os(name).map(|value| command.env(name, value));
        }
        command
            .env("POLYGATE_UPSTREAM__BASE_URL", format!("{}/backend-api", self.backend))
            .env("POLYGATE_UPSTREAM__AUTH_URL", &self.backend)
            .env("POLYGATE_UPSTREAM__VERSION_SYNC", "false")
            .env("POLYGATE_PROXIES__ECHO_URL", format!("{}/echo", self.backend))
            .env("POLYGATE_SERVER__API_KEY", KEY)
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    fn binary(&self) -> Command {
        let binary = env!("CARGO_BIN_EXE_polygate");
        let Some(files) = self.files else { return Command::new(binary) };
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &format!("ulimit -S -n {files}; exec \"$0\" \"$@\""), binary]);
        shell
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs a command that must succeed, and returns its standard output.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Signs an account in from its auth.json.
    pub(crate) fn import(&self, account: &FakeAccount) {
        let file = self.dir.path().join("auth.json");
        std::fs::write(&file, account.auth_json()).unwrap();
        self.ok(&["login", "--import", file.to_str().unwrap()]);
    }

    /// Starts `serve` on a free port; `env` is added to its environment.
    pub(crate) fn serve(&self, env: &[(&str, &str)]) -> Gateway {
        self.try_serve(env).unwrap_or_else(|log| panic!("serve said nothing: {log}"))
    }

    /// Like [`Self::serve`], for a gateway that may end before it listens; then its log is the error.
    pub(crate) fn try_serve(&self, env: &[(&str, &str)]) -> Result<Gateway, String> {
        let mut command = self.command(&["serve", "--port", "0", "--log-level", self.level]);
        command.envs(env.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Gateway::of(command.spawn().unwrap())
    }
}

/// Standard error of a running child, read continuously so that the child never blocks.
pub(crate) struct Log {
    text: std::sync::Arc<std::sync::Mutex<String>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Log {
    fn of(child: &mut Child) -> Self {
        let text = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
        let (shared, stderr) = (std::sync::Arc::clone(&text), child.stderr.take().unwrap());
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut text = shared.lock().unwrap();
                text.push_str(&line);
                text.push('\n');
            }
        });
        Self { text, reader: Some(reader) }
    }

    /// The log so far.
    pub(crate) fn text(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    /// The whole log of a child that has ended.
    pub(crate) fn whole(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.text()
    }
}

/// A running `serve`; killed when dropped.
pub(crate) struct Gateway {
    pub(crate) child: Child,
    pub(crate) port: u16,
    pub(crate) log: Log,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer to a client.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: String,
}

impl Gateway {
    /// Waits until a new `serve` with piped output listens; its log is the error when it does not.
    pub(crate) fn of(mut child: Child) -> Result<Self, String> {
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut log = Log::of(&mut child);
        let Some(Ok(first)) = lines.next() else {
            child.wait().unwrap();
            return Err(log.whole());
        };
        let port = first.rsplit(':').next().unwrap().parse().unwrap_or_else(|_| panic!("no port in {first:?}"));
        Ok(Self { child, port, log })
    }

    /// Sends one request on a separate connection, and waits for the head of the answer; an error when the gateway has ended.
    pub(crate) async fn open(&self, request: Request<Full<Bytes>>) -> anyhow::Result<Response<Incoming>> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender.send_request(request).await?)
    }

    /// Sends one request on a separate connection; an error when the gateway has ended.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> anyhow::Result<Answer> {
        let answer = self.open(request).await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.into_body().collect().await?.to_bytes();
        Ok(Answer { status, headers, body: String::from_utf8_lossy(&body).into_owned() })
    }

    /// A request with a key and a JSON body (or none).
    pub(crate) fn request(&self, method: &str, path: &str, key: &str, body: &str) -> Request<Full<Bytes>> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", format!("127.0.0.1:{}", self.port))
            .header("authorization", format!("Bearer {key}"));
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        request.body(Full::from(body.to_owned())).unwrap()
    }

    /// Sends a chat request without streaming.
    pub(crate) async fn chat(&self, prompt: &str) -> anyhow::Result<Answer> {
        let body = format!(r#"{{"model":"gpt-6-sol","messages":[{{"role":"user","content":"{prompt}"}}]}}"#);
        self.send(self.request("POST", "/v1/chat/completions", KEY, &body)).await
    }

    /// Sends SIGKILL, and waits for the end.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends SIGTERM, and returns the exit status.
    pub(crate) fn terminate(mut self) -> std::process::ExitStatus {
        self.signal("TERM");
        self.wait(Duration::from_secs(30))
    }

    /// Sends SIGTERM, and returns the whole log.
    pub(crate) fn end(mut self) -> String {
        self.signal("TERM");
        assert!(self.wait(Duration::from_secs(30)).success());
        self.log.whole()
    }

    /// Sends the process a signal: `TERM`, `INT`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// Waits for the process to end by itself.
    pub(crate) fn wait(&mut self, limit: Duration) -> std::process::ExitStatus {
        let end = Instant::now() + limit;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::yield_now();
        }
        panic!("the gateway did not end within {limit:?}: {}", self.log.text());
    }
}

/// Every file below a folder.
pub(crate) fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}
