//! Settings of the connection to the backend in the running binary, by each of their environment variables.

#![allow(clippy::unwrap_used, reason = "a failing step of a test must end it")]

mod common;

use common::Home;
use offline::{Endpoint, Offline, Options, RecordedRequest, Running};
use rstest::rstest;

async fn backend(client_id: &str) -> Running {
    let options = Options { client_id: client_id.to_owned(), ..Options::default() };
    Offline::start(options).await.unwrap()
}

/// The error names a missing bundle, so the setting has reached the client that reads the bundle.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn every_name_of_the_ca_bundle_is_read(
    #[values("POLYGATE_UPSTREAM__CA_BUNDLE", "CODEX_API_PROXY_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")]
    name: &'static str,
) {
    let backend = backend("app_any").await;
    let home = Home::new(&backend);
    let bundle = home.dir.path().join("authorities.pem");
    let home = home.with(name, bundle.to_str().unwrap());
    let output_text = home.try_serve(&[]).map(|_| ()).unwrap_err();
    assert!(output_text.contains("upstream.ca_bundle") && output_text.contains("authorities.pem"), "{output_text}");
    std::fs::write(&bundle, "-----BEGIN NOTHING-----\n").unwrap();
    let output_text = home.try_serve(&[]).map(|_| ()).unwrap_err();
    assert!(output_text.contains("authorities.pem"), "{output_text}");
}

/// The configured issuer does not answer: only the separate token endpoint can refresh.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn the_token_endpoint_and_the_client_id_may_be_others(
    #[values(
        ["CODEX_REFRESH_TOKEN_URL_OVERRIDE", "CODEX_APP_SERVER_LOGIN_CLIENT_ID"],
        ["POLYGATE_UPSTREAM__TOKEN_URL", "POLYGATE_UPSTREAM__CLIENT_ID"]
    )]
    names: [&'static str; 2],
) {
    let backend = backend("app_of_our_own").await;
    let home = Home::new(&backend)
        .with("POLYGATE_UPSTREAM__AUTH_URL", "http://127.0.0.1:9")
        .with(names[0], format!("{}/oauth/token", backend.auth_url()))
        .with(names[1], "app_of_our_own");
    let account = backend.account("plus");
    home.import(&account);
    let listed: serde_json::Value = serde_json::from_str(&home.ok(&["--json", "accounts", "list"])).unwrap();
    home.ok(&["accounts", "refresh", listed[0]["id"].as_str().unwrap()]);
    let record = backend.record();
    let asked: Vec<&RecordedRequest> = record.requests_to(Endpoint::Token).collect();
    assert_eq!(asked.len(), 1);
    let body = String::from_utf8_lossy(&asked[0].body);
    assert!(body.contains("app_of_our_own"), "another client id");
    assert!(
        !backend.current_refresh(&account.account_id).contains(&account.refresh),
        "the old token is still the newest"
    );
}

/// The Codex profiles report the configured platform and processor.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn platform_and_processor_may_be_pinned(
    #[values(
        ["CODEX_PLATFORM", "CODEX_ARCH"],
        ["POLYGATE_UPSTREAM__PLATFORM", "POLYGATE_UPSTREAM__ARCH"]
    )]
    names: [&'static str; 2],
) {
    let backend = backend(&Options::default().client_id).await;
    let home = Home::new(&backend)
        .with("POLYGATE_UPSTREAM__PROFILE", "codex-cli")
        .with("POLYGATE_UPSTREAM__TRANSPORT", "http")
        .with(names[0], "Plan 9 4.0")
        .with(names[1], "mips");
    home.import(&backend.account("plus"));
    let gateway = home.serve(&[]);
    assert_eq!(gateway.chat("Reply with exactly: pong").await.unwrap().status, 200);
    let record = backend.record();
    let agent = record.model_requests().find_map(|seen| seen.header("user-agent")).unwrap().to_owned();
    assert!(agent.contains("Plan 9 4.0") && agent.contains("mips"), "{agent}");
    assert!(gateway.terminate().success());
}
