use std::net::Ipv4Addr;

use http::Request;
use rstest::rstest;

use super::*;

const LAN: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 5));

fn ours(text: &str) -> bool {
    Host::parse(text).is_some_and(|host| host.is_ours(LAN, &["gw.example".to_owned(), "gw.lan:8443".to_owned()]))
}

#[rstest]
#[case("localhost")]
#[case("LOCALHOST.")]
#[case("localhost:8080")]
#[case("127.0.0.1:1")]
#[case("127.8.9.1")]
#[case("[::1]")]
#[case("[::1]:8080")]
#[case("[::ffff:127.0.0.1]:80")]
#[case("192.168.1.5:8080")]
#[case("GW.example:99")]
#[case("gw.lan:8443")]
fn our_names_pass(#[case] text: &str) {
    assert!(ours(text), "{text}");
}

#[rstest]
#[case("")]
#[case("evil.com")]
#[case("127.0.0.1.evil.com")]
#[case("localhost.evil.com")]
#[case("evil.localhost")]
#[case("localhost:8080/?x")]
#[case("localhost/")]
#[case("localhost#")]
#[case("localhost?")]
#[case("a@localhost")]
#[case("localhost@evil.com")]
#[case("localhost:8080@evil.com")]
#[case("localhost\\evil.com")]
#[case("localhost,evil.com")]
#[case("localhost evil.com")]
#[case(" localhost")]
#[case("localhost\t")]
#[case("localhost:")]
#[case("localhost:-1")]
#[case("localhost:+80")]
#[case("localhost:99999")]
#[case("localhost:80:80")]
#[case("localhost..")]
#[case(".localhost")]
#[case("%6cocalhost")]
#[case("loc\u{430}lhost")]
#[case("2130706433")]
#[case("0x7f000001")]
#[case("0x7f.1")]
#[case("0177.0.0.1")]
#[case("127.1")]
#[case("127.0.0.01")]
#[case("0.0.0.0")]
#[case("[::]")]
#[case("192.168.1.6")]
#[case("169.254.169.254")]
#[case("[::1")]
#[case("::1")]
#[case("[::1]x")]
#[case("[::1]:")]
#[case("[::1%25lo]")]
#[case("[fe80::1]")]
#[case("gw.lan")]
#[case("gw.lan:80")]
#[case("gw.example.evil.com")]
#[case("xgw.example")]
fn other_names_do_not(#[case] text: &str) {
    assert!(!ours(text), "{text}");
}

fn named(target: &str, hosts: &[&str], version: Version) -> Option<Host> {
    let mut request = Request::get(target).version(version);
    for host in hosts {
        request = request.header(HOST, *host);
    }
    Host::of(&request.body(()).unwrap().into_parts().0)
}

#[test]
fn target_and_header_must_agree() {
    assert!(named("/", &["localhost"], Version::HTTP_11).is_some());
    assert!(named("http://localhost/", &["LOCALHOST"], Version::HTTP_11).is_some());
    assert!(named("http://localhost/", &[], Version::HTTP_2).is_some());
    assert!(named("http://localhost/", &["localhost"], Version::HTTP_2).is_some());
    assert!(named("http://evil.com/", &["localhost"], Version::HTTP_11).is_none());
    assert!(named("http://localhost/", &["evil.com"], Version::HTTP_2).is_none());
    assert!(named("http://localhost/", &[], Version::HTTP_11).is_none());
    assert!(named("/", &[], Version::HTTP_11).is_none());
    assert!(named("/", &[], Version::HTTP_10).is_none());
    assert!(named("/", &["localhost", "localhost"], Version::HTTP_11).is_none());
    assert!(named("http://a@localhost/", &["localhost"], Version::HTTP_11).is_none());
}
