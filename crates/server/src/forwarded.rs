//! Clients behind a trusted proxy: which address a request comes from, and how many requests each such address has in progress. No
//! proxy is trusted by default, and only the part of the header that trusted proxies added is used.

use std::collections::HashMap;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use http::HeaderMap;
use parking_lot::Mutex;

const HEADER: &str = "x-forwarded-for";
/// The most proxies that are followed for a request; real chains have one or two.
const HOPS: usize = 16;

/// An address, or a network in CIDR notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// The text is neither an address nor a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an address or network such as 10.0.0.0/8")]
pub struct NotANetwork;

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| NotANetwork)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) if bits.len() <= 3 && bits.bytes().all(|byte| byte.is_ascii_digit()) => {
                bits.parse().map_err(|_| NotANetwork)?
            }
            Some(_) => return Err(NotANetwork),
        };
        // `::ffff:10.0.0.0/104` is `10.0.0.0/8`: peers are compared in the shorter form.
        match address.to_canonical() {
            short if short.is_ipv4() && address.is_ipv6() && bits >= 96 => Ok(Self { address: short, bits: bits - 96 }),
            _ if bits <= most => Ok(Self { address, bits }),
            _ => Err(NotANetwork),
        }
    }
}

impl Network {
    /// Whether the network contains this address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let same = |one: u128, other: u128, width: u8| {
            one.checked_shr(u32::from(width - self.bits)) == other.checked_shr(u32::from(width - self.bits))
        };
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => same(own.to_bits().into(), other.to_bits().into(), 32),
            (IpAddr::V6(own), IpAddr::V6(other)) => same(own.to_bits(), other.to_bits(), 128),
            _ => false,
        }
    }
}

/// The client's address: the connection's peer, or behind trusted proxies, the rightmost address of the header that is not a trusted proxy.
/// A value that is not an address ends the search, because the values to its left may be forged.
pub(crate) fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer;
    let values = headers.get_all(HEADER).iter().rev();
    let mut hops = values.flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b',')).take(HOPS);
    while is_trusted(client)
        && let Some(next) = hops.next().and_then(address)
    {
        client = next;
    }
    client
}

/// Parses an address as proxies write it, with or without a port.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or(text, |(bare, _port)| bare);
    let with_port = || text.parse().ok().map(|socket: std::net::SocketAddr| socket.ip());
    bare.parse().ok().or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

/// Requests in progress of each address behind a trusted proxy.
#[derive(Debug, Default)]
pub(crate) struct ClientRequests(Mutex<HashMap<IpAddr, usize>>);

/// A permit for one request of an address, released on drop.
#[derive(Debug)]
pub(crate) struct ClientPermit {
    clients: Arc<ClientRequests>,
    address: IpAddr,
}

impl ClientRequests {
    /// Takes a permit; `None` if `most` permits are taken.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr, most: usize) -> Option<ClientPermit> {
        let mut counts = self.0.lock();
        let count = counts.entry(address).or_default();
        if *count >= most && !address.is_loopback() {
            return None;
        }
        *count += 1;
        Some(ClientPermit { clients: Arc::clone(self), address })
    }
}

impl Drop for ClientPermit {
    fn drop(&mut self) {
        let mut counts = self.clients.0.lock();
        let Some(count) = counts.get_mut(&self.address) else { return };
        *count -= 1;
        if *count == 0 {
            counts.remove(&self.address);
        }
    }
}

#[cfg(test)]
mod tests;
