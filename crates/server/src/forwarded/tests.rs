use http::HeaderValue;
use rstest::rstest;

use super::*;

fn trusted() -> Vec<Network> {
    ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"].map(|text| text.parse().unwrap()).to_vec()
}

#[rstest]
#[case("10.1.2.3", &[], "10.1.2.3")]
#[case("10.1.2.3", &["203.0.113.9"], "203.0.113.9")]
#[case("10.1.2.3", &["198.51.100.1, 203.0.113.9"], "203.0.113.9")]
#[case("10.1.2.3", &["203.0.113.9, 192.0.2.7"], "203.0.113.9")]
#[case("10.1.2.3", &["198.51.100.1", "203.0.113.9", "10.9.9.9"], "203.0.113.9")]
#[case("10.1.2.3", &["10.4.4.4, 10.5.5.5"], "10.4.4.4")]
#[case("10.1.2.3", &["203.0.113.9:4711"], "203.0.113.9")]
#[case("10.1.2.3", &["[2001:db9::1]:80"], "2001:db9::1")]
#[case("10.1.2.3", &["::ffff:203.0.113.9"], "203.0.113.9")]
#[case("2001:db8::5", &["203.0.113.9"], "203.0.113.9")]
// Values that a client sends are to the left of the value that the proxy adds.
#[case("10.1.2.3", &["127.0.0.1, 203.0.113.9"], "203.0.113.9")]
#[case("10.1.2.3", &["198.51.100.1, unknown"], "10.1.2.3")]
#[case("10.1.2.3", &["198.51.100.1, \u{e9}"], "10.1.2.3")]
#[case("10.1.2.3", &["198.51.100.1,"], "10.1.2.3")]
#[case("10.1.2.3", &[""], "10.1.2.3")]
// The header of a peer that is not trusted is ignored.
#[case("198.51.100.9", &["203.0.113.9"], "198.51.100.9")]
#[case("127.0.0.1", &["203.0.113.9"], "127.0.0.1")]
fn the_rightmost_address_that_is_not_trusted_counts(#[case] peer: &str, #[case] given: &[&str], #[case] found: &str) {
    let mut headers = HeaderMap::new();
    for value in given {
        headers.append(HEADER, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    assert_eq!(client(peer.parse().unwrap(), &headers, &trusted()), found.parse::<IpAddr>().unwrap());
    let nobody = client(peer.parse().unwrap(), &headers, &[]);
    assert_eq!(nobody, peer.parse::<IpAddr>().unwrap(), "nobody is trusted by default");
}

#[test]
fn a_long_chain_is_not_followed_to_its_end() {
    let chain = format!("203.0.113.9{}", ", 10.0.0.1".repeat(HOPS));
    let headers = [(HEADER.parse().unwrap(), chain.parse().unwrap())].into_iter().collect();
    assert_eq!(client("10.1.2.3".parse().unwrap(), &headers, &trusted()), "10.0.0.1".parse::<IpAddr>().unwrap());
}

#[rstest]
#[case("0.0.0.0/0", "203.0.113.9", true)]
#[case("10.0.0.0/8", "10.255.0.1", true)]
#[case("10.0.0.0/8", "11.0.0.1", false)]
#[case("10.0.0.128/25", "10.0.0.127", false)]
#[case("10.0.0.1", "10.0.0.1", true)]
#[case("10.0.0.1", "10.0.0.2", false)]
#[case("10.0.0.0/8", "::ffff:10.0.0.1", true)]
#[case("::ffff:10.0.0.0/104", "10.0.0.1", true)]
#[case("::/0", "2001:db8::1", true)]
#[case("::/0", "10.0.0.1", false)]
#[case("2001:db8::/33", "2001:db8:8000::1", false)]
fn networks_have_their_addresses(#[case] network: &str, #[case] address: &str, #[case] has: bool) {
    assert_eq!(network.parse::<Network>().unwrap().contains(address.parse().unwrap()), has);
}

#[rstest]
#[case("")]
#[case("box.lan")]
#[case("10.0.0.0/33")]
#[case("::/129")]
#[case("10.0.0.0/-1")]
#[case("10.0.0.0/+8")]
#[case("10.0.0.0/")]
#[case("10.0.0/8")]
#[case("*")]
fn other_text_is_no_network(#[case] text: &str) {
    assert_eq!(text.parse::<Network>(), Err(NotANetwork));
}

#[test]
fn places_are_counted_by_address_and_given_back() {
    let clients: Arc<ClientRequests> = Arc::default();
    let one: IpAddr = "203.0.113.9".parse().unwrap();
    let held = (clients.enter(one, 2), clients.enter(one, 2));
    assert!(held.0.is_some() && held.1.is_some() && clients.enter(one, 2).is_none());
    assert!(clients.enter("203.0.113.10".parse().unwrap(), 2).is_some());
    drop(held);
    assert!(clients.0.lock().is_empty());
}
