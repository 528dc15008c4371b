use std::net::Ipv4Addr;

use super::*;

fn public() -> Settings {
    Settings { hosts: vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED)], port: 0, ..Settings::default() }
}

#[test]
fn a_public_address_needs_a_real_key_and_a_yes_to_plain_http() {
    let strong = ClientKeyStrength::Fixed(Strength::Strong);
    let table = [
        (ClientKeyStrength::None, true, true, "NoKey"),
        (ClientKeyStrength::Fixed(Strength::Known), true, true, "SampleKey"),
        (ClientKeyStrength::Fixed(Strength::Weak), true, true, "ShortKey"),
        (strong, false, true, "PlainHttp"),
        (ClientKeyStrength::Generated, false, true, "PlainHttp"),
        (strong, true, false, "Keyless"),
    ];
    for (keys, allow_plain_http, require_key, variant) in table {
        let refused = check_settings(&Settings { allow_plain_http, require_key, keys, ..public() }).unwrap_err();
        assert!(format!("{refused:?}").starts_with(variant), "{refused:?}");
        assert!(refused.to_string().contains("server."), "{refused} names no setting");
    }
    assert!(check_settings(&Settings { keys: strong, allow_plain_http: true, ..public() }).is_ok());
    assert!(check_settings(&Settings { require_key: false, ..Settings::default() }).is_ok());
}

#[tokio::test]
async fn both_families_share_the_port_that_was_picked() {
    let listeners = listen(&Settings { port: 0, ..Settings::default() }).unwrap();
    let ports: Vec<u16> = listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
    assert!(ports.iter().all(|port| *port == ports[0] && *port != 0));
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let refused = listen(&Settings { port, ..Settings::default() }).unwrap_err();
    assert!(refused.to_string().contains(&format!("127.0.0.1:{port} is in use")), "{refused}");
}
