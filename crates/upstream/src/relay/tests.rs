//! DNS rebinding: only the addresses at the moment of dialling count, and these are checked.

use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use pool::relay::Capabilities;
use pool::{AccountId, Millis, Status};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;

const LOOPBACK: &str = "127.0.0.1";

/// Relays whose names resolve to one list of addresses after the other.
fn relays(answers: &[&[&str]]) -> RelayClient {
    configured(&Config::default(), answers)
}

fn configured(config: &Config, answers: &[&[&str]]) -> RelayClient {
    let parsed = |list: &&[&str]| list.iter().map(|text| text.parse::<IpAddr>().unwrap()).collect();
    let answers = answers.iter().map(parsed).collect();
    let mut relays = RelayClient::new(config, CertificateVerifier::new(None, false).unwrap());
    relays.lookup = Lookup::Script(Arc::new(Mutex::new(answers)));
    relays
}

fn relay(base_url: &str, allow_private: bool) -> Relay {
    Relay {
        id: AccountId("r".into()),
        name: "relay".into(),
        base_url: base_url.into(),
        wire: Wire::Chat,
        models: Vec::new(),
        prefix: String::new(),
        capabilities: Capabilities::CHAT,
        allow_private,
        enabled: true,
        weight: 1,
        status: Status::Active,
        created: Millis(0),
        version: 1,
    }
}

async fn call(relays: &RelayClient, relay: &Relay) -> Result<u16, Fault> {
    let key = Secret::from("key");
    let call = RelayCall { relay, key: &key, model: "m", body: "{}".into(), client_headers: &[] };
    Ok(relays.call(call).await?.status)
}

/// A server that answers every request: its port, the number of its connections, and its tasks.
async fn server() -> (u16, Arc<Mutex<usize>>, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, count, mut tasks) =
        (listener.local_addr().unwrap().port(), Arc::<Mutex<usize>>::default(), JoinSet::new());
    let counter = Arc::clone(&count);
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            *counter.lock() += 1;
            connections.spawn(async move {
                let mut bytes = [0; 4096];
                while stream.read(&mut bytes).await.is_ok_and(|read| read > 0) {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
                }
            });
        }
    });
    (port, count, tasks)
}

#[tokio::test]
async fn a_public_name_that_means_a_private_address_is_not_dialled() {
    let (port, count, _server) = server().await;
    for address in [LOOPBACK, "::ffff:127.0.0.1", "0.0.0.0", "10.0.0.1", "169.254.169.254", "64:ff9b::7f00:1"] {
        let fault = call(&relays(&[&[address]]), &relay(&format!("https://relay.example:{port}/v1"), false)).await;
        let fault = fault.unwrap_err();
        assert_eq!((fault.sent, fault.kind), (Sent::No, FaultKind::Denied), "{address}: {fault}");
        assert!(!fault.message.contains("relay.example") && !fault.message.contains(address), "{fault}");
    }
    assert_eq!(*count.lock(), 0);
}

#[tokio::test]
async fn metadata_behind_a_name_is_never_dialled() {
    for address in ["169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254", "100.100.100.200"] {
        let fault = call(&relays(&[&[address]]), &relay("http://relay.example:8080/v1", true)).await.unwrap_err();
        assert!(fault.kind == FaultKind::Denied && fault.message.contains("metadata"), "{address}: {fault}");
    }
}

/// Forbidden addresses are left out; the connection goes to an allowed one.
#[tokio::test]
async fn of_several_addresses_the_allowed_ones_are_dialled() {
    let (port, count, _server) = server().await;
    let relays = relays(&[&["169.254.169.254", LOOPBACK]]);
    assert_eq!(call(&relays, &relay(&format!("http://relay.example:{port}/v1"), true)).await, Ok(200));
    assert_eq!(*count.lock(), 1);
}

/// A relay never gets a pooled connection of a relay with another rule.
#[tokio::test]
async fn relays_with_other_rules_share_no_connection() {
    let (port, count, _server) = server().await;
    let relays = relays(&[&[LOOPBACK]]);
    let base = format!("http://relay.example:{port}/v1");
    for _ in 0..2 {
        assert_eq!(call(&relays, &relay(&base, true)).await, Ok(200));
    }
    let fault = call(&relays, &relay(&base, false)).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Denied, "{fault}");
    relays.set_listeners(vec![format!("127.0.0.1:{port}").parse().unwrap()]);
    let fault = call(&relays, &relay(&base, true)).await.unwrap_err();
    assert!(fault.kind == FaultKind::Denied && fault.message.contains("itself"), "{fault}");
    assert_eq!(*count.lock(), 1);
}

#[tokio::test]
async fn our_own_listener_behind_a_name_is_not_dialled() {
    let (port, count, _server) = server().await;
    for listener in [format!("127.0.0.1:{port}"), format!("0.0.0.0:{port}"), format!("[::]:{port}")] {
        let relays = relays(&[&[LOOPBACK, "::ffff:127.0.0.1"]]);
        relays.set_listeners(vec![listener.parse().unwrap()]);
        let fault = call(&relays, &relay(&format!("http://relay.example:{port}/v1"), true)).await.unwrap_err();
        assert!(fault.kind == FaultKind::Denied && fault.message.contains("itself"), "{fault}");
    }
    assert_eq!(*count.lock(), 0);
}

/// The first lookup gives an allowed address, a second one would not. There is only one lookup, and its address is dialled.
#[tokio::test]
async fn a_name_is_looked_up_once_for_a_connection() {
    let (port, _, _server) = server().await;
    let relays = relays(&[&[LOOPBACK], &["169.254.169.254"]]);
    let relay = relay(&format!("http://relay.example:{port}/v1"), true);
    assert_eq!(call(&relays, &relay).await, Ok(200));
    let Lookup::Script(answers) = &relays.lookup else { unreachable!() };
    assert_eq!(answers.lock().len(), 1, "one answer was taken");
}

/// Row F18: a silent name server delays neither a call nor the entry of a relay for long.
#[tokio::test(start_paused = true)]
async fn a_stalled_name_server_holds_nothing_up() {
    let mut relays = relays(&[]);
    relays.lookup = Lookup::Late(Duration::from_secs(30), IpAddr::from([192, 0, 2, 1]));
    let begun = tokio::time::Instant::now();
    let fault = call(&relays, &relay("https://relay.example/v1", false)).await.unwrap_err();
    assert_eq!((fault.sent, fault.kind), (Sent::No, FaultKind::Connect), "{fault}");
    assert!(begun.elapsed() <= Duration::from_millis(10_010), "{:?}", begun.elapsed());
    let begun = tokio::time::Instant::now();
    assert_eq!(
        relays.check_public(&"https://relay.example/v1".parse().unwrap()).await,
        Ok(()),
        "it is looked up again when it is called"
    );
    assert!(begun.elapsed() <= Duration::from_secs(2), "{:?}", begun.elapsed());
}

/// The reason for a denial, and whether `allow_private` lifts the denial.
type Bar = Option<(&'static str, bool)>;

#[tokio::test]
async fn what_needs_leave_is_known_before_a_call() {
    let public: &[&str] = &["1.1.1.1", "10.0.0.1"];
    let cases: [(&str, &[&str], Bar); 10] = [
        ("https://relay.example/v1", public, None),
        ("https://relay.example/v1", &[], None),
        ("https://relay.example/v1", &["10.0.0.1"], Some(("private network", true))),
        ("https://relay.example/v1", &["198.18.0.7"], Some(("fake-IP", true))),
        ("http://relay.example/v1", public, Some(("plain http", true))),
        ("http://localhost:11434/v1", &[], Some(("localhost", true))),
        ("http://192.168.1.5/v1", &[], Some(("private network", true))),
        ("https://relay.example/v1", &["169.254.169.254"], Some(("metadata", false))),
        ("http://169.254.169.254/v1", &[], Some(("metadata", false))),
        ("https://relay.example:22/v1", public, Some(("port", false))),
    ];
    for (base, answer, expected) in cases {
        let denied = relays(&[answer]).check_public(&base.parse().unwrap()).await.err();
        assert_eq!(denied.is_some(), expected.is_some(), "{base} {answer:?}: {denied:?}");
        let (Some(denied), Some((part, liftable))) = (denied, expected) else { continue };
        assert!(denied.to_string().contains(part) && denied.liftable() == liftable, "{base}: {denied}");
    }
}

/// A proxy on this machine could reach addresses that the gateway must not call.
#[tokio::test]
async fn a_proxy_is_not_asked_for_what_is_never_called() {
    let (port, count, _server) = server().await;
    let config = Config { proxy: Some(format!("http://127.0.0.1:{port}").parse().unwrap()), ..Config::default() };
    let cases: [(&[&str], Result<u16, &str>); 5] = [
        (&["169.254.169.254"], Err("metadata")),
        (&["1.1.1.1", "::ffff:169.254.169.254"], Err("metadata")),
        (&[LOOPBACK], Err("itself")),
        (&["10.0.0.1"], Ok(200)),
        (&[], Ok(200)),
    ];
    for (answer, expected) in cases {
        let relays = configured(&config, &[answer]);
        relays.set_listeners(vec!["127.0.0.1:8080".parse().unwrap()]);
        let called = call(&relays, &relay("http://relay.example:8080/v1", true)).await;
        match (called, expected) {
            (Ok(status), Ok(good)) => assert_eq!(status, good, "{answer:?}"),
            (Err(fault), Err(part)) => assert!(fault.message.contains(part), "{answer:?}: {fault}"),
            (called, _) => panic!("{answer:?}: {called:?}"),
        }
    }
    assert_eq!(*count.lock(), 2);
    let relays = configured(&config, &[&["10.0.0.1"]]);
    assert_eq!(
        relays.check_public(&"https://relay.example/v1".parse().unwrap()).await,
        Ok(()),
        "the proxy's own business"
    );
}

#[tokio::test]
async fn a_name_that_means_nothing_is_a_connect_fault() {
    let fault = call(&relays(&[&[]]), &relay("http://relay.example:8080/v1", true)).await.unwrap_err();
    assert_eq!((fault.sent, fault.kind), (Sent::No, FaultKind::Connect), "{fault}");
}
