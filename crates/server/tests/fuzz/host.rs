//! `Host` headers: an accepted value means the same to a URL parser, in every part of the URL.

use server::probe;
use url::{Host, Url};

/// Checks one header value.
pub fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let Some((name, port)) = probe::host(&text) else { return };
    let url = match Url::parse(&format!("http://{text}/path?query")) {
        Ok(url) => url,
        // The URL parser is stricter about the ASCII form of international names, but finds no other host.
        Err(_) if name.contains("xn--") => return,
        Err(error) => panic!("{text:?} is accepted as {name:?}, but is no host: {error}"),
    };
    assert_eq!((url.path(), url.query(), url.fragment()), ("/path", Some("query"), None), "{text:?}");
    assert!(url.username().is_empty() && url.password().is_none(), "{text:?}");
    let seen = match url.host().expect("an http URL has a host") {
        Host::Domain(domain) => domain.strip_suffix('.').unwrap_or(domain).to_owned(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => std::net::IpAddr::V6(address).to_canonical().to_string(),
    };
    assert_eq!(seen, name, "{text:?}");
    assert_eq!(url.port(), port.filter(|port| *port != 80), "{text:?}");
}
