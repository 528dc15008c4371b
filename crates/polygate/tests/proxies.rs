//! `proxies`, as people and scripts use it.

#![allow(clippy::unwrap_used, reason = "a failing step of a test must end it")]

mod common;

use std::process::{Output, Stdio};

use common::{Home, files};
use offline::{NewAccount, Offline, Options, Proxy, ProxyOptions};
use serde_json::Value;

/// A secret that may appear only in an export.
const CANARY: &str = "canary-4711-not-to-be-seen";

async fn site() -> (offline::Running, Home, Proxy) {
    let backend = Offline::start(Options::default()).await.unwrap();
    let home = Home::new(&backend);
    let credentials = Some(("me".to_owned(), CANARY.to_owned()));
    (backend, home, Proxy::start(ProxyOptions { credentials, ..ProxyOptions::default() }).await.unwrap())
}

/// Runs a command with `input` on its standard input.
fn fed(home: &Home, args: &[&str], input: &str) -> Output {
    let file = home.dir.path().join("input");
    std::fs::write(&file, input).unwrap();
    let output = home.command(args).stdin(Stdio::from(std::fs::File::open(&file).unwrap())).output().unwrap();
    std::fs::remove_file(&file).unwrap();
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn list(home: &Home) -> Value {
    serde_json::from_str(&home.ok(&["--json", "proxies", "list"])).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_is_added_used_and_removed() {
    let (backend, home, proxy) = site().await;
    let login = backend.add_account(NewAccount::default());
    home.import(&login);
    let refused = fed(&home, &["proxies", "add", "-"], &proxy.url());
    assert!(!refused.status.success() && text(&refused.stderr).contains("allow_private"), "{}", text(&refused.stderr));
    let added = fed(&home, &["proxies", "add", "-", "--name", "mine", "--allow-private"], &proxy.url());
    let output_text = format!("{}{}", text(&added.stdout), text(&added.stderr));
    assert!(
        added.status.success() && output_text.contains("exit 127.0.0.1") && !output_text.contains(CANARY),
        "{output_text}"
    );
    let listed = home.ok(&["proxies", "list"]);
    assert!(listed.contains("me:***@127.0.0.1") && listed.contains("active") && !listed.contains(CANARY), "{listed}");

    let gateway = home.serve(&[]);
    assert_eq!(gateway.chat("hello").await.unwrap().status, 200);
    home.ok(&["proxies", "assign", &login.email, "mine"]);
    let listed = list(&home);
    assert_eq!(
        (&listed["assignments"][0]["egress"], &listed["assignments"][0]["way"]),
        (&"mine".into(), &"mine".into())
    );
    // The running gateway notices the assignment.
    let through = async {
        loop {
            assert_eq!(gateway.chat("hello").await.unwrap().status, 200);
            if backend.record().model_requests().any(|seen| proxy.saw(seen)) {
                return;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), through).await.unwrap();
    let used = home.run(&["proxies", "remove", "mine"]);
    assert!(!used.status.success() && text(&used.stderr).contains("assign them elsewhere"), "{}", text(&used.stderr));
    home.ok(&["proxies", "disable", "mine"]);
    let doctor = text(&home.run(&["doctor", "--offline"]).stdout);
    assert!(doctor.contains("is removed or disabled, and cannot serve"), "{doctor}");
    home.ok(&["proxies", "enable", "mine"]);
    home.ok(&["proxies", "check"]);
    proxy.stop().await;
    let dead = home.run(&["proxies", "check", "mine"]);
    let output_text = format!("{}{}", text(&dead.stdout), text(&dead.stderr));
    assert!(
        !dead.status.success() && output_text.contains("does not answer") && !output_text.contains(CANARY),
        "{output_text}"
    );
    home.ok(&["proxies", "assign", &login.email, "global"]);
    home.ok(&["proxies", "remove", "mine"]);
    assert_eq!(list(&home)["proxies"].as_array().unwrap().len(), 0);

    let log = gateway.log.text();
    assert!(gateway.terminate().success());
    assert!(!log.contains(CANARY), "{log}");
    for path in files(&home.path()) {
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(CANARY.len()).any(|part| part == CANARY.as_bytes()), "{}", path.display());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_uses_the_account_egress() {
    let (backend, home, proxy) = site().await;
    let login = backend.add_account(NewAccount::default());
    assert!(fed(&home, &["proxies", "add", "-", "--name", "mine", "--allow-private"], &proxy.url()).status.success());
    backend.reset();
    let unknown = fed(&home, &["login", "--token", "-", "--egress", "none"], &login.refresh);
    assert!(!unknown.status.success() && text(&unknown.stderr).contains("no such proxy"), "{}", text(&unknown.stderr));
    let added = fed(&home, &["login", "--token", "-", "--egress", "mine"], &login.refresh);
    assert!(added.status.success(), "{}", text(&added.stderr));
    assert_eq!(list(&home)["assignments"][0]["way"], "mine");
    let record = backend.record();
    assert!(record.total > 0 && record.requests.iter().all(|seen| proxy.saw(seen)), "past the proxy");
    proxy.stop().await;
    let total = backend.record().total;
    let dead = fed(&home, &["login", "--token", "-", "--egress", "mine"], &login.refresh);
    assert!(!dead.status.success() && text(&dead.stderr).contains("proxy mine"), "{}", text(&dead.stderr));
    assert_eq!(backend.record().total, total);
}

#[tokio::test]
async fn files_come_in_whole_and_go_out_readable_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let (_backend, home, _proxy) = site().await;
    let wrong = fed(&home, &["proxies", "import", "-"], "- http://a.example:1\n- nonsense\n");
    assert!(!wrong.status.success() && text(&wrong.stderr).contains("line 2"), "{}", text(&wrong.stderr));
    assert_eq!(list(&home)["proxies"].as_array().unwrap().len(), 0);
    let good = format!("http://u:{CANARY}@a.example:1\nsocks5h://b.example\n");
    let added = fed(&home, &["proxies", "import", "-"], &good);
    assert_eq!(text(&added.stdout), "Added 2 proxies.\n");
    let out = home.dir.path().join("proxies.yaml");
    home.ok(&["proxies", "export", "--out", out.to_str().unwrap()]);
    assert_eq!(std::fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(std::fs::read_to_string(&out).unwrap().contains(CANARY));
    assert!(!home.run(&["proxies", "export", "--out", out.to_str().unwrap()]).status.success(), "never over a file");
    let again = home.ok(&["--json", "proxies", "import", out.to_str().unwrap()]);
    assert_eq!(serde_json::from_str::<Value>(&again).unwrap()["added"], 0);
}

#[tokio::test]
async fn the_global_proxy_shows_its_origin() {
    let (_backend, home, _proxy) = site().await;
    let url = format!("http://me:{CANARY}@proxy.example:3128");
    for args in [&["proxies", "list"][..], &["doctor", "--offline"], &["config", "show", "--origin"]] {
        let output_text = text(&home.command(args).env("HTTPS_PROXY", &url).output().unwrap().stdout);
        assert!(output_text.contains("env HTTPS_PROXY") && !output_text.contains(CANARY), "{args:?}: {output_text}");
    }
    assert!(home.ok(&["proxies", "list"]).contains("Global: none"));
    assert_eq!(list(&home)["global"], Value::Null);
}
