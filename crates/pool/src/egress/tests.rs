use std::collections::HashMap;

use rstest::rstest;

use super::file::{self, ProxyEntry};
use super::{
    Address, Egress, EgressTable, EgressUnavailable, Invalid, Proxy, ProxyId, REST, Rotation, Route, RouteHealth,
    check_name,
};
use crate::account::AccountId;
use crate::{Millis, Secret};

const NOW: Millis = Millis(1_800_000_000_000);

fn id(text: &str) -> ProxyId {
    ProxyId(text.into())
}

fn proxy(name: &str) -> Proxy {
    Proxy {
        id: id(name),
        name: name.to_uppercase(),
        address: Address::read(&format!("http://{name}.example:3128")).unwrap(),
        enabled: true,
        allow_private: false,
        health: None,
        created: NOW,
    }
}

/// Proxies by their letters: `A` is switched off; `!` after one says that it rests, `?` that its rest is over.
fn table(words: &str, global: bool) -> EgressTable {
    let mut down = HashMap::new();
    let mut proxies = Vec::new();
    for word in words.split_whitespace() {
        let name = word.trim_end_matches(['!', '?']).to_lowercase();
        let route = if name == "global" { Route::Global } else { Route::Proxy(id(&name)) };
        match word.chars().last() {
            Some('!') => down.insert(route, NOW.plus(1000)),
            Some('?') => down.insert(route, NOW),
            _ => None,
        };
        if name != "global" {
            proxies.push(Proxy { enabled: word.starts_with(&name), ..proxy(&name) });
        }
    }
    EgressTable { proxies, assigned: HashMap::new(), down, global }
}

#[rstest]
#[case::no_global_proxy_is_direct("a", false, "global", "direct")]
#[case::the_global_one("a", true, "global", "global")]
#[case::the_global_one_rests("a global!", true, "global", "the proxy of the configuration does not answer")]
#[case::the_global_one_is_tried_again("a global?", true, "global", "global")]
#[case::direct_in_spite_of_a_global_one("a", true, "direct", "direct")]
#[case::direct_whatever_is_down("a! global!", true, "direct", "direct")]
#[case::fixed("a b", true, "b", "b")]
#[case::fixed_and_resting("a b!", false, "b", "its proxy B does not answer")]
#[case::fixed_and_rested("a b?", false, "b", "b")]
#[case::fixed_and_off("a B", false, "b", "its proxy B is switched off")]
#[case::fixed_and_removed("a", false, "b", "its proxy was removed: assign another one")]
#[case::any("a b c", false, "auto", "a b c a")]
#[case::any_that_answers("a b! c", false, "auto", "a c a c")]
#[case::any_that_is_on("a B c", false, "auto", "a c a c")]
#[case::one_that_may_answer_only_when_none_does("a? b", false, "auto", "b b b b")]
#[case::one_that_may_answer("a? b! c?", false, "auto", "a c a c")]
#[case::none_answers("a! b!", true, "auto", "no proxy of the pool answers")]
#[case::none_there("A", true, "auto", "it takes any proxy of the pool, and none is switched on")]
fn routes(#[case] words: &str, #[case] global: bool, #[case] egress: &str, #[case] expected: &str) {
    let (table, egress): (_, Egress) = (table(words, global), egress.parse().unwrap());
    let route = |number| match table.route(&egress, Rotation { number, tried: &[] }, NOW) {
        Ok(Route::Direct) => "direct".to_owned(),
        Ok(Route::Global) => "global".to_owned(),
        Ok(Route::Proxy(id)) => id.0,
        Err(unavailable) => unavailable.to_string(),
    };
    let all: Vec<String> = (0..4).map(route).collect();
    let expected: Vec<&str> = if egress == Egress::Auto && expected.len() < 10 {
        expected.split(' ').cycle().take(4).collect()
    } else {
        vec![expected; 4]
    };
    assert_eq!(all, expected);
}

#[test]
fn a_call_takes_no_proxy_twice() {
    let table = table("a b c!", false);
    let route = |tried: &[ProxyId]| table.route(&Egress::Auto, Rotation { number: 0, tried }, NOW);
    assert_eq!(route(&[id("a")]), Ok(Route::Proxy(id("b"))));
    assert_eq!(route(&[id("a"), id("b")]), Err(EgressUnavailable::AllDown { until: NOW }));
}

#[test]
fn accounts_that_nobody_assigned_take_the_global_way() {
    let mut table = table("a!", false);
    let account = AccountId("one".into());
    assert_eq!(table.unavailable(&account, NOW), None);
    table.assigned.insert(account.clone(), Egress::Fixed(id("a")));
    let unavailable = table.unavailable(&account, NOW).unwrap();
    assert_eq!(
        (unavailable, unavailable.until()),
        (EgressUnavailable::Down { name: Some("A"), until: NOW.plus(1000) }, Some(NOW.plus(1000)))
    );
    assert_eq!(table.unavailable(&account, NOW.plus(1000)), None);
    // A clock that was set back does not make a rest longer.
    assert_eq!(table.unavailable(&account, NOW.plus(-REST)), None);
}

#[rstest]
// Failures at these seconds, then what is known at the last: marked or not.
#[case(&[0, 10], false)]
#[case(&[0, 10, 59], true)]
#[case(&[0, 10, 60], false)]
#[case(&[0, 10, 60, 61], true)]
#[case(&[0, 1, 2, 500], true)]
// The clock was set back: what lies ahead does not count.
#[case(&[100, 101, 0], false)]
fn three_failures_within_a_minute_mark(#[case] seconds: &[i64], #[case] down: bool) {
    let mut marks = RouteHealth::default();
    for at in seconds {
        marks.record_failure(NOW.plus(at * 1000));
    }
    let last = NOW.plus(seconds.last().unwrap() * 1000 + REST);
    assert_eq!(marks.resting_until(), down.then_some(last));
    marks.record_success();
    assert!(marks.is_clean() && marks.resting_until().is_none());
    marks.mark_down(NOW);
    assert_eq!(marks.resting_until(), Some(NOW.plus(REST)));
}

#[rstest]
#[case("http://proxy.example:3128", "http://proxy.example:3128")]
#[case(" HTTPS://Proxy.Example ", "https://proxy.example:443")]
#[case("http://proxy.example", "http://proxy.example:80")]
#[case("https://proxy.example:80/", "https://proxy.example:80")]
#[case("socks5://proxy.example", "socks5://proxy.example:1080")]
#[case("socks5h://proxy.example:80", "socks5h://proxy.example:80")]
#[case("socks5://proxy.example:443", "socks5://proxy.example:443")]
#[case("socks5h://me:p%40ss@[2001:db8::1]:9", "socks5h://me:***@[2001:db8::1]:9")]
#[case("http://me@proxy.example:1", "http://me@proxy.example:1")]
// Hosts are what the parser of web addresses says, whatever the scheme.
#[case("socks5://0x7f.1:1080", "socks5://127.0.0.1:1080")]
fn addresses(#[case] text: &str, #[case] shown: &str) {
    let address = Address::read(text).unwrap();
    assert_eq!(address.to_string(), shown);
    assert_eq!(Address::read(address.full().expose()).unwrap(), address);
    let debug = format!("{address:?} {}", address.bare());
    assert!(!debug.contains("p%40ss") && !debug.contains("me"), "{debug}");
}

#[rstest]
#[case("", Invalid::Unreadable)]
#[case("proxy.example:3128", Invalid::Unreadable)]
#[case("ftp://proxy.example", Invalid::Scheme)]
#[case("socks4://proxy.example", Invalid::Scheme)]
#[case("file:///etc/passwd", Invalid::Scheme)]
#[case("http://", Invalid::Unreadable)]
#[case("http://proxy.example:0", Invalid::Port)]
#[case("http://proxy.example:99999", Invalid::Unreadable)]
#[case("http://proxy.example/path", Invalid::Extras)]
#[case("socks5://proxy.example?x", Invalid::Extras)]
fn no_addresses(#[case] text: &str, #[case] expected: Invalid) {
    assert_eq!(Address::read(text), Err(expected));
}

#[test]
fn an_address_is_made_of_parts() {
    let password = Secret::from("p@:/ss");
    let made = Address::of(("SOCKS5", "2001:db8::1", 80), "m/e", Some(&password)).unwrap();
    assert_eq!(made.full().expose(), "socks5://m%2Fe:p%40%3A%2Fss@[2001:db8::1]:80");
    assert_eq!(Address::of(("http", "a/b", 1), "", None), Err(Invalid::Unreadable));
    assert_eq!(Address::of(("http", "evil@a", 1), "", None), Err(Invalid::Unreadable));
    assert_eq!(Address::of(("http", "a", 0), "", None), Err(Invalid::Port));
    assert_eq!(Address::of(("gopher", "a", 1), "", None), Err(Invalid::Scheme));
}

#[rstest]
#[case("http://1.1.1.1:3128", Ok(()), Ok(()))]
#[case("http://proxy.example:22", Ok(()), Ok(()))]
#[case("http://127.0.0.1:7890", Err("loopback"), Ok(()))]
#[case("socks5://localhost:1080", Err("localhost"), Ok(()))]
#[case("socks5://2130706433:1080", Err("loopback"), Ok(()))]
#[case("http://[::ffff:10.0.0.1]:1", Err("private"), Ok(()))]
#[case("http://192.168.1.1:8080", Err("private"), Ok(()))]
#[case("http://169.254.169.254:80", Err("metadata"), Err("metadata"))]
#[case("socks5h://metadata.google.internal:1080", Err("metadata"), Err("metadata"))]
fn inward_addresses_need_leave(
    #[case] text: &str,
    #[case] strict: Result<(), &str>,
    #[case] allowed: Result<(), &str>,
) {
    let address = Address::read(text).unwrap();
    for (private, expected) in [(false, strict), (true, allowed)] {
        match (address.check(private), expected) {
            (Ok(()), Ok(())) => {}
            (Err(error), Err(word)) => assert!(error.to_string().contains(word), "{error}"),
            (found, _) => panic!("{text}, {private}: {found:?}"),
        }
    }
}

#[test]
fn a_hidden_password_stays_with_its_address() {
    let read = |text: &str| Address::read(text).unwrap();
    let old = read("http://me:secret@proxy.example:3128");
    assert_eq!(read(&old.to_string()).keeping(Some(&old)), Ok(old.clone()));
    assert_eq!(
        read("http://me:new@proxy.example:3128").keeping(Some(&old)),
        Ok(read("http://me:new@proxy.example:3128"))
    );
    for other in
        ["http://me:***@evil.example:3128", "http://me:***@proxy.example:1", "http://you:***@proxy.example:3128"]
    {
        assert_eq!(read(other).keeping(Some(&old)), Err(Invalid::Password), "{other}");
    }
    assert_eq!(read("https://me:***@proxy.example:3128").keeping(None), Err(Invalid::Password));
}

#[rstest]
#[case("Home 1", true)]
#[case("", false)]
#[case(" x", false)]
#[case("a\nb", false)]
#[case("auto", false)]
#[case("global", false)]
#[case("direct", false)]
fn names(#[case] name: &str, #[case] good: bool) {
    assert_eq!(check_name(name).is_ok(), good);
    assert!(check_name(&"x".repeat(65)).is_err());
}

fn wanted(url: &str) -> ProxyEntry {
    ProxyEntry { line: 0, name: None, address: Address::read(url).unwrap(), enabled: true, allow_private: false }
}

#[rstest]
#[case::urls("# mine\nhttp://a.example:1\n\n  socks5h://u:p@b.example:2\n")]
#[case::yaml_list("- http://a.example:1\n- url: socks5h://u:p@b.example:2\n")]
#[case::yaml(
    "---\nproxies:\n  - url: http://a.example:1\n  - {protocol: socks5h, host: b.example, port: 2, username: u, password: p}\n"
)]
#[case::json(
    r#"{"proxies": [{"url": "http://a.example:1", "id": "x", "addedAt": "now"},
    {"type": "socks5h", "server": "b.example", "port": 2, "user": "u", "password": "p", "status": "active"}]}"#
)]
#[case::listed_twice("http://a.example:1\nsocks5h://u:p@b.example:2\nhttp://a.example:1\n")]
#[case::json_list(r#"["http://a.example:1", "socks5h://u:p@b.example:2"]"#)]
fn files(#[case] text: &str) {
    let expected = [wanted("http://a.example:1"), wanted("socks5h://u:p@b.example:2")];
    let read = file::read(text).unwrap();
    assert_eq!(read.into_iter().map(|wanted| ProxyEntry { line: 0, ..wanted }).collect::<Vec<_>>(), expected);
}

#[rstest]
#[case("", 1)]
#[case("proxies: []", 1)]
#[case("http://a.example:1\nhttp://a.example:canary", 2)]
#[case("- http://a.example:1\n- nonsense-canary\n", 2)]
#[case("proxies:\n  - url: http://a.example:1\n  - name: b\n    url: ftp://canary@b\n", 3)]
#[case("proxies:\n  - url: http://a.example:1\n  - name: canary\n", 3)]
#[case("proxies:\n  - url: http://127.0.0.1:1\n", 2)]
#[case("proxies:\n  - {name: same, url: http://a.example:1}\n  - {name: same, url: http://b.example:1}\n", 3)]
#[case("proxies:\n  - {name: auto, url: http://a.example:1}\n", 2)]
#[case("proxies:\n  - url: http://u:***@a.example:1\n", 2)]
#[case("proxies:\n  - url: http://a.example:1\n    port: canary\n", 3)]
#[case("{\"proxies\": [\n\"http://a.example:1\",\n{\"url\": 7 canary}]}", 3)]
fn a_wrong_file_names_its_line(#[case] text: &str, #[case] line: u64) {
    let error = file::read(text).unwrap_err();
    assert_eq!(error.line, line, "{error}");
    assert!(!error.to_string().contains("canary"), "{error}");
}

#[test]
fn what_is_written_is_read_again() {
    let odd = Proxy { name: "a \"b\": {#}".into(), enabled: false, ..proxy("a") };
    let secret = Address::read("socks5://u:p%22%23@10.0.0.1:1").unwrap();
    let private = Proxy { address: secret, allow_private: true, ..proxy("b") };
    let text = file::write([&odd, &private]);
    let read = file::read(text.expose()).unwrap();
    let expected = [(2, &odd), (6, &private)].map(|(line, proxy)| ProxyEntry {
        line,
        name: Some(proxy.name.clone()),
        address: proxy.address.clone(),
        enabled: proxy.enabled,
        allow_private: proxy.allow_private,
    });
    assert_eq!(read, expected);
    assert_eq!(file::write([]).expose(), "proxies: []\n");
}
