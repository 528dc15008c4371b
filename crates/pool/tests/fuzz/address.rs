//! Addresses of relays: what is accepted leads to no host, port or range that it may not, whatever the system's own reading of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pool::guard::{Denied, check_ip, check_url};
use pool::relay::{PastedAddress, Wire, call_url, models_url, same_target, tags_url};
use pool::{AccountId, Millis, Status};
use url::{Host, Url};

const WIRES: [Wire; 4] = [Wire::Responses, Wire::Chat, Wire::Messages, Wire::Gemini];

/// The input as an address that somebody pasted, as a URL, and as the bytes of IP addresses.
pub fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Ok(url) = Url::parse(&text) {
        guarded(&url);
    }
    match PastedAddress::read(&text) {
        Ok(pasted) => read(&pasted),
        Err(error) => assert!(error.to_string().len() < 256, "{error}"),
    }
    if let Some(bytes) = input.first_chunk::<4>() {
        carried(Ipv4Addr::from(*bytes));
    }
    if let Some(bytes) = input.first_chunk::<16>() {
        address(Ipv6Addr::from(*bytes).into());
    }
}

/// A base URL is whole, stays what it is when it is read again, and no call leaves its host.
fn read(pasted: &PastedAddress) {
    guarded(pasted.url());
    for wire in WIRES {
        let base = pasted.base(wire);
        let url = Url::parse(&base).expect("a base URL is one");
        assert!(!base.ends_with('/') && same_target(&base, pasted.url().as_str()), "{base}");
        assert!(matches!(url.scheme(), "http" | "https") && url.username().is_empty(), "{base}");
        assert!(url.query().is_none() && url.fragment().is_none(), "{base}");
        let relay = relay(&base, wire);
        let urls = [call_url(&relay, "../m?a#b"), models_url(&base, wire, None), tags_url(&base)];
        for called in urls.map(|called| called.expect("a base URL can be called")) {
            assert!(same_target(called.as_str(), &base), "{called} leaves {base}");
            assert_eq!(check_url(&url, false).is_ok(), pool::guard::check_target(&called, false).is_ok(), "{called}");
        }
    }
}

fn relay(base_url: &str, wire: Wire) -> pool::relay::Relay {
    pool::relay::Relay {
        id: AccountId(String::new()),
        name: "r".to_owned(),
        base_url: base_url.to_owned(),
        wire,
        models: Vec::new(),
        prefix: String::new(),
        capabilities: pool::relay::Capabilities::CHAT,
        allow_private: false,
        enabled: true,
        weight: 1,
        status: Status::Active,
        created: Millis(0),
        version: 1,
    }
}

fn guarded(url: &Url) {
    let (strict, lenient) = (check_url(url, false), check_url(url, true));
    assert!(strict.is_err() || lenient.is_ok(), "{url}: leave takes something away");
    let lifted = strict.as_ref().is_err_and(Denied::liftable);
    assert_eq!(lifted, strict.is_err() && lenient.is_ok(), "{url}: {strict:?}, with leave {lenient:?}");
    if lenient.is_err() {
        return;
    }
    assert!(url.username().is_empty() && url.password().is_none(), "{url}");
    let means = match url.host().expect("an allowed URL has a host") {
        Host::Ipv4(address) => Some(IpAddr::V4(address)),
        Host::Ipv6(address) => Some(IpAddr::V6(address)),
        Host::Domain(name) => number(name.trim_end_matches('.')).map(IpAddr::V4),
    };
    if let Some(means) = means {
        assert!(!service(means), "{url} is allowed and means {means}");
        assert!(strict.is_err() || !near(means), "{url} is allowed and means {means}");
    }
}

fn address(address: IpAddr) {
    if check_ip(address, false).is_ok() {
        assert!(!near(address), "{address}");
    }
    if check_ip(address, true).is_ok() {
        assert!(!service(address), "{address}");
    }
}

/// An address that is denied is denied in every form that carries it.
fn carried(inner: Ipv4Addr) {
    address(inner.into());
    let [a, b, c, d] = inner.octets().map(u16::from);
    let (high, low) = (a << 8 | b, c << 8 | d);
    let forms = [
        Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low),
        Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
        Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
        Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
        Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, high, low),
        Ipv6Addr::new(0x64, 0xff9b, 1, high, low >> 8, low << 8, 0, 0),
        Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
        Ipv6Addr::new(0x2001, 0, 0x808, 0x808, 0, 0, !high, !low),
        Ipv6Addr::new(0x2a00, 1, 0, 0, 0x200, 0x5efe, high, low),
    ];
    for form in forms {
        address(form.into());
        for allow in [false, true] {
            assert!(check_ip(inner.into(), allow).is_ok() || check_ip(form.into(), allow).is_err() || low_one(form));
        }
    }
}

/// `::` and `::1` are addresses of their own.
fn low_one(form: Ipv6Addr) -> bool {
    form.to_bits() <= 1
}

/// The C library's reading of a number as an address: one to four parts, decimal, octal or hexadecimal.
fn number(name: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u32> = name.split('.').map(part).collect::<Option<_>>()?;
    let (last, first) = parts.split_last()?;
    let small = first.iter().all(|part| *part < 256) && first.len() < 4;
    let fits = u64::from(*last) < 1 << (8 * (4 - first.len().min(3)));
    let bits = first.iter().zip([24, 16, 8]).fold(*last, |bits, (part, shift)| bits | part << shift);
    (small && fits).then(|| Ipv4Addr::from_bits(bits))
}

fn part(text: &str) -> Option<u32> {
    let lower = text.to_ascii_lowercase();
    // Rust's numbers may have a sign.
    if !lower.starts_with(|c: char| c.is_ascii_digit()) || lower.contains('+') {
        return None;
    }
    match lower.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None if lower.len() > 1 && lower.starts_with('0') => u32::from_str_radix(&lower, 8).ok(),
        None => lower.parse().ok(),
    }
}

/// Whether an address is not one of the internet's, in the standard library's words.
fn near(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_documentation()
                || v4.is_multicast()
                || a == 0
                || a >= 240
                || (a == 100 && b & 0xc0 == 64)
                || (a == 198 && b & 0xfe == 18)
        }
        IpAddr::V6(v6) => {
            let inner = v6.to_ipv4().is_some_and(|v4| near(v4.into()));
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
                || inner
        }
    }
}

/// Whether an address is where a cloud's metadata may be.
fn service(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_link_local() || v4 == Ipv4Addr::new(100, 100, 100, 200),
        IpAddr::V6(v6) => v6.segments()[..2] == [0xfd00, 0xec2] || v6.to_ipv4().is_some_and(|v4| service(v4.into())),
    }
}
