//! The connections of each egress, and the addresses that a proxy's name may resolve to.

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

fn clients(global: Option<&str>, answers: &[&[&str]]) -> EgressClients {
    let parsed = |list: &&[&str]| list.iter().map(|text| text.parse::<IpAddr>().unwrap()).collect();
    asking(global, Lookup::Script(Arc::new(Mutex::new(answers.iter().map(parsed).collect()))))
}

fn asking(global: Option<&str>, lookup: Lookup) -> EgressClients {
    let config = Config { proxy: global.map(|url| url.parse().unwrap()), ..Config::default() };
    EgressClients { lookup, ..EgressClients::new(&config, CertificateVerifier::new(None, false).unwrap()).unwrap() }
}

fn upstream(clients: EgressClients) -> Upstream {
    let mut inner =
        Upstream::new(Config { base_url: "https://api.example.test".parse().unwrap(), ..Config::default() });
    let upstream = inner.as_mut().unwrap();
    Arc::get_mut(&mut upstream.inner).unwrap().egress_clients = clients;
    inner.unwrap()
}

#[test]
fn each_egress_has_its_own_connections() {
    let clients = clients(Some("http://global.example:1"), &[]);
    let of = |egress: &ResolvedEgress| Arc::as_ptr(&clients.clients(egress).unwrap());
    let a = ResolvedEgress::through(proxy("a", "http://a.example:1", false));
    let b = ResolvedEgress::through(proxy("b", "http://b.example:1", false));
    let all = [ResolvedEgress::global(), ResolvedEgress::direct(), a.clone(), b];
    let found: std::collections::HashSet<_> = all.iter().map(of).collect();
    assert_eq!(found.len(), 4);
    assert_eq!(of(&a), of(&ResolvedEgress::through(proxy("a", "http://a.example:1", false))), "kept");
    let other = ResolvedEgress::through(proxy("a", "http://u:p@a.example:1", false));
    assert_ne!(of(&a), of(&other), "other credentials, other connections");
}

#[test]
fn without_a_global_proxy_the_global_egress_is_direct() {
    let clients = clients(None, &[]);
    let of = |egress: &ResolvedEgress| Arc::as_ptr(&clients.clients(egress).unwrap());
    assert_eq!(of(&ResolvedEgress::global()), of(&ResolvedEgress::direct()));
}

#[test]
fn connections_of_proxies_are_bounded_and_go_with_them() {
    let clients = clients(None, &[]);
    let all: Vec<Proxy> = (0..MOST_PROXIES + 3).map(|at| proxy(&at.to_string(), "http://a.example:1", false)).collect();
    for proxy in &all {
        clients.clients(&ResolvedEgress::through(proxy.clone())).unwrap();
        // The first proxy is used again in every round, so it is never evicted.
        clients.clients(&ResolvedEgress::through(all[0].clone())).unwrap();
    }
    let is_pooled = |id: &str| clients.by_proxy.lock().iter().any(|entry| entry.id.0 == id);
    assert_eq!(clients.by_proxy.lock().len(), MOST_PROXIES);
    assert!(is_pooled("0") && !is_pooled("1"));
    clients.retain(&all[..1]);
    assert_eq!(clients.by_proxy.lock().len(), 1);
    clients.retain(&[proxy("0", "http://b.example:1", false)]);
    assert_eq!(clients.by_proxy.lock().len(), 0, "it moved");
}

/// Row F18: a proxy's name that now resolves to another address gains nothing, and a stall or a name without an address ends cleanly.
#[rstest]
#[case::loopback(false, &["127.0.0.1"], "this machine")]
#[case::metadata(false, &["169.254.169.254"], "metadata")]
#[case::metadata_with_leave(true, &["169.254.169.254"], "metadata")]
#[case::private(false, &["10.0.0.1"], "private network")]
#[case::nothing(false, &[], "proxy name of a (a.example:1)")]
#[tokio::test]
async fn a_proxy_name_cannot_resolve_to_a_forbidden_address(
    #[case] private: bool,
    #[case] answers: &[&str],
    #[case] word: &str,
) {
    for scheme in ["http", "socks5h"] {
        let egress = ResolvedEgress::through(proxy("a", &format!("{scheme}://u:canary@a.example:1"), private));
        let upstream = upstream(clients(None, &[answers])).with_egress(egress);
        let fault = upstream.check_reachable().await.unwrap_err();
        assert_eq!((fault.sent, fault.kind), (Sent::No, FaultKind::Proxy), "{fault}");
        // The SOCKS connector does not report the cause.
        let is_reported = scheme == "socks5h" || fault.message.contains(word);
        assert!(is_reported && !fault.message.contains("canary"), "{fault}");
    }
}

/// Row F18: a name server that is silent for 30 s, or that reports a failure. The egress without a proxy uses the system's resolver,
/// which this test replaces.
#[rstest]
#[case::stall(Lookup::Late(Duration::from_secs(30), IpAddr::from([192, 0, 2, 1])), "took too long")]
#[case::failure(Lookup::Fails, "the name server failed")]
#[tokio::test(start_paused = true)]
async fn a_name_server_in_trouble_ends_a_call_in_time(#[case] lookup: Lookup, #[case] word: &str) {
    let mut clients = asking(None, lookup.clone());
    let resolver = Resolver::Proxy(ProxyResolver::new("api.example.test".to_owned(), false, lookup));
    let exit = ConnectOptions { proxy: None, bypass: ProxyBypass::Loopback, resolver: Some(resolver) };
    clients.global = Arc::new(ClientPool::new(Timeouts::default(), &clients.roots, exit).unwrap());
    let upstream = upstream(clients);
    for scheme in ["", "http", "https", "socks5h"] {
        let (egress, kind) = match scheme {
            "" => (ResolvedEgress::global(), FaultKind::Connect),
            _ => (ResolvedEgress::through(proxy("a", &format!("{scheme}://a.example:1"), false)), FaultKind::Proxy),
        };
        let begun = tokio::time::Instant::now();
        let fault = upstream.with_egress(egress).check_reachable().await.unwrap_err();
        assert_eq!((fault.sent, fault.kind), (Sent::No, kind), "{scheme}: {fault}");
        // The SOCKS connector does not report the cause.
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
    let upstream = upstream(clients(None, &[])).with_egress(ResolvedEgress::through(proxy("a", url, false)));
    let fault = upstream.check_reachable().await.unwrap_err();
    assert!(fault.kind == FaultKind::Proxy && fault.message.contains("allow_private"), "{fault}");
}
