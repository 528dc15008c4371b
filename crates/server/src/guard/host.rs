//! The host that a request is addressed to. Under DNS rebinding a browser sends the attacker's name, so names must be listed, and only IP
//! literals need no entry.

use std::net::{IpAddr, Ipv6Addr};

use http::Version;
use http::header::HOST;
use http::request::Parts;

/// A `Host` in its only accepted spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    /// The name or address.
    pub(crate) name: Name,
    /// The port, if the host names one.
    pub(crate) port: Option<u16>,
}

/// The name part of a [`Host`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// An IP literal; IPv4 inside IPv6 is unwrapped.
    Ip(IpAddr),
    /// A DNS name in lower case, without the trailing dot.
    Dns(String),
}

impl Host {
    /// The host that a request names: exactly one, in valid spelling, the same in the target and the header.
    pub(crate) fn of(parts: &Parts) -> Option<Self> {
        let mut headers = parts.headers.get_all(HOST).iter();
        let (header, second) = (headers.next(), headers.next());
        let header = header.map(|value| value.to_str().ok().and_then(Self::parse));
        let target = parts.uri.authority().map(|authority| Self::parse(authority.as_str()));
        match (header, target, second) {
            (Some(header), None, None) => header,
            (Some(header), Some(target), None) => header.filter(|header| Some(header) == target.as_ref()),
            (None, Some(target), None) if parts.version == Version::HTTP_2 => target,
            _ => None,
        }
    }

    /// Parses `name`, `name:port`, `1.2.3.4:port` or `[v6]:port`, and refuses everything else that a URL may hold.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.ends_with(':') {
            return None;
        }
        let (name, port) = if let Some(rest) = text.strip_prefix('[') {
            let (address, port) = rest.split_once(']')?;
            let address = address.parse::<Ipv6Addr>().ok()?;
            (Name::Ip(IpAddr::V6(address).to_canonical()), port.strip_prefix(':').or(port.is_empty().then_some(""))?)
        } else {
            let (name, port) = text.split_once(':').unwrap_or((text, ""));
            (Name::parse(name)?, port)
        };
        let port = if port.is_empty() { None } else { Some(digits(port)?) };
        Some(Self { name, port })
    }

    /// Whether the host names this gateway: localhost, a loopback literal, the connection's local address, or a listed name.
    pub(crate) fn is_ours(&self, local: IpAddr, allowed: &[String]) -> bool {
        match &self.name {
            Name::Ip(address) => address.is_loopback() || *address == local || self.listed(allowed),
            Name::Dns(name) => name == "localhost" || self.listed(allowed),
        }
    }

    fn listed(&self, allowed: &[String]) -> bool {
        allowed
            .iter()
            .filter_map(|entry| Self::parse(entry.trim()))
            .any(|entry| entry.name == self.name && (entry.port.is_none() || entry.port == self.port))
    }
}

impl Name {
    fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse() {
            return Some(Self::Ip(IpAddr::V4(address)));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let labels = name.len() <= 253 && name.split('.').all(label);
        // A last label that looks like a number makes URL parsers read the whole as an IPv4 address (0x7f.1, 2130706433).
        let last = name.rsplit('.').next().unwrap_or_default();
        let number = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x");
        (labels && !number).then_some(Self::Dns(name))
    }
}

fn label(text: &str) -> bool {
    let sound = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    sound && (1..=63).contains(&text.len())
}

fn digits(port: &str) -> Option<u16> {
    (port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit())).then(|| port.parse().ok())?
}

#[cfg(test)]
mod tests;
