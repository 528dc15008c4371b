//! Messages to an owner.

use pool::Secret;
use rstest::rstest;
use upstream::FaultKind;
use upstream::relay::{NtfyTopic, Webhook};

use super::server::{Server, response};
use super::{discreet, upstream};

const SECRET: &str = "hook-canary-77aa";

#[tokio::test]
async fn a_webhook_is_posted_and_signed() {
    let server = Server::open(|_| response(204, &[], "")).await;
    let (upstream, secret, url) = (upstream(), Secret::from("key"), server.at("/hook?x=1").parse().unwrap());
    let hook = Webhook { url: &url, secret: Some(&secret), private: true };
    let body = "The quick brown fox jumps over the lazy dog";
    assert_eq!(upstream.relays().webhook(&hook, body.into()).await.unwrap(), 204);
    let request = server.only();
    assert_eq!(
        (request.method.as_str(), request.path.as_str(), &request.body[..]),
        ("POST", "/hook?x=1", body.as_bytes())
    );
    assert_eq!(request.header("content-type"), Some("application/json"));
    // The well-known vector of HMAC-SHA256.
    let signature = "sha256=f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8";
    assert_eq!(request.header("x-polygate-signature"), Some(signature));
    assert!(request.header("user-agent").unwrap().starts_with("polygate/"));
    for name in ["authorization", "originator", "chatgpt-account-id", "cookie"] {
        assert_eq!(request.header(name), None);
    }
}

#[rstest]
#[case("me: quota 80 % used", "me: quota 80 % used")]
#[case("一: 80 %", "=?utf-8?B?5LiAOiA4MCAl?=")]
#[case("a\r\nx-evil: b", "a  x-evil: b")]
#[tokio::test]
async fn a_line_is_published_to_a_topic(#[case] title: &str, #[case] sent: &str) {
    let server = Server::open(|_| response(200, &[], "{}")).await;
    let (upstream, token, url) = (upstream(), Secret::from(SECRET), server.at("/topic").parse().unwrap());
    let topic = NtfyTopic { url: &url, token: Some(&token), title, priority: 5, private: true };
    assert_eq!(upstream.relays().ntfy(&topic, "一 message".into()).await.unwrap(), 200);
    let request = server.only();
    assert_eq!((request.path.as_str(), &request.body[..]), ("/topic", "一 message".as_bytes()));
    assert_eq!((request.header("title"), request.header("priority")), (Some(sent), Some("5")));
    assert_eq!(request.header("authorization"), Some("Bearer hook-canary-77aa"));
    assert_eq!(request.header("x-evil"), None);
}

#[rstest]
// Private addresses are refused unless the owner allows them; metadata services and the gateway itself are always refused.
#[case("http://127.0.0.1:PORT/", false, "alerts.allow_private")]
#[case("https://10.0.0.1/", false, "alerts.allow_private")]
#[case("https://localhost/", false, "alerts.allow_private")]
#[case("http://hooks.example.com/", false, "alerts.allow_private")]
#[case("https://169.254.169.254/", true, "never")]
#[case("http://127.0.0.1:9999/", true, "never")]
#[case("ftp://hooks.example.com/", true, "never")]
#[tokio::test]
async fn addresses_are_guarded(#[case] url: &str, #[case] private: bool, #[case] part: &str) {
    let server = Server::open(|_| response(200, &[], "")).await;
    let (upstream, secret) = (upstream(), Secret::from(SECRET));
    upstream.relays().set_listeners(vec!["127.0.0.1:9999".parse().unwrap()]);
    let url = url.replace("PORT", &server.addr.port().to_string()).parse().unwrap();
    let hook = Webhook { url: &url, secret: Some(&secret), private };
    let fault = upstream.relays().webhook(&hook, "{}".into()).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Denied);
    assert!(fault.message.contains(part), "{fault}");
    discreet(&fault.to_string());
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let server = Server::open(|_| response(302, &[("location", "/elsewhere")], "")).await;
    let (upstream, url) = (upstream(), server.at("/hook").parse().unwrap());
    let hook = Webhook { url: &url, secret: None, private: true };
    let fault = upstream.relays().webhook(&hook, "{}".into()).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Redirect);
    assert_eq!(server.only().header("x-polygate-signature"), None);
}
