//! X1 and X3: tokens and keys never appear outside the secret store, and only their owner can access the files.

mod common;

use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;

use common::{Home, KEY, files};
use offline::{Offline, Options, Plan, Revocation, Rule};
use rstest::rstest;

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_leaves_the_store() {
    let backend = Offline::start(Options::default()).await.unwrap();
    let home = Home::new(&backend).logging_trace();
    let account = backend.account("plus");
    home.import(&account);
    let minted = home.ok(&["keys", "create"]).trim().to_owned();
    let admin = home.ok(&["admin", "token"]).trim().to_owned();
    let gateway = home.serve(&[]);
    let mut output_text = String::new();
    // Good requests, refused requests, a refresh, and upstream errors that contain secrets.
    for plan in [
        Plan::auto(),
        Plan::text(500, format!("oops {}", account.access)),
        Plan::json(400, serde_json::json!({ "detail": format!("bad {}", account.refresh) })),
    ] {
        backend.add_rule(Rule::responses(plan).times(2));
        let answer = gateway.chat("Reply with exactly: pong").await.unwrap();
        write!(output_text, "{:?}{}", answer.headers, answer.body).unwrap();
    }
    backend.reset();
    backend.revoke_access(&account.account_id, Revocation::Expired);
    output_text += &gateway.chat("Reply with exactly: pong").await.unwrap().body;
    for (path, key) in [
        ("/v1/models", "pgk_wrong"),
        ("/admin/accounts", admin.as_str()),
        ("/admin/keys", &admin),
        ("/readyz", &minted),
    ] {
        let answer = gateway.send(gateway.request("GET", path, key, "")).await.unwrap();
        write!(output_text, "{:?}{}", answer.headers, answer.body).unwrap();
    }
    output_text += &home.ok(&["--json", "accounts", "list"]);
    output_text += &home.ok(&["--json", "keys", "list"]);
    output_text += &home.ok(&["config", "show", "--origin"]);
    let cmdline = std::fs::read(format!("/proc/{}/cmdline", gateway.child.id())).unwrap();
    output_text += &String::from_utf8_lossy(&cmdline);
    output_text += &gateway.log.text();

    let mut secrets = vec![account.access, account.refresh, account.id, minted, admin, KEY.to_owned()];
    secrets.extend(backend.current_refresh(&account.account_id));
    assert!(gateway.terminate().success());
    for secret in &secrets {
        assert!(!output_text.contains(secret.as_str()), "{}... was shown", &secret[..12]);
    }
    for file in files(&home.path()) {
        let mode = std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode & 0o077, 0, "{} is {mode:o}", file.display());
        let bytes = std::fs::read(&file).unwrap();
        for secret in &secrets {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{} holds a secret in clear", file.display());
        }
    }
}

/// Libraries log their data at the trace level: the WebSocket library logs its upgrade request and every message.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn the_log_holds_no_secret_and_no_prompt_at_any_level(
    #[values("websocket", "http")] transport: &str,
    #[values("text", "json")] format: &str,
) {
    let backend = Offline::start(Options::default()).await.unwrap();
    let home = Home::new(&backend).logging_trace();
    let account = backend.account("plus");
    home.import(&account);
    let gateway = home.serve(&[("POLYGATE_UPSTREAM__TRANSPORT", transport), ("LOG_FORMAT", format)]);
    let answer = gateway.chat("canary of a prompt").await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    let log = gateway.end();
    assert!(log.to_lowercase().contains("debug"), "the level is not in use: {log}");
    for secret in [account.access.as_str(), &account.refresh, KEY, "canary of a prompt"] {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line.map(|line| &line[..line.len().min(200)]), None);
    }
    assert!(!log.contains('\u{1b}'), "colours in a log that is no terminal");
}
