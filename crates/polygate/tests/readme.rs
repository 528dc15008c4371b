//! Runs every command of the README and then of the pages in docs/, in their order, as a new user does: with an empty HOME and
//! without environment variables except those that keep the run on this machine.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failing step of a test must end it")]

mod common;

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use bytes::Bytes;
use common::{Gateway, files};
use http_body_util::Empty;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use offline::{Offline, Options, Proxy, ProxyOptions};
use rstest::rstest;
use tokio::net::TcpStream;

/// The command that builds and installs the project. The test has built the same binary.
const BUILDS: [&str; 1] = ["cargo install --locked --path crates/polygate"];
/// The user that runs the commands when the test runs as root, because modes do not stop root.
const NOBODY: u32 = 65_534;

/// The README, then the pages in docs/ by name. A new page is tested without being listed.
fn pages() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let entries = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut docs: Vec<_> = entries.filter(|path| path.extension().is_some_and(|ending| ending == "md")).collect();
    docs.sort();
    let paths = [root.join("README.md")].into_iter().chain(docs);
    paths.map(|path| fs::read_to_string(path).unwrap()).collect()
}

/// The commands of all shell blocks, without their comments.
fn commands() -> Vec<String> {
    let pages = pages().join("\n");
    let blocks = pages.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
    let lines = blocks.flat_map(str::lines).map(|line| line.split(" #").next().unwrap().trim());
    lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// A new user's machine: a home, an environment, and replacements for outside services.
struct User {
    dir: tempfile::TempDir,
    env: Vec<(&'static str, PathBuf)>,
    backend: offline::Running,
    proxy: Proxy,
    /// Gateways that serve until the end.
    serving: Vec<Gateway>,
    /// The output of `keys create`.
    key: String,
}

impl User {
    async fn new() -> Self {
        let backend = Offline::start(Options::default()).await.unwrap();
        let proxy = Proxy::start(ProxyOptions::default()).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let user = Self {
            env: vec![("HOME", dir.path().join("home"))],
            dir,
            backend,
            proxy,
            serving: Vec::new(),
            key: String::new(),
        };
        user.folder("home", 0o700);
        user
    }

    /// Adds this folder to the environment; the folder is not created.
    fn with(mut self, name: &'static str, folder: &str) -> Self {
        self.env.push((name, self.dir.path().join(folder)));
        self
    }

    /// Creates a folder of the user with this mode.
    fn folder(&self, name: &str, mode: u32) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::create_dir_all(&path).unwrap();
        if root() {
            chown(self.dir.path(), Some(NOBODY), Some(NOBODY)).unwrap();
            chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }

    /// The command with outside addresses and names replaced.
    fn adapted(&self, command: &str) -> Vec<String> {
        let stand_ins = [
            ("https://openrouter.ai/api/v1", format!("{}/relay/chat/v1 --name openrouter", self.backend.auth_url())),
            ("http://127.0.0.1:11434", format!("{}/relay/chat/v1", self.backend.auth_url())),
            ("me@example.com", self.email()),
            ("proxies add -", "proxies add - --allow-private".to_owned()),
            ("proxies import FILE", format!("proxies import {}", self.proxies().display())),
        ];
        let adapted = stand_ins.iter().fold(command.to_owned(), |text, (from, to)| text.replace(from, to));
        adapted.split_whitespace().skip(1).map(str::to_owned).collect()
    }

    /// The e-mail of the account that is signed in, if there is one.
    fn email(&self) -> String {
        let output = self.fed(&["--json", "accounts", "list"].map(str::to_owned));
        let listed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        listed[0]["email"].as_str().unwrap_or_default().to_owned()
    }

    fn proxies(&self) -> PathBuf {
        let file = self.dir.path().join("proxies.yaml");
        fs::write(&file, "- url: http://127.0.0.1:9\n  name: another\n  allow_private: true\n").unwrap();
        file
    }

    fn command(&self, args: &[String]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_polygate"));
        command.env_clear().args(args).current_dir(self.dir.path());
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        let origin = self.backend.auth_url();
        command
            .env("POLYGATE_UPSTREAM__BASE_URL", format!("{origin}/backend-api"))
            .env("POLYGATE_UPSTREAM__AUTH_URL", &origin)
            .env("POLYGATE_UPSTREAM__VERSION_SYNC", "false")
            .env("POLYGATE_PROXIES__ECHO_URL", format!("{origin}/echo"))
            .env("POLYGATE_SERVER__PORT", "0");
        if root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    /// Runs one command to its end, or as far as it can run in a test.
    async fn run(&mut self, text: &str) {
        let args = self.adapted(text);
        let args = if text.starts_with("cargo run") { vec!["demo".to_owned(), "--port=0".to_owned()] } else { args };
        match args[0].as_str() {
            "demo" => self.demo(&args),
            "serve" => self.serve(&args).await,
            "login" => self.login(&args).await,
            _ => {
                let output = self.fed(&args);
                assert!(output.status.success(), "{text}: {}", String::from_utf8_lossy(&output.stderr));
                if args[0] == "keys" {
                    String::from_utf8(output.stdout).unwrap().trim().clone_into(&mut self.key);
                }
            }
        }
    }

    /// Runs a command with the secret that it may read from standard input.
    fn fed(&self, args: &[String]) -> Output {
        let secret = if args[0] == "proxies" { self.proxy.url() } else { "sk-offline-relay".to_owned() };
        let mut child = self.spawn(args, Stdio::piped());
        // A command that reads nothing may have ended.
        let _ = child.stdin.take().unwrap().write_all(format!("{secret}\n").as_bytes());
        child.wait_with_output().unwrap()
    }

    fn spawn(&self, args: &[String], input: Stdio) -> Child {
        self.command(args).stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn demo(&self, args: &[String]) {
        let mut child = self.spawn(args, Stdio::null());
        until(&mut child.stdout, "curl");
        interrupt(&child);
        assert!(child.wait().unwrap().success());
    }

    async fn serve(&mut self, args: &[String]) {
        let gateway = Gateway::of(self.spawn(args, Stdio::null())).unwrap();
        let prompt = r#"{"model":"gpt-6-sol","messages":[{"role":"user","content":"Reply with exactly: pong"}]}"#;
        let answer = gateway.send(gateway.request("POST", "/v1/chat/completions", &self.key, prompt)).await.unwrap();
        assert!(answer.status == 200 && answer.body.contains("pong"), "{}", answer.body);
        self.serving.push(gateway);
    }

    /// Signs in like a person: opens the address, and follows the redirect to the program.
    async fn login(&self, args: &[String]) {
        let mut child = self.spawn(args, Stdio::piped());
        let address = until(&mut child.stderr, "/oauth/authorize").trim().to_owned();
        let (_, back) = get(&address).await;
        assert_eq!(get(&back.unwrap()).await.0, 200);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Stops the gateways, and returns the files below the user's folders.
    fn leave(mut self) -> (tempfile::TempDir, Vec<PathBuf>) {
        for gateway in self.serving.drain(..) {
            assert!(gateway.terminate().success());
        }
        let found = files(self.dir.path());
        (self.dir, found)
    }
}

fn root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|facts| std::os::unix::fs::MetadataExt::uid(&facts) == 0)
}

fn interrupt(child: &Child) {
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
}

/// The first line that contains `wanted`.
fn until<R: std::io::Read>(pipe: &mut Option<R>, wanted: &str) -> String {
    let mut lines = BufReader::new(pipe.as_mut().unwrap()).lines().map_while(Result::ok);
    lines.find(|line| line.contains(wanted)).unwrap_or_else(|| panic!("it never said {wanted}"))
}

/// Sends a GET like a browser, without following redirects: the status, and the redirect's target.
async fn get(address: &str) -> (u16, Option<String>) {
    let url = url::Url::parse(address).unwrap();
    let stream = TcpStream::connect(("127.0.0.1", url.port().unwrap())).await.unwrap();
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let target = format!("{}?{}", url.path(), url.query().unwrap());
    let request = http::Request::get(target).header("host", url.authority()).body(Empty::<Bytes>::new()).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    let location = answer.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
    (answer.status().as_u16(), location)
}

/// Runs all commands. Only the user can access the files that they leave.
async fn follow(mut user: User) -> (tempfile::TempDir, Vec<PathBuf>) {
    for command in commands() {
        if !BUILDS.contains(&command.as_str()) {
            user.run(&command).await;
        }
    }
    let (dir, found) = user.leave();
    let ours = |path: &&PathBuf| path.components().any(|part| part.as_os_str() == "polygate");
    assert!(found.iter().filter(ours).count() >= 3, "{found:?}");
    for path in found.iter().filter(ours).flat_map(|path| [path.as_path(), path.parent().unwrap()]) {
        let mode = fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode & 0o077, 0, "{} is {mode:o}", path.display());
    }
    (dir, found)
}

fn has(found: &[PathBuf], ending: &str) -> bool {
    found.iter().any(|path| path.ends_with(ending))
}

/// One after the other: a login uses one of two ports that the issuer knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_works_for_a_new_user() {
    an_empty_home_is_enough().await;
    folders_of_the_environment_are_taken().await;
    a_configuration_that_cannot_be_written_is_enough().await;
    a_home_that_is_not_there_is_made().await;
}

async fn an_empty_home_is_enough() {
    let (_dir, found) = follow(User::new().await).await;
    assert!(has(&found, "home/.local/share/polygate/accounts.db"), "{found:?}");
    assert!(has(&found, "home/.config/polygate/secret/data.key"), "{found:?}");
}

async fn folders_of_the_environment_are_taken() {
    let user = User::new().await.with("XDG_CONFIG_HOME", "c").with("XDG_DATA_HOME", "d").with("XDG_STATE_HOME", "s");
    for folder in ["c", "d", "s"] {
        user.folder(folder, 0o755);
    }
    let (_dir, found) = follow(user).await;
    assert!(has(&found, "d/polygate/accounts.db") && has(&found, "c/polygate/secret/data.key"), "{found:?}");
    assert!(!found.iter().any(|path| path.to_string_lossy().contains("/home/")), "{found:?}");
}

/// Like a container that mounts the configuration: the key is in the state folder, and nothing changes when the configuration can be
/// written again.
async fn a_configuration_that_cannot_be_written_is_enough() {
    let user = User::new().await;
    let config = user.folder("home/.config", 0o555);
    let state = user.dir.path().join("home/.local/state/polygate/secret/data.key");
    user.fed(&["keys", "create"].map(str::to_owned));
    fs::set_permissions(&config, Permissions::from_mode(0o755)).unwrap();
    assert!(user.fed(&["keys", "list"].map(str::to_owned)).status.success());
    fs::set_permissions(&config, Permissions::from_mode(0o555)).unwrap();
    let (_dir, found) = follow(user).await;
    assert!(found.contains(&state) && !has(&found, "home/.config/polygate/secret/data.key"), "{found:?}");
}

async fn a_home_that_is_not_there_is_made() {
    let mut user = User::new().await;
    user.env = vec![("HOME", user.dir.path().join("home/new/one"))];
    let (_dir, found) = follow(user).await;
    assert!(has(&found, "home/new/one/.config/polygate/secret/data.key"), "{found:?}");
}

/// Nothing can be created: the error names the reason and what to do, without a panic.
#[rstest]
#[case::home_of_another(0o555, "home")]
#[case::home_that_cannot_be_made(0o555, "home/none")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_written_is_named(#[case] mode: u32, #[case] home: &str) {
    let mut user = User::new().await;
    user.folder("home", mode);
    user.env = vec![("HOME", user.dir.path().join(home))];
    for command in ["polygate keys create", "polygate serve", "polygate keys revoke none"] {
        let output = user.fed(&user.adapted(command));
        let output_text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{command}");
        assert!(
            output_text.contains(&format!("{home}/.local")) && output_text.contains("--home"),
            "{command}: {output_text}"
        );
    }
}
