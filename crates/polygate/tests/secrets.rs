//! X1 and X3: tokens and keys never appear outside the secret store, and the files are nobody else's.

mod common;

use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;

use common::{Home, KEY, files};
use offline::{Offline, Options, Plan, Revocation, Rule};

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_leaves_the_store() {
    let backend = Offline::start(Options::default()).await.unwrap();
    let home = Home::new(&backend);
    let account = backend.account("plus");
    home.import(&account);
    let minted = home.ok(&["keys", "create"]).trim().to_owned();
    let admin = home.ok(&["admin", "token"]).trim().to_owned();
    let gateway = home.serve(&[("POLYGATE_LOG__LEVEL", "trace")]);
    let mut said = String::new();
    // Good requests, refused ones, a refresh, and upstream errors that carry secrets of their own.
    for plan in [
        Plan::auto(),
        Plan::text(500, format!("oops {}", account.access)),
        Plan::json(400, serde_json::json!({ "detail": format!("bad {}", account.refresh) })),
    ] {
        backend.script(Rule::responses(plan).times(2));
        let answer = gateway.chat("Reply with exactly: pong").await.unwrap();
        write!(said, "{:?}{}", answer.headers, answer.body).unwrap();
    }
    backend.reset();
    backend.revoke_access(&account.account_id, Revocation::Expired);
    said += &gateway.chat("Reply with exactly: pong").await.unwrap().body;
    for (path, key) in [
        ("/v1/models", "pgk_wrong"),
        ("/admin/accounts", admin.as_str()),
        ("/admin/keys", &admin),
        ("/readyz", &minted),
    ] {
        let answer = gateway.send(gateway.request("GET", path, key, "")).await.unwrap();
        write!(said, "{:?}{}", answer.headers, answer.body).unwrap();
    }
    said += &home.ok(&["--json", "accounts", "list"]);
    said += &home.ok(&["--json", "keys", "list"]);
    said += &home.ok(&["config", "show", "--origin"]);
    let cmdline = std::fs::read(format!("/proc/{}/cmdline", gateway.child.id())).unwrap();
    said += &String::from_utf8_lossy(&cmdline);
    said += &gateway.log.text();

    let mut secrets = vec![account.access, account.refresh, account.id, minted, admin, KEY.to_owned()];
    secrets.extend(backend.current_refresh(&account.account_id));
    assert!(gateway.terminate().success());
    for secret in &secrets {
        assert!(!said.contains(secret.as_str()), "{}... was shown", &secret[..12]);
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
