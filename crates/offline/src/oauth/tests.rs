//! Logins, refreshes and device codes over the wire.

use serde_json::{Value, json};

use super::challenge;
use crate::state::REAL_CLIENT_ID;
use crate::tests::client::{backend, exchange, form, post, request};
use crate::{Offline, Options, Running, Violation};

const VERIFIER: &str = "K5BD3IxVyaW3yf4NfVr0-xUy6lR_RDv_55hqEESBBM9yCKDTd7UpDMZCEqv2DlRAJMrW4ZI75cdXDa2gOWpVaw";
const REDIRECT: &str = "http://127.0.0.1:1455/auth/callback";

/// Authorizes with the official client's parameters, some of them replaced.
async fn authorize(backend: &Running, change: &[(&str, &str)]) -> crate::tests::client::Reply {
    let challenge = challenge(VERIFIER);
    let params = [
        ("response_type", "code"),
        ("client_id", REAL_CLIENT_ID),
        ("redirect_uri", REDIRECT),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
        ("state", "0123456789012345678901234567890123456789012"),
        ("scope", "openid profile email offline_access api.connectors.read api.connectors.invoke"),
        ("id_token_add_organizations", "true"),
        ("codex_cli_simplified_flow", "true"),
        ("originator", "codex_cli_rs"),
    ];
    let changed = |(name, value): (&'static str, &str)| {
        let new = change.iter().find(|(changed, _)| *changed == name).map_or(value, |(_, new)| new);
        (name, new.to_owned())
    };
    let params: Vec<(&str, String)> = params.into_iter().map(changed).collect();
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
    exchange(backend, &request("GET", &format!("/oauth/authorize?{query}"), &[], b"")).await
}

async fn code(backend: &Running) -> String {
    let reply = authorize(backend, &[]).await;
    assert_eq!(reply.status, 302);
    let to = url::Url::parse(reply.header("location").unwrap()).unwrap();
    assert!(to.as_str().starts_with(REDIRECT));
    to.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned()
}

async fn redeem(backend: &Running, code: &str, redirect: &str, verifier: &str) -> (u16, Value) {
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", REAL_CLIENT_ID),
        ("code", code),
        ("redirect_uri", redirect),
        ("code_verifier", verifier),
    ];
    let reply = form(backend, "/oauth/token", &fields).await;
    (reply.status, reply.json())
}

async fn refresh(backend: &Running, token: &str) -> (u16, Value) {
    let body = json!({ "client_id": REAL_CLIENT_ID, "grant_type": "refresh_token",
        "refresh_reason": "proactive_expiry", "refresh_token": token });
    let reply = post(backend, "/oauth/token", &body).await;
    (reply.status, reply.json())
}

#[tokio::test]
async fn logs_in_with_pkce_once() {
    let backend = backend().await;
    let account = backend.account("pro");
    backend.login_as(&account.account_id);
    let good = code(&backend).await;
    let (status, grant) = redeem(&backend, &good, REDIRECT, VERIFIER).await;
    assert_eq!(status, 200);
    let claims = grant["id_token"].as_str().unwrap().split('.').nth(1).unwrap();
    let claims = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, claims).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["https://api.openai.com/auth"]["chatgpt_account_id"], json!(account.account_id));
    assert_eq!(claims["https://api.openai.com/auth"]["chatgpt_plan_type"], "pro");

    let (status, body) = redeem(&backend, &good, REDIRECT, VERIFIER).await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_grant")));
    assert!(matches!(backend.record().offences[..], [Violation::ReusedCode { .. }]));
}

#[tokio::test]
async fn refuses_wrong_verifiers_and_redirects() {
    let backend = backend().await;
    for (redirect, verifier) in [(REDIRECT, "wrong"), ("http://localhost:1455/auth/callback", VERIFIER)] {
        let code = code(&backend).await;
        assert_eq!(redeem(&backend, &code, redirect, verifier).await.0, 400);
        assert_eq!(redeem(&backend, &code, REDIRECT, VERIFIER).await.0, 400, "a failed try uses the code up");
    }
    assert_eq!(redeem(&backend, "ac_none", REDIRECT, VERIFIER).await.0, 400);
}

#[tokio::test]
async fn refuses_bad_authorizations() {
    let backend = backend().await;
    for change in [
        ("client_id", "app_other"),
        ("redirect_uri", "http://evil.example/auth/callback"),
        ("redirect_uri", "http://127.0.0.1:1999/auth/callback"),
        ("code_challenge_method", "plain"),
        ("code_challenge", "short"),
        ("state", ""),
        ("scope", "openid"),
        ("response_type", "token"),
    ] {
        let reply = authorize(&backend, &[change]).await;
        assert_eq!((reply.status, reply.header("location")), (400, None), "{change:?}");
    }
    backend.deny_logins(true);
    let reply = authorize(&backend, &[]).await;
    assert!(reply.header("location").unwrap().contains("error=access_denied"));
}

#[tokio::test]
async fn rotates_and_detects_reuse() {
    let backend = backend().await;
    let account = backend.account("plus");
    let (status, grant) = refresh(&backend, &account.refresh).await;
    assert_eq!(status, 200);
    assert_eq!(backend.current_refresh(&account.account_id), [grant["refresh_token"].as_str().unwrap()]);
    let (status, body) = refresh(&backend, &account.refresh).await;
    let expected = json!({ "error": {
        "message": "Your refresh token has already been used to generate a new access token. Please try signing in again.",
        "type": "invalid_request_error", "param": null, "code": "refresh_token_reused" } });
    assert_eq!((status, body), (401, expected));
    let record = backend.record();
    assert_eq!(record.refreshes.iter().map(|refresh| refresh.reused).collect::<Vec<_>>(), [false, true]);
    assert_eq!(record.refreshes[0].reason.as_deref(), Some("proactive_expiry"));
    assert!(
        matches!(&record.offences[..], [Violation::ReusedRefreshToken { account: whose, .. }] if *whose == account.account_id)
    );
}

#[tokio::test]
async fn refuses_dead_refresh_tokens_by_their_names() {
    let backend = backend().await;
    let (one, two) = (backend.account("plus"), backend.account("plus"));
    backend.expire_refresh(&one.account_id);
    backend.invalidate_refresh(&two.account_id);
    assert_eq!(refresh(&backend, &one.refresh).await.1["error"]["code"], "refresh_token_expired");
    assert_eq!(refresh(&backend, &two.refresh).await.1["error"]["code"], "refresh_token_invalidated");
    let (status, body) = refresh(&backend, "rt_unknown").await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_grant")));
}

#[tokio::test]
async fn revokes_and_exchanges() {
    let backend = backend().await;
    let account = backend.account("plus");
    let fields = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("client_id", REAL_CLIENT_ID),
        ("requested_token", "openai-api-key"),
        ("subject_token", account.id.as_str()),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
    ];
    let reply = form(&backend, "/oauth/token", &fields).await;
    assert!(reply.json()["access_token"].as_str().unwrap().starts_with("sk-"));
    let body = json!({ "token": account.refresh, "token_type_hint": "refresh_token", "client_id": REAL_CLIENT_ID });
    assert_eq!(post(&backend, "/oauth/revoke", &body).await.status, 200);
    assert_eq!(refresh(&backend, &account.refresh).await.0, 401);
}

#[tokio::test]
async fn lets_devices_in_after_approval() {
    let backend = Offline::start(Options { device_polls: None, ..Options::default() }).await.unwrap();
    let asked =
        post(&backend, "/api/accounts/deviceauth/usercode", &json!({ "client_id": REAL_CLIENT_ID })).await.json();
    assert_eq!(asked["interval"], "5");
    let poll = json!({ "device_auth_id": asked["device_auth_id"], "user_code": asked["user_code"] });
    let path = "/api/accounts/deviceauth/token";
    assert_eq!(post(&backend, path, &poll).await.status, 403);
    let page = form(&backend, "/codex/device", &[("user_code", asked["user_code"].as_str().unwrap())]).await;
    assert!(page.text().contains("Done."));
    let token = post(&backend, path, &poll).await.json();
    let field = |name: &str| token[name].as_str().unwrap().to_owned();
    assert_eq!(challenge(&field("code_verifier")), field("code_challenge"));
    let redirect = "https://auth.openai.com/deviceauth/callback";
    let (status, _) = redeem(&backend, &field("authorization_code"), redirect, &field("code_verifier")).await;
    assert_eq!(status, 200);
    assert_eq!(post(&backend, path, &poll).await.status, 404, "a device code is good for one login");
}

#[tokio::test]
async fn approves_devices_after_some_polls() {
    let backend = backend().await;
    let asked =
        post(&backend, "/api/accounts/deviceauth/usercode", &json!({ "client_id": REAL_CLIENT_ID })).await.json();
    let poll = json!({ "device_auth_id": asked["device_auth_id"], "user_code": asked["user_code"] });
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(post(&backend, "/api/accounts/deviceauth/token", &poll).await.status);
    }
    assert_eq!(statuses, [403, 403, 200]);
}
