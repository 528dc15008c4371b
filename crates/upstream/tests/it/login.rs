//! The token endpoint and the device login: the requests, and the outcome of each answer (row S4, in part).

use std::time::Duration;

use pool::Secret;
use rstest::rstest;
use serde_json::json;
use upstream::oauth::{Grant, LoginError, Pkce, PollOutcome, RefreshError, RefreshReason, state};
use upstream::profile::Platform;
use upstream::{CLIENT_ID, Config, Profile, Sent, Upstream};

use crate::captured::orders;
use crate::recorder::{Event, RecordedRequest, Recorder, Reply, full};
use crate::setup::{config, short};

const GRANT: &str = r#"{"access_token":"at","refresh_token":"rt2","id_token":"it","expires_in":5}"#;

async fn answering(reply: Reply) -> (Recorder, Upstream) {
    let server = Recorder::always(reply).await;
    let upstream = Upstream::new(config(&server)).unwrap();
    (server, upstream)
}

async fn refresh(reply: Reply) -> Result<Grant, RefreshError> {
    let (_server, upstream) = answering(reply).await;
    upstream.refresh(&Secret::from("rt_canary"), RefreshReason::ProactiveExpiry).await
}

fn body(request: &RecordedRequest) -> &str {
    std::str::from_utf8(&request.body).unwrap()
}

#[test]
fn the_authorize_url_has_the_official_order() {
    let upstream = Upstream::new(Config::default()).unwrap();
    let (pkce, state) = (Pkce::fresh(), state());
    let url = upstream.authorize_url(&pkce, &state, "http://127.0.0.1:1455/auth/callback");
    let wanted = format!(
        "https://auth.openai.com/oauth/authorize?response_type=code&client_id={CLIENT_ID}\
         &redirect_uri=http%3A%2F%2F127.0.0.1%3A1455%2Fauth%2Fcallback&code_challenge={}&code_challenge_method=S256\
         &state={state}&scope=openid%20profile%20email%20offline_access%20api.connectors.read%20api.connectors.invoke\
         &id_token_add_organizations=true&codex_cli_simplified_flow=true&originator=polygate",
        pkce.challenge
    );
    assert_eq!(url.as_str(), wanted);
}

#[tokio::test]
async fn a_refresh_is_json_with_its_reason() {
    let (mut server, upstream) = answering(Reply::Keep(full("200 OK", "", GRANT))).await;
    let grant = upstream.refresh(&Secret::from("rt1"), RefreshReason::UnauthorizedRecovery).await.unwrap();
    assert_eq!(
        (grant.access.expose(), grant.refresh.unwrap().expose(), grant.id.unwrap().expose()),
        ("at", "rt2", "it")
    );
    let request = server.request().await;
    assert_eq!(request.line, "POST /oauth/token HTTP/1.1");
    assert_eq!(request.names(), orders::REFRESH);
    assert_eq!((request.header("content-type"), request.header("accept")), (Some("application/json"), Some("*/*")));
    let wanted = format!(
        r#"{{"client_id":"{CLIENT_ID}","grant_type":"refresh_token","refresh_reason":"unauthorized_recovery","refresh_token":"rt1"}}"#
    );
    assert_eq!(body(&request), wanted);
}

/// A refresh and the calls to the backend have the same client name: no client has two names (captures 32, 33 and 39).
#[rstest]
#[case("polygate", "polygate")]
#[case("codex-cli", "codex_cli_rs")]
#[case("codex-desktop", "Codex Desktop")]
#[tokio::test]
async fn a_refresh_has_the_name_of_its_user_agent(#[case] profile: &str, #[case] name: &str) {
    let mut server = Recorder::always(Reply::Keep(full("200 OK", "", GRANT))).await;
    let profile = Profile::named(profile, &Platform::default()).unwrap();
    let upstream = Upstream::new(Config { profile, ..config(&server) }).unwrap();
    upstream.refresh(&Secret::from("rt"), RefreshReason::ProactiveExpiry).await.unwrap();
    upstream.revoke(&Secret::from("rt")).await.unwrap();
    for _ in 0..2 {
        let request = server.request().await;
        assert_eq!(request.header("originator"), Some(name));
        assert!(request.header("user-agent").unwrap().starts_with(&format!("{name}/")));
    }
}

#[tokio::test]
async fn a_refresh_may_keep_the_old_refresh_token() {
    let grant = refresh(Reply::Keep(full("200 OK", "", r#"{"access_token":"at"}"#))).await.unwrap();
    assert_eq!((grant.refresh, grant.id), (None, None));
}

#[rstest]
#[case(
    401,
    r#"{"error":{"message":"used","type":"invalid_request_error","param":null,"code":"refresh_token_reused"}}"#,
    "refresh_token_reused"
)]
#[case(401, r#"{"error":{"message":"old","code":"refresh_token_expired"}}"#, "refresh_token_expired")]
#[case(401, r#"{"error":{"message":"no","code":"refresh_token_invalidated"}}"#, "refresh_token_invalidated")]
#[case(400, r#"{"error":{"message":"no","code":"refresh_token_invalidated"}}"#, "refresh_token_invalidated")]
#[case(400, r#"{"error":"invalid_grant","error_description":"gone"}"#, "invalid_grant")]
#[case(400, r#"{"error":{"code":"invalid_grant","message":"gone"}}"#, "invalid_grant")]
#[case(401, r#"{"detail":"Unauthorized"}"#, "unauthorized")]
#[tokio::test]
async fn final_refusals(#[case] status: u16, #[case] answer: &str, #[case] wanted: &str) {
    match refresh(Reply::Keep(full(&format!("{status} No"), "", answer))).await.unwrap_err() {
        RefreshError::Permanent { code, message } => assert!(code == wanted && !message.is_empty(), "{code} {message}"),
        RefreshError::Transient { message, .. } => panic!("taken for transient: {message}"),
    }
}

#[rstest]
#[case("200 OK", "<html>junk</html>")]
#[case("200 OK", "")]
#[case("200 OK", "{}")]
#[case("400 Bad Request", r#"{"error":"invalid_client"}"#)]
#[case("401 Unauthorized", "<html>proxy</html>")]
#[case("403 Forbidden", "<html>Just a moment</html>")]
#[case("429 Too Many Requests", r#"{"error":{"code":"rate_limit_exceeded","message":"slow"}}"#)]
#[case("500 Oops", "")]
#[case("503 Busy", r#"{"error":{"code":"refresh_token_reused","message":"odd"}}"#)]
#[tokio::test]
async fn answers_that_may_pass(#[case] line: &str, #[case] answer: &str) {
    let error = refresh(Reply::Keep(full(line, "retry-after: 7\r\n", answer))).await.unwrap_err();
    let RefreshError::Transient { sent, status, rotated, message, .. } = error else { panic!("{error:?}") };
    if !line.starts_with("200 OK") || status.is_some() {
        assert_eq!(status, Some(line[..3].parse().unwrap()));
    }
    assert_eq!((sent, rotated), (Sent::Yes, None));
    assert!(!message.contains("rt_canary") && !message.contains("<html>"), "{message}");
}

#[tokio::test]
async fn the_endpoints_wait_is_handed_on() {
    let error = refresh(Reply::Keep(full("429 Slow", "retry-after: 7\r\n", "{}"))).await.unwrap_err();
    assert!(matches!(error, RefreshError::Transient { retry_after: Some(7), .. }), "{error:?}");
}

#[tokio::test]
async fn a_rotated_token_without_access_is_not_lost() {
    let error = refresh(Reply::Keep(full("200 OK", "", r#"{"refresh_token":"rt2"}"#))).await.unwrap_err();
    let RefreshError::Transient { rotated, .. } = error else { panic!("{error:?}") };
    assert_eq!(rotated, Some(Secret::from("rt2")));
}

#[tokio::test]
async fn a_refresh_without_an_answer_says_how_much_was_sent() {
    let (server, _) = answering(Reply::Keep(Vec::new())).await;
    let auth_url = format!("http://{}", std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let down = Upstream::new(Config { auth_url: auth_url.parse().unwrap(), ..config(&server) }).unwrap();
    let error = down.refresh(&Secret::from("rt"), RefreshReason::ProactiveExpiry).await.unwrap_err();
    assert!(matches!(error, RefreshError::Transient { sent: Sent::No, status: None, .. }), "{error:?}");

    let error = refresh(Reply::Close(Vec::new())).await.unwrap_err();
    assert!(matches!(error, RefreshError::Transient { sent: Sent::Maybe, .. }), "{error:?}");
    let error =
        refresh(Reply::Close(b"HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n{\"acc".to_vec())).await.unwrap_err();
    assert!(matches!(error, RefreshError::Transient { sent: Sent::Yes, .. }), "{error:?}");

    let server = Recorder::always(Reply::Hang(Vec::new())).await;
    let slow = Upstream::new(Config { timeouts: short(), ..config(&server) }).unwrap();
    let error = slow.refresh(&Secret::from("rt"), RefreshReason::ProactiveExpiry).await.unwrap_err();
    assert!(matches!(error, RefreshError::Transient { sent: Sent::Maybe, .. }), "{error:?}");
}

#[tokio::test]
async fn a_code_is_traded_by_form() {
    let (mut server, upstream) = answering(Reply::Keep(full("200 OK", "", GRANT))).await;
    let (code, verifier) = (Secret::from("c/1 +"), Secret::from("v"));
    let redirect = "http://127.0.0.1:1455/auth/callback";
    assert_eq!(upstream.exchange(&code, &verifier, redirect).await.unwrap().access.expose(), "at");
    let request = server.request().await;
    assert_eq!(request.names(), orders::AUTH);
    assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
    let wanted = format!(
        "grant_type=authorization_code&client_id={CLIENT_ID}&code=c%2F1+%2B\
         &redirect_uri=http%3A%2F%2F127.0.0.1%3A1455%2Fauth%2Fcallback&code_verifier=v"
    );
    assert_eq!(body(&request), wanted);
}

#[tokio::test]
async fn a_refused_code_says_why() {
    let answer = r#"{"error":{"code":"invalid_grant","message":"code expired"}}"#;
    let (_server, upstream) = answering(Reply::Keep(full("400 No", "", answer))).await;
    let error = upstream.exchange(&Secret::from("c"), &Secret::from("v"), "r").await.unwrap_err();
    let wanted = LoginError::Refused { status: 400, code: "invalid_grant".into(), message: "code expired".into() };
    assert_eq!(error, wanted);
}

#[tokio::test]
async fn api_key_and_revocation() {
    let (mut server, upstream) = answering(Reply::Keep(full("200 OK", "", r#"{"access_token":"sk-x"}"#))).await;
    assert_eq!(upstream.api_key(&Secret::from("it")).await.unwrap().expose(), "sk-x");
    let request = server.request().await;
    assert_eq!((request.line.as_str(), &request.names()[..]), ("POST /oauth/token HTTP/1.1", orders::AUTH));
    let wanted = format!(
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&client_id={CLIENT_ID}\
         &requested_token=openai-api-key&subject_token=it\
         &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aid_token"
    );
    assert_eq!(body(&request), wanted);
    upstream.revoke(&Secret::from("rt")).await.unwrap();
    let request = server.request().await;
    assert_eq!(request.line, "POST /oauth/revoke HTTP/1.1");
    assert_eq!(request.names(), orders::REFRESH);
    let wanted = json!({"token": "rt", "token_type_hint": "refresh_token", "client_id": CLIENT_ID});
    assert_eq!(body(&request), wanted.to_string());
}

#[tokio::test]
async fn a_device_login_waits_and_then_trades() {
    let started = r#"{"device_auth_id":"dev1","usercode":"ABCD-12345","interval":"7","expires_at":"x"}"#;
    let typed = r#"{"authorization_code":"ac","code_challenge":"cc","code_verifier":"cv"}"#;
    let mut server = Recorder::start(move |n| {
        Reply::Keep(match n {
            0 => full("200 OK", "", started),
            1 => full("403 Not yet", "", "{}"),
            2 => full("404 Not yet", "", "{}"),
            3 => full("200 OK", "", typed),
            _ => full("200 OK", "", GRANT),
        })
    })
    .await;
    let upstream = Upstream::new(config(&server)).unwrap();
    let device = upstream.device_start().await.unwrap();
    assert_eq!((device.user_code.as_str(), device.interval.as_secs()), ("ABCD-12345", 7));
    assert_eq!(device.page.as_str(), format!("http://{}/codex/device", server.addr));
    let request = server.request().await;
    assert_eq!(
        (request.line.as_str(), &request.names()[..]),
        ("POST /api/accounts/deviceauth/usercode HTTP/1.1", orders::AUTH)
    );
    assert_eq!(body(&request), format!(r#"{{"client_id":"{CLIENT_ID}"}}"#));
    for _ in 0..2 {
        assert_eq!(upstream.device_poll(&device).await.unwrap(), PollOutcome::Pending);
        let request = server.request().await;
        assert_eq!(
            (request.line.as_str(), &request.names()[..]),
            ("POST /api/accounts/deviceauth/token HTTP/1.1", orders::AUTH)
        );
        assert_eq!(body(&request), r#"{"device_auth_id":"dev1","user_code":"ABCD-12345"}"#);
    }
    assert!(matches!(upstream.device_poll(&device).await.unwrap(), PollOutcome::Done(_)));
    server.request().await;
    let redirect = format!("redirect_uri=http%3A%2F%2F127.0.0.1%3A{}%2Fdeviceauth%2Fcallback", server.addr.port());
    assert!(body(&server.request().await).contains(&redirect));
}

/// Runs a device login against these answers, the start first. A lost poll is repeated, a code exchange is not. Returns the number of
/// requests.
async fn device_wait(script: &'static [&'static str]) -> (Result<Grant, LoginError>, usize) {
    const TYPED: &str = r#"{"authorization_code":"ac","code_verifier":"cv"}"#;
    let mut server = Recorder::start(move |n| match script.get(n).copied().unwrap_or("grant") {
        "start" => Reply::Keep(full("200 OK", "", r#"{"device_auth_id":"d","user_code":"u"}"#)),
        "cut" => Reply::Close(Vec::new()),
        "typed" => Reply::Keep(full("200 OK", "", TYPED)),
        "grant" => Reply::Keep(full("200 OK", "", GRANT)),
        status => Reply::Keep(full(status, "", "{}")),
    })
    .await;
    let upstream = Upstream::new(config(&server)).unwrap();
    let mut device = upstream.device_start().await.unwrap();
    device.interval = Duration::from_millis(1);
    let outcome = upstream.device_wait(&device).await;
    drop(upstream);
    let mut requests = 0;
    while let Some(event) = server.past() {
        requests += usize::from(matches!(event, Event::Request(_)));
    }
    (outcome, requests)
}

#[tokio::test]
async fn a_device_login_survives_lost_polls() {
    let script = &["start", "cut", "503 Busy", "429 Slow", "404 Not yet", "cut", "typed", "grant"];
    let (outcome, requests) = device_wait(script).await;
    assert_eq!((outcome.unwrap().access.expose(), requests), ("at", script.len()));
}

#[rstest]
#[case(&["start", "410 Gone"])]
#[case(&["start", "400 No"])]
#[case(&["start", "typed", "cut"])]
#[case(&["start", "typed", "503 Busy"])]
#[tokio::test]
async fn a_device_login_ends_with_a_refusal_and_with_its_code(#[case] script: &'static [&'static str]) {
    let (outcome, requests) = device_wait(script).await;
    assert!(outcome.is_err(), "{outcome:?}");
    assert_eq!(requests, script.len());
}

#[rstest]
#[case(404, "{}", LoginError::DeviceDisabled)]
#[case(500, "{}", LoginError::Refused { status: 500, code: String::new(), message: "no reason given".into() })]
#[tokio::test]
async fn a_device_login_that_cannot_start(#[case] status: u16, #[case] answer: &str, #[case] wanted: LoginError) {
    let (_server, upstream) = answering(Reply::Keep(full(&format!("{status} No"), "", answer))).await;
    assert_eq!(upstream.device_start().await.unwrap_err(), wanted);
}
