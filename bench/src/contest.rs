//! Starts the programs of a benchmark, pins them to cores, waits until they are healthy, and stops them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};
use serde_json::json;
use tempfile::TempDir;

use crate::form::RELAY;
use crate::load::connect;
use crate::plan::Plan;

/// The fixed client key of a benchmark.
pub(crate) const KEY: &str = "bench-key-of-more-than-24-characters";

/// A running program. A drop kills the program.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    /// The port of the Ollama protocol: the same port, except for the gateway.
    pub(crate) ollama: u16,
    /// Whether the program forwards the backend's stream unchanged.
    pub(crate) through: bool,
    /// The id of the process that does the work.
    pub(crate) pid: u32,
    /// The time from the start to the first healthy answer.
    pub(crate) started: Duration,
    child: Child,
    _home: Option<TempDir>,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    /// Interrupts the program and waits for its exit.
    pub(crate) fn finish(mut self) -> Result<()> {
        let asked = Command::new("kill").args(["-INT", &self.pid.to_string()]).status()?;
        ensure!(asked.success(), "kill ended with {asked}");
        let status = self.child.wait()?;
        ensure!(status.success(), "{} ended with {status}", self.name);
        Ok(())
    }
}

/// A port that is free now.
fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// A command pinned to one core.
fn pinned(core: u32, program: impl AsRef<Path>) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string()]).arg(program.as_ref()).stdout(Stdio::null()).stdin(Stdio::null());
    command
}

async fn begin(name: &'static str, mut command: Command, port: u16, home: Option<TempDir>) -> Result<Program> {
    let began = Instant::now();
    let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
    let pid = child.id();
    let mut contestant =
        Program { name, port, ollama: port, through: true, pid, started: Duration::ZERO, child, _home: home };
    while began.elapsed() < Duration::from_secs(20) {
        if healthy(port).await.is_ok() {
            contestant.started = began.elapsed();
            return Ok(contestant);
        }
        if let Some(status) = contestant.child.try_wait()? {
            bail!("{name} ended with {status}");
        }
        tokio::time::sleep(Duration::from_micros(500)).await;
    }
    bail!("{name} did not start within 20 s")
}

async fn healthy(port: u16) -> Result<()> {
    let mut sender = connect(port).await?;
    let request = Request::get("/healthz").header(header::HOST, format!("127.0.0.1:{port}")).body(Full::default())?;
    sender.send_request(request).await?.into_body().collect().await?;
    Ok(())
}

/// The backend, on the load's core.
pub(crate) async fn backend(folder: &Path) -> Result<Program> {
    let port = free_port()?;
    let mut command = pinned(1, folder.join("bench"));
    command.args(["backend", "--port", &port.to_string()]);
    begin("backend", command, port, None).await
}

/// The pass-through floor, on the proxies' core.
pub(crate) async fn floor(folder: &Path, backend: u16) -> Result<Program> {
    let port = free_port()?;
    let mut command = pinned(0, folder.join("bench"));
    command.args(["floor", "--port", &port.to_string(), "--backend", &backend.to_string()]);
    begin("floor", command, port, None).await
}

/// nginx, if it is installed; it shows how the floor compares with a proxy in wide use.
pub(crate) async fn nginx(backend: u16) -> Result<Option<Program>> {
    let Some(program) = ["/usr/sbin/nginx", "/usr/bin/nginx"].into_iter().map(PathBuf::from).find(|path| path.exists())
    else {
        return Ok(None);
    };
    let (port, home) = (free_port()?, TempDir::new()?);
    let place = home.path().display();
    let user = if fs::metadata("/root/.").is_ok() { "user root;" } else { "" };
    let config = format!(
        "{user} daemon off; master_process off; worker_processes 1; pid {place}/pid; error_log {place}/error.log;\n\
         events {{ worker_connections 4096; }}\n\
         http {{ access_log off; tcp_nodelay on; client_body_temp_path {place}/b; proxy_temp_path {place}/p;\n\
         fastcgi_temp_path {place}/f; uwsgi_temp_path {place}/u; scgi_temp_path {place}/s; keepalive_requests 1000000;\n\
         upstream backend {{ server 127.0.0.1:{backend}; keepalive 2048; keepalive_requests 1000000; }}\n\
         server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://backend; proxy_http_version 1.1;\n\
         proxy_set_header Connection \"\"; proxy_buffering off; proxy_request_buffering off; }} }} }}\n"
    );
    let file = home.path().join("nginx.conf");
    fs::write(&file, config)?;
    let mut command = pinned(0, program);
    command.arg("-c").arg(&file);
    Ok(Some(begin("nginx", command, port, Some(home)).await?))
}

/// The gateway with one account, its embedded store and all defaults on.
pub(crate) async fn gateway(folder: &Path, backend: u16) -> Result<Program> {
    gateway_under(&[], folder, backend).await
}

/// As [`gateway`], with all upstream calls over HTTP POST.
pub(crate) async fn posting(folder: &Path, backend: u16) -> Result<Program> {
    gateway_with(&[("POLYGATE_UPSTREAM__TRANSPORT", "http")], &[], folder, backend).await
}

/// As [`gateway`], started by the runner in `words`, such as a profiler with its arguments.
pub(crate) async fn gateway_under(words: &[&str], folder: &Path, backend: u16) -> Result<Program> {
    gateway_with(&[], words, folder, backend).await
}

async fn gateway_with(settings: &[(&str, &str)], words: &[&str], folder: &Path, backend: u16) -> Result<Program> {
    let (port, home) = (free_port()?, TempDir::new()?);
    let program = folder.join("polygate");
    let login = home.path().join("auth.json");
    fs::write(&login, auth_json())?;
    let place = home.path().join("home");
    let status =
        Command::new(&program).args(["--home"]).arg(&place).arg("login").arg("--import").arg(&login).status()?;
    if !status.success() {
        bail!("polygate login --import ended with {status}");
    }
    let origin = format!("http://127.0.0.1:{backend}");
    let (name, model, base) = RELAY;
    let mut add = Command::new(&program);
    add.arg("--home").arg(&place).args(["relays", "add", "--name", name, "--api-key", "relay-key", "--format", "chat"]);
    let status =
        add.args(["--models", model, "--base-url"]).arg(format!("{origin}{base}")).stdout(Stdio::null()).status()?;
    if !status.success() {
        bail!("polygate relays add ended with {status}");
    }
    let ollama = free_port()?;
    let mut command = match words {
        [] => pinned(0, program),
        [runner, words @ ..] => {
            let mut command = pinned(0, runner);
            command.args(words).arg(program);
            command
        }
    };
    command.env("POLYGATE_OLLAMA__ENABLED", "true").env("POLYGATE_OLLAMA__PORT", ollama.to_string());
    command.arg("--home").arg(&place).args(["serve", "--port", &port.to_string(), "--log-level", "warn"]);
    command.env("POLYGATE_SERVER__API_KEY", KEY).env("POLYGATE_UPSTREAM__AUTH_URL", &origin);
    command.envs(settings.iter().copied()).env("POLYGATE_UPSTREAM__BASE_URL", format!("{origin}/backend-api"));
    let mut gateway = begin("polygate", command, port, Some(home)).await?;
    (gateway.ollama, gateway.through) = (ollama, false);
    Ok(gateway)
}

/// A login file with an unsigned token; the benchmark's backend does not verify it.
fn auth_json() -> String {
    let account = "00000000-0000-4000-8000-00000000be7c";
    let claims = json!({
        "exp": 4_000_000_000_u64,
        "https://api.openai.com/profile": { "email": "bench@example.test" },
        "https://api.openai.com/auth": { "chatgpt_account_id": account, "chatgpt_plan_type": "plus", "chatgpt_user_id": "user-bench" },
    });
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let token = format!("{}.{}.c2ln", part(json!({ "alg": "none" })), part(claims));
    json!({
        "auth_mode": "chatgpt", "OPENAI_API_KEY": null, "last_refresh": "2026-01-01T00:00:00Z",
        "tokens": { "id_token": token, "access_token": token, "refresh_token": "rt_bench", "account_id": account },
    })
    .to_string()
}

/// Sets the backend's plan for later answers.
pub(crate) async fn set(backend: u16, plan: Plan) -> Result<()> {
    let mut sender = connect(backend).await?;
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("/plan?{}", plan.query()))
        .header(header::HOST, "127.0.0.1")
        .body(Full::default())?;
    let answer = sender.send_request(request).await?;
    if !answer.status().is_success() {
        bail!("the backend refused the plan: {}", answer.status());
    }
    Ok(())
}
