//! A proxy that fails: its own kind of fault, nothing sent, and never a direct connection instead (row F21, in part).

use std::time::Duration;

use rstest::rstest;
use upstream::{Config, Fault, FaultKind, Sent, Timeouts, Upstream};

use crate::recorder::{Recorder, Reply};
use crate::setup::{assert_no_secrets, call, short};

async fn through(proxy: &str) -> Fault {
    let config = Config {
        base_url: "https://api.example.test/backend-api".parse().unwrap(),
        proxy: Some(proxy.parse().unwrap()),
        // The limit of the whole call must not come first.
        timeouts: Timeouts { headers: Duration::from_secs(20), ..short() },
        ..Config::default()
    };
    let fault = call(&Upstream::new(config).unwrap()).await.err().unwrap();
    assert_no_secrets(&fault);
    assert!(!fault.message.contains("hunter2"), "{fault}");
    fault
}

#[rstest]
#[case::http("http")]
#[case::socks("socks5h")]
#[tokio::test]
async fn a_proxy_that_is_down(#[case] scheme: &str) {
    let addr = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let fault = through(&format!("{scheme}://user:hunter2@{addr}")).await;
    assert_eq!((fault.sent, fault.kind), (Sent::No, FaultKind::Proxy), "{fault}");
}

#[rstest]
#[case::refuses(Reply::Close(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n".to_vec()))]
#[case::fails(Reply::Close(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n".to_vec()))]
#[case::hangs(Reply::Hang(Vec::new()))]
#[case::ends(Reply::Close(Vec::new()))]
#[tokio::test]
async fn a_proxy_that_does_not_connect(#[case] reply: Reply) {
    let mut server = Recorder::always(reply).await;
    let fault = through(&format!("http://user:hunter2@{}", server.addr)).await;
    assert_eq!((fault.sent, fault.kind), (Sent::No, FaultKind::Proxy), "{fault}");
    let request = server.request().await;
    assert_eq!(request.line, "CONNECT api.example.test:443 HTTP/1.1");
    assert!(request.header("authorization").is_none());
}
