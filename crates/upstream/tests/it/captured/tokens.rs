//! The calls of the auth server.

use pool::Secret;
use serde_json::json;
use upstream::oauth::RefreshReason;
use upstream::{Config, Profile, Upstream};

use super::{Capture, How, as_sent_by, of, orders, profile, profiles};
use crate::recorder::{RecordedRequest, Recorder, Reply, full};
use crate::setup::config;

/// The field of a recorded form.
fn field(of: &Capture, name: &str) -> String {
    let body = of.body();
    let pair = url::form_urlencoded::parse(body.as_bytes()).find(|(key, _)| key == name);
    pair.unwrap().1.into_owned()
}

/// The field of a recorded object.
fn member(of: &Capture, name: &str) -> Secret {
    Secret::from(of.value["body"][name].as_str().unwrap())
}

async fn send(of: &Capture, profile: Profile) -> RecordedRequest {
    let waiting = of.number() == 37;
    let id = of.value["body"]["device_auth_id"].as_str().unwrap_or("d").to_owned();
    let code = of.value["body"]["user_code"].as_str().unwrap_or("u").to_owned();
    let device = json!({ "device_auth_id": id, "user_code": code }).to_string();
    let grant = r#"{"access_token":"at","authorization_code":"ac_fake_device_code","code_verifier":"fakeverifier"}"#;
    let mut server = Recorder::start(move |n| match n {
        0 => Reply::Keep(full("200 OK", "", &device)),
        _ if waiting => Reply::Keep(full("403 Not yet", "", "{}")),
        _ => Reply::Keep(full("200 OK", "", grant)),
    })
    .await;
    let upstream = Upstream::new(Config { profile, ..config(&server) }).unwrap();
    let calls = match of.number() {
        32 => {
            drop(upstream.refresh(&member(of, "refresh_token"), RefreshReason::ProactiveExpiry).await);
            0
        }
        33 => {
            drop(upstream.refresh(&member(of, "refresh_token"), RefreshReason::UnauthorizedRecovery).await);
            0
        }
        34 => {
            let [code, verifier] = ["code", "code_verifier"].map(|name| Secret::new(field(of, name)));
            drop(upstream.exchange(&code, &verifier, &field(of, "redirect_uri")).await);
            0
        }
        35 => {
            drop(upstream.api_key(&Secret::new(field(of, "subject_token"))).await);
            0
        }
        39 => {
            upstream.revoke(&member(of, "token")).await.unwrap();
            0
        }
        number @ 36..=38 => {
            let device = upstream.device_start().await.unwrap();
            if number > 36 {
                upstream.device_poll(&device).await.unwrap();
            }
            usize::from(number) - 36
        }
        other => panic!("nobody knows what call {other} is"),
    };
    for _ in 0..calls {
        server.request().await;
    }
    let mut request = server.request().await;
    // The redirect URL contains the auth server's address, which is the test server's here.
    let ours = format!("http%3A%2F%2F127.0.0.1%3A{}%2Fdevice", server.addr.port());
    let body = String::from_utf8(request.body).unwrap().replace(&ours, "https%3A%2F%2Fauth.openai.com%2Fdevice");
    if body.contains("deviceauth%2Fcallback") {
        let length = request.headers.iter_mut().find(|(name, _)| name == "content-length").unwrap();
        length.1 = body.len().to_string();
    }
    request.body = body.into_bytes();
    request
}

#[tokio::test]
async fn token_calls_equal_the_recorded_ones() {
    for capture in of(How::Token) {
        let named = capture.header("user-agent").is_some();
        let order = if named { orders::REFRESH } else { orders::AUTH };
        orders::assert_in(order, capture.pairs().map(|(name, _)| name).filter(|name| !name.starts_with(':')));
        let recorded = if named { capture.profile() } else { profile("codex_exec", "0.169.0", None) };
        for profile in [vec![recorded.clone()], profiles().into()].concat() {
            let request = send(&capture, profile.clone()).await;
            assert_eq!(request.line, capture.line(), "{}", capture.name);
            let expected = as_sent_by(&profile, capture.headers());
            assert_eq!(capture.sent(&request), expected, "{} as {}", capture.name, profile.name);
            // The recording has a placeholder for the token; the sent form has the escaped placeholder.
            let body = String::from_utf8(request.body).unwrap().replace("%3CJWT%3E", "<JWT>");
            assert_eq!(body, capture.body(), "{}", capture.name);
        }
        assert_eq!(capture.sent(&send(&capture, recorded).await), capture.headers(), "{}", capture.name);
    }
}
