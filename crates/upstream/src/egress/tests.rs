//! Which connections a way has, and what the name of a proxy may mean.

use std::net::IpAddr;
use std::time::Duration;

use pool::Millis;
use rstest::rstest;

use super::*;
use crate::Upstream;

fn proxy(id: &str, url: &str, allow_private: bool) -> Proxy {
    Proxy {
        id: ProxyId(id.into()),
        name: format!("name of {id}"),
        address: Address::read(url).unwrap(),
        enabled: true,
        allow_private,
        health: None,
        created: Millis(0),
    }
}

fn ways(global: Option<&str>, answers: &[&[&str]]) -> Ways {
    let parsed = |list: &&[&str]| list.iter().map(|text| text.parse::<IpAddr>().unwrap()).collect();
    asking(global, Lookup::Script(Arc::new(Mutex::new(answers.iter().map(parsed).collect()))))
}

fn asking(global: Option<&str>, lookup: Lookup) -> Ways {
    let config = Config { proxy: global.map(|url| url.parse().unwrap()), ..Config::default() };
    Ways { lookup, ..Ways::new(&config, Roots::new(None, false).unwrap()).unwrap() }
}

fn upstream(ways: Ways) -> Upstream {
    let mut inner =
        Upstream::new(Config { base_url: "https://api.example.test".parse().unwrap(), ..Config::default() });
    let upstream = inner.as_mut().unwrap();
    Arc::get_mut(&mut upstream.inner).unwrap().ways = ways;
    inner.unwrap()
}

#[test]
fn each_way_has_connections_of_its_own() {
    let ways = ways(Some("http://global.example:1"), &[]);
    let of = |way: &Way| Arc::as_ptr(&ways.lanes(way).unwrap());
    let a = Way::through(proxy("a", "http://a.example:1", false));
    let b = Way::through(proxy("b", "http://b.example:1", false));
    let all = [Way::global(), Way::direct(), a.clone(), b];
    let found: std::collections::HashSet<_> = all.iter().map(of).collect();
    assert_eq!(found.len(), 4);
    assert_eq!(of(&a), of(&Way::through(proxy("a", "http://a.example:1", false))), "kept");
    let other = Way::through(proxy("a", "http://u:p@a.example:1", false));
    assert_ne!(of(&a), of(&other), "other credentials, other connections");
}

#[test]
fn without_a_global_proxy_the_global_way_is_direct() {
    let ways = ways(None, &[]);
    let of = |way: &Way| Arc::as_ptr(&ways.lanes(way).unwrap());
    assert_eq!(of(&Way::global()), of(&Way::direct()));
}

#[test]
fn connections_of_proxies_are_bounded_and_go_with_them() {
    let ways = ways(None, &[]);
    let all: Vec<Proxy> = (0..KEPT + 3).map(|at| proxy(&at.to_string(), "http://a.example:1", false)).collect();
    for proxy in &all {
        ways.lanes(&Way::through(proxy.clone())).unwrap();
        // Used again and again, so never the one to go.
        ways.lanes(&Way::through(all[0].clone())).unwrap();
    }
    let kept = |id: &str| ways.kept.lock().iter().any(|kept| kept.id.0 == id);
    assert_eq!(ways.kept.lock().len(), KEPT);
    assert!(kept("0") && !kept("1"));
    ways.retain(&all[..1]);
    assert_eq!(ways.kept.lock().len(), 1);
    ways.retain(&[proxy("0", "http://b.example:1", false)]);
    assert_eq!(ways.kept.lock().len(), 0, "it moved");
}

/// Row F18: a name that means another address by now gains nothing, and a stall or a name that means nothing ends cleanly.
#[rstest]
#[case::loopback(false, &["127.0.0.1"], "this machine")]
#[case::metadata(false, &["169.254.169.254"], "metadata")]
#[case::metadata_with_leave(true, &["169.254.169.254"], "metadata")]
#[case::private(false, &["10.0.0.1"], "private network")]
#[case::nothing(false, &[], "proxy name of a (a.example:1)")]
#[tokio::test]
async fn the_name_of_a_proxy_leads_nowhere_inward(#[case] private: bool, #[case] answers: &[&str], #[case] word: &str) {
    for scheme in ["http", "socks5h"] {
        let way = Way::through(proxy("a", &format!("{scheme}://u:canary@a.example:1"), private));
        let upstream = upstream(ways(None, &[answers])).over(way);
        let fault = upstream.reach().await.unwrap_err();
        assert_eq!((fault.sent, fault.kind), (Sent::No, FaultKind::Proxy), "{fault}");
        // The SOCKS connector keeps the cause to itself.
        let said = scheme == "socks5h" || fault.message.contains(word);
        assert!(said && !fault.message.contains("canary"), "{fault}");
    }
}

/// Row F18: a name server that says nothing for 30 s, or that it failed. The way without a proxy has the system's resolver, in whose
/// place stands this one.
#[rstest]
#[case::stall(Lookup::Late(Duration::from_secs(30), IpAddr::from([192, 0, 2, 1])), "took too long")]
#[case::failure(Lookup::Fails, "the name server failed")]
#[tokio::test(start_paused = true)]
async fn a_name_server_in_trouble_ends_a_call_in_time(#[case] lookup: Lookup, #[case] word: &str) {
    let mut ways = asking(None, lookup.clone());
    let door = Resolver::Door(Door::new("api.example.test".to_owned(), false, lookup));
    let exit = Exit { proxy: None, near: Near::Loopback, resolver: Some(door) };
    ways.global = Arc::new(Lanes::new(Timeouts::default(), &ways.roots, exit).unwrap());
    let upstream = upstream(ways);
    for scheme in ["", "http", "https", "socks5h"] {
        let (way, kind) = match scheme {
            "" => (Way::global(), FaultKind::Connect),
            _ => (Way::through(proxy("a", &format!("{scheme}://a.example:1"), false)), FaultKind::Proxy),
        };
        let begun = tokio::time::Instant::now();
        let fault = upstream.over(way).reach().await.unwrap_err();
        assert_eq!((fault.sent, fault.kind), (Sent::No, kind), "{scheme}: {fault}");
        // The SOCKS connector keeps the cause to itself.
        assert!(scheme == "socks5h" || fault.message.contains(word), "{scheme}: {fault}");
        assert!(begun.elapsed() <= Duration::from_millis(10_010), "{scheme}: {:?}", begun.elapsed());
    }
}

#[rstest]
#[case("http://127.0.0.1:1")]
#[case("socks5://[::1]:1")]
#[case("http://localhost:1")]
#[tokio::test]
async fn an_inward_proxy_is_not_dialled_without_leave(#[case] url: &str) {
    let upstream = upstream(ways(None, &[])).over(Way::through(proxy("a", url, false)));
    let fault = upstream.reach().await.unwrap_err();
    assert!(fault.kind == FaultKind::Proxy && fault.message.contains("allow_private"), "{fault}");
}
