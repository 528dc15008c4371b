//! Messages to an owner.

use pool::Secret;
use rstest::rstest;
use upstream::FaultKind;
use upstream::relay::{NtfyTopic, Webhook};

use super::house::{House, said};
use super::{discreet, upstream};

const SECRET: &str = "hook-canary-77aa";

#[tokio::test]
async fn a_webhook_is_posted_and_signed() {
    let house = House::open(|_| said(204, &[], "")).await;
    let (upstream, secret, url) = (upstream(), Secret::from("key"), house.at("/hook?x=1").parse().unwrap());
    let hook = Webhook { url: &url, secret: Some(&secret), private: true };
    let body = "The quick brown fox jumps over the lazy dog";
    assert_eq!(upstream.relays().webhook(&hook, body.into()).await.unwrap(), 204);
    let asked = house.only();
    assert_eq!((asked.method.as_str(), asked.path.as_str(), &asked.body[..]), ("POST", "/hook?x=1", body.as_bytes()));
    assert_eq!(asked.header("content-type"), Some("application/json"));
    // The well-known vector of HMAC-SHA256.
    let signature = "sha256=f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8";
    assert_eq!(asked.header("x-polygate-signature"), Some(signature));
    assert!(asked.header("user-agent").unwrap().starts_with("polygate/"));
    for name in ["authorization", "originator", "chatgpt-account-id", "cookie"] {
        assert_eq!(asked.header(name), None);
    }
}

#[rstest]
#[case("me: quota 80 % used", "me: quota 80 % used")]
#[case("一: 80 %", "=?utf-8?B?5LiAOiA4MCAl?=")]
#[case("a\r\nx-evil: b", "a  x-evil: b")]
#[tokio::test]
async fn a_line_is_published_to_a_topic(#[case] title: &str, #[case] sent: &str) {
    let house = House::open(|_| said(200, &[], "{}")).await;
    let (upstream, token, url) = (upstream(), Secret::from(SECRET), house.at("/topic").parse().unwrap());
    let topic = NtfyTopic { url: &url, token: Some(&token), title, priority: 5, private: true };
    assert_eq!(upstream.relays().ntfy(&topic, "一 message".into()).await.unwrap(), 200);
    let asked = house.only();
    assert_eq!((asked.path.as_str(), &asked.body[..]), ("/topic", "一 message".as_bytes()));
    assert_eq!((asked.header("title"), asked.header("priority")), (Some(sent), Some("5")));
    assert_eq!(asked.header("authorization"), Some("Bearer hook-canary-77aa"));
    assert_eq!(asked.header("x-evil"), None);
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
async fn addresses_are_guarded(#[case] url: &str, #[case] private: bool, #[case] says: &str) {
    let house = House::open(|_| said(200, &[], "")).await;
    let (upstream, secret) = (upstream(), Secret::from(SECRET));
    upstream.relays().set_listeners(vec!["127.0.0.1:9999".parse().unwrap()]);
    let url = url.replace("PORT", &house.addr.port().to_string()).parse().unwrap();
    let hook = Webhook { url: &url, secret: Some(&secret), private };
    let fault = upstream.relays().webhook(&hook, "{}".into()).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Denied);
    assert!(fault.message.contains(says), "{fault}");
    discreet(&fault.to_string());
    assert!(house.asked().is_empty());
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let house = House::open(|_| said(302, &[("location", "/elsewhere")], "")).await;
    let (upstream, url) = (upstream(), house.at("/hook").parse().unwrap());
    let hook = Webhook { url: &url, secret: None, private: true };
    let fault = upstream.relays().webhook(&hook, "{}".into()).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Redirect);
    assert_eq!(house.only().header("x-polygate-signature"), None);
}
