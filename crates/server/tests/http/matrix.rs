//! Every registered route x credential x Host x origin, against an oracle that knows nothing of the code.

use std::sync::Arc;

use server::{Class, routes};
use tokio::task::JoinSet;

use crate::gateway::{FIXED, Gateway, request};
use crate::wire::Wire;

/// What each route is, said a second time: (method, path, class). A route that is missing here fails the test.
const ORACLE: [(&str, &str, &str); 18] = [
    ("GET", "/", "public"),
    ("GET", "/health", "public"),
    ("GET", "/healthz", "public"),
    ("GET", "/readyz", "public"),
    ("POST", "/v1/chat/completions", "data"),
    ("POST", "/v1/responses", "data"),
    ("POST", "/v1/responses/review", "data"),
    ("POST", "/responses", "data"),
    ("POST", "/responses/review", "data"),
    ("GET", "/v1/responses", "data"),
    ("GET", "/responses", "data"),
    ("GET", "/v1/models", "data"),
    ("GET", "/v1/models/{id}", "data"),
    ("GET", "/admin/accounts", "read"),
    ("GET", "/admin/keys", "read"),
    ("GET", "/admin/guard", "read"),
    ("POST", "/admin/keys", "write"),
    ("DELETE", "/admin/keys/{id}", "write"),
];

/// Which credentials open which class; the first word says whose they are.
fn opens(credential: &str, class: &str) -> u16 {
    match (credential.split(' ').next().unwrap(), class) {
        (_, "public") | ("client", "data") | ("admin", "read" | "write") | ("reader", "read") => 0,
        ("client", "read" | "write") | ("admin" | "reader", "data") | ("reader", "write") => 403,
        _ => 401,
    }
}

/// Host header lines and whether they are ours.
const HOSTS: [(&str, bool); 22] = [
    ("host: 127.0.0.1:PORT", true),
    ("host: [::1]:PORT", true),
    ("host: localhost:PORT", true),
    ("host: LOCALHOST.", true),
    ("host: gw.example:443", true),
    ("host: evil.com", false),
    ("host: 127.0.0.1.evil.com", false),
    ("host: localhost:PORT/?x", false),
    ("host: localhost/?", false),
    ("host: a@localhost", false),
    ("host: evil.com@localhost", false),
    ("host: 2130706433", false),
    ("host: 0x7f000001", false),
    ("host: 0177.0.0.1", false),
    ("host: 0.0.0.0:PORT", false),
    ("host: 10.1.2.3", false),
    ("host: 169.254.169.254", false),
    ("host:", false),
    ("x-no: host", false),
    ("host: localhost\r\nhost: localhost", false),
    ("host: localhost\r\nhost: evil.com", false),
    ("host: localhost, evil.com", false),
];

/// Origin and Sec-Fetch-Site lines, and whether the page behind them is ours (for `localhost:PORT`).
const SITES: [(&str, bool); 13] = [
    ("x-none: 1", true),
    ("origin: http://localhost:PORT", true),
    ("sec-fetch-site: none", true),
    ("origin: http://localhost:PORT\r\nsec-fetch-site: same-origin", true),
    ("referer: https://evil.com/", true),
    ("origin: null", false),
    ("origin: https://evil.com", false),
    ("origin: http://localhost:3000", false),
    ("origin: http://localhost:PORT.evil.com", false),
    ("origin: http://localhost:3000\r\nsec-fetch-site: same-site", false),
    ("origin: https://evil.com\r\nsec-fetch-site: cross-site", false),
    ("sec-fetch-site: cross-site", false),
    ("sec-fetch-site: same-site", false),
];

/// Headers of people who pretend to be somebody else; they change nothing.
const FORWARDED: &str = "x-forwarded-for: 127.0.0.1\r\nforwarded: for=127.0.0.1;host=localhost\r\nx-real-ip: 127.0.0.1\r\n\
    x-forwarded-host: localhost\r\nx-forwarded-proto: https\r\ncf-connecting-ip: ::1\r\nx-original-url: /admin/keys";

fn credentials(gateway: &Gateway) -> Vec<(&'static str, String)> {
    let keys = &gateway.keys;
    let wrong = |key: &str| -> String {
        let swap = |c: char| if c == 'a' { 'b' } else { 'a' };
        key.char_indices().map(|(at, c)| if at == 20 { swap(c) } else { c }).collect()
    };
    let spliced = format!("{}{}", &keys.admin[..13], &keys.client[13..]);
    vec![
        ("none", "x-none: 1".to_owned()),
        ("none empty", "authorization: Bearer ".to_owned()),
        ("none malformed", "authorization: Bearer x y z".to_owned()),
        ("none basic", format!("authorization: Basic {}", keys.client)),
        ("none cookie", format!("cookie: polygate={}", keys.client)),
        ("none guess", format!("authorization: Bearer {}", wrong(&keys.client))),
        ("none sql", "authorization: Bearer ' OR 1=1 --".to_owned()),
        ("none spliced", format!("authorization: Bearer {spliced}")),
        ("none revoked", format!("authorization: Bearer {}", keys.revoked)),
        ("none expired", format!("x-api-key: {}", keys.expired)),
        ("none differing", format!("authorization: Bearer {}\r\nx-api-key: {}", keys.client, keys.admin)),
        ("client bearer", format!("authorization: Bearer {}", keys.client)),
        ("client anthropic", format!("x-api-key: {}", keys.client)),
        ("client google", format!("x-goog-api-key: {}", keys.client)),
        ("client twice", format!("authorization: bearer {0}\r\nx-api-key: {0}", keys.client)),
        ("client fixed", format!("authorization: Bearer {FIXED}")),
        ("admin token", format!("authorization: Bearer {}", keys.admin)),
        ("reader token", format!("authorization: Bearer {}", keys.reader)),
    ]
}

#[test]
fn every_route_is_in_the_oracle() {
    let mut registered: Vec<_> =
        routes().iter().map(|route| (route.method.as_str(), route.path, class(route.class))).collect();
    let mut expected = ORACLE.to_vec();
    registered.sort_unstable();
    expected.sort_unstable();
    assert_eq!(registered, expected);
}

fn class(class: Class) -> &'static str {
    match class {
        Class::Public => "public",
        Class::Data => "data",
        Class::Admin(scope) => scope.name(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_matrix_equals_its_oracle() {
    let gateway = Arc::new(Gateway::with(|settings| settings.allowed_hosts = vec!["gw.example".to_owned()]).await);
    let mut rows = JoinSet::new();
    for route in ORACLE {
        let gateway = gateway.clone();
        rows.spawn(async move { row(&gateway, route).await });
    }
    let asked: usize = rows.join_all().await.into_iter().sum();
    assert_eq!(asked, ORACLE.len() * 18 * HOSTS.len() * SITES.len());
}

/// All of one route.
async fn row(gateway: &Gateway, (method, path, class): (&str, &str, &str)) -> usize {
    let line = format!("{method} {}", path.replace("{id}", "x"));
    let port = gateway.port.to_string();
    let mut wire = Wire::open(gateway.port).await;
    let mut asked = 0;
    for (credential, key) in credentials(gateway) {
        for pair in 0..HOSTS.len() * SITES.len() {
            let (host, site) = (&HOSTS[pair / SITES.len()], &SITES[pair % SITES.len()]);
            let expected = expected((host, site), opens(credential, class));
            let (host, site) = (host.0.replace("PORT", &port), site.0.replace("PORT", &port));
            let forwarded = if asked % 2 == 0 { "x-none: 1" } else { FORWARDED };
            let headers = [host.as_str(), key.as_str(), site.as_str(), forwarded];
            asked += 1;
            wire.send(request(&line, &headers, b"")).await;
            let answer = wire.answer().await.unwrap_or_else(|| panic!("no answer to {line} {headers:?}"));
            let denied = if matches!(answer.status, 401 | 403 | 421) { answer.status } else { 0 };
            assert_eq!(denied, expected, "{line} {headers:?} -> {} {}", answer.status, answer.text());
            answer.check();
            if credential.starts_with("none") || expected == 421 {
                assert!(answer.body.len() <= 200, "{} bytes: {}", answer.body.len(), answer.text());
                assert!(!answer.text().contains(env!("CARGO_PKG_VERSION")), "{}", answer.text());
            }
            if answer.header("connection") == Some("close") {
                wire = Wire::open(gateway.port).await;
            }
        }
    }
    asked
}

/// The oracle's verdict; 0 is none of 401, 403 and 421.
fn expected(((host, ours), (site, own)): (&(&str, bool), &(&str, bool)), key: u16) -> u16 {
    // A page of ours is one of the very host that is asked; from another of our names it is foreign.
    let same = host.starts_with("host: localhost:") || !site.contains("origin: http://localhost:PORT");
    match (*ours, *own && same) {
        (false, _) => 421,
        (true, false) => 403,
        (true, true) => key,
    }
}
