//! Classifies addresses: IANA's special-purpose registries as of 2026, and the metadata services of clouds.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The class of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Reachable from everywhere.
    Public,
    /// Not reachable from everywhere; with a description.
    Private(&'static str),
    /// A metadata service.
    Metadata,
}

/// A block: its first address, its prefix length and what it is.
type Block<A> = (A, u32, &'static str);

/// Names of metadata services; names under them count too.
pub(super) const METADATA_NAMES: [&str; 12] = [
    "metadata", "metadata.google.internal", "metadata.google", "metadata.goog", "metadata.azure.internal",
    "metadata.azure.com", "metadata.tencentyun.com", "metadata.platformequinix.com", "metadata.packet.net",
    "metadata.cloud.ibm.com", "instance-data", "instance-data.ec2.internal",
];

/// Link-local as a whole: clouds keep putting credential services there (169.254.169.254, .170.2, .170.23, .42.42, .0.23). Then
/// those of Alibaba Cloud, Oracle Cloud and Azure.
const METADATA_V4: [Block<Ipv4Addr>; 4] = [
    (Ipv4Addr::new(169, 254, 0, 0), 16, ""),
    (Ipv4Addr::new(100, 100, 100, 200), 32, ""),
    (Ipv4Addr::new(192, 0, 0, 192), 32, ""),
    (Ipv4Addr::new(168, 63, 129, 16), 32, ""),
];

/// Of AWS, Google Cloud, Scaleway and Oracle Cloud.
const METADATA_V6: [Block<Ipv6Addr>; 4] = [
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0), 32, ""),
    (Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0), 32, ""),
    (Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0), 32, ""),
    (Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0, 0), 32, ""),
];

const PRIVATE: &str = "of a private network";
const LOOPBACK: &str = "this machine (loopback)";
const NONE: &str = "unspecified";
const LINK: &str = "link-local";
const GROUP: &str = "multicast";
const RESERVED: &str = "reserved";
const EXAMPLE: &str = "for documentation";

const V4: [Block<Ipv4Addr>; 14] = [
    (Ipv4Addr::UNSPECIFIED, 8, NONE),
    (Ipv4Addr::new(10, 0, 0, 0), 8, PRIVATE),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "a carrier's (100.64.0.0/10)"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, LOOPBACK),
    (Ipv4Addr::new(172, 16, 0, 0), 12, PRIVATE),
    (Ipv4Addr::new(192, 0, 0, 0), 24, RESERVED),
    (Ipv4Addr::new(192, 0, 2, 0), 24, EXAMPLE),
    (Ipv4Addr::new(192, 88, 99, 0), 24, RESERVED),
    (Ipv4Addr::new(192, 168, 0, 0), 16, PRIVATE),
    // A VPN client with fake-IP DNS resolves every name to such an address.
    (Ipv4Addr::new(198, 18, 0, 0), 15, "for benchmarks (198.18.0.0/15, also what fake-IP DNS of VPN clients gives)"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, EXAMPLE),
    (Ipv4Addr::new(203, 0, 113, 0), 24, EXAMPLE),
    (Ipv4Addr::new(224, 0, 0, 0), 4, GROUP),
    (Ipv4Addr::new(240, 0, 0, 0), 4, RESERVED),
];

/// Global unicast. Addresses outside it are unassigned on the internet.
const GLOBAL: Block<Ipv6Addr> = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3, "");

const V6: [Block<Ipv6Addr>; 9] = [
    (Ipv6Addr::LOCALHOST, 128, LOOPBACK),
    (Ipv6Addr::UNSPECIFIED, 128, NONE),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, PRIVATE),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, LINK),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, PRIVATE),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, GROUP),
    // Teredo, ORCHID, benchmarks: nothing that a relay would have.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, RESERVED),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, EXAMPLE),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, EXAMPLE),
];

/// Classifies an IPv4 address.
pub(super) fn v4(address: Ipv4Addr) -> Verdict {
    let within =
        |(first, length, _): &&Block<Ipv4Addr>| (address.to_bits() ^ first.to_bits()).leading_zeros() >= *length;
    match (METADATA_V4.iter().any(|block| within(&block)), V4.iter().find(within)) {
        (true, _) => Verdict::Metadata,
        (false, Some((_, _, what))) => Verdict::Private(what),
        (false, None) => Verdict::Public,
    }
}

/// Classifies an IPv6 address and any IPv4 address embedded in it.
pub(super) fn v6(address: Ipv6Addr) -> Verdict {
    let within =
        |(first, length, _): &&Block<Ipv6Addr>| (address.to_bits() ^ first.to_bits()).leading_zeros() >= *length;
    let carried = embedded_ipv4(address);
    let inner = carried.iter().flatten().map(|inner| v4(*inner)).max_by_key(|verdict| verdict.weight());
    let metadata = METADATA_V6.iter().any(|block| within(&block)) || link_local_service(address);
    if metadata || inner == Some(Verdict::Metadata) {
        return Verdict::Metadata;
    }
    if let Some((_, _, what)) = V6.iter().find(within) {
        return Verdict::Private(what);
    }
    match inner {
        Some(private @ Verdict::Private(_)) => private,
        Some(_) if translated(address) => Verdict::Public,
        _ if within(&&GLOBAL) => Verdict::Public,
        _ => Verdict::Private(RESERVED),
    }
}

impl Verdict {
    fn weight(self) -> u8 {
        match self {
            Self::Public => 0,
            Self::Private(_) => 1,
            Self::Metadata => 2,
        }
    }
}

/// A unique local or link-local address that ends in a link-local IPv4 one, as OpenStack's `fe80::a9fe:a9fe`.
fn link_local_service(address: Ipv6Addr) -> bool {
    let local = address.is_unique_local() || address.is_unicast_link_local();
    local && last(address).is_link_local()
}

/// Whether the system or a translator turns the address into IPv4, so that the IPv4 address decides: v4-mapped, and NAT64 under its
/// well-known prefix (RFC 6052), which machines without IPv4 use for every IPv4 host.
fn translated(address: Ipv6Addr) -> bool {
    matches!(address.segments(), [0, 0, 0, 0, 0, 0xffff, _, _] | [0x64, 0xff9b, 0, 0, 0, 0, _, _])
}

/// The IPv4 addresses that the address may lead to.
fn embedded_ipv4(address: Ipv6Addr) -> [Option<Ipv4Addr>; 2] {
    let bits = address.to_bits();
    let at = |shift: u32| Some(Ipv4Addr::from_bits(u32::try_from(bits >> shift & 0xffff_ffff).unwrap_or(0)));
    let low = at(0);
    match address.segments() {
        // `::` and `::1` are no IPv4 addresses.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => [None, None],
        // v4-compatible, v4-mapped, SIIT, NAT64.
        [0, 0, 0, 0, 0, 0 | 0xffff, _, _] | [0, 0, 0, 0, 0xffff, 0, _, _] | [0x64, 0xff9b, 0, 0, 0, 0, _, _] => {
            [low, None]
        }
        // Local NAT64 (RFC 8215): a /96 or a /48, whose address goes around bits 64 to 71 (RFC 6052).
        [0x64, 0xff9b, 1, high, tail, rest, _, _] => {
            let [high, tail, rest] = [high, tail, rest].map(u32::from);
            [low, Some(Ipv4Addr::from_bits(high << 16 | (tail & 0xff) << 8 | rest >> 8))]
        }
        // 6to4.
        [0x2002, ..] => [at(80), None],
        // Teredo: the server, and the client with its bits turned over.
        [0x2001, 0, ..] => [at(64), low.map(|client| Ipv4Addr::from_bits(!client.to_bits()))],
        // ISATAP under any prefix.
        [_, _, _, _, 0 | 0x200, 0x5efe, _, _] => [low, None],
        _ => [None, None],
    }
}

fn last(address: Ipv6Addr) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::try_from(address.to_bits() & 0xffff_ffff).unwrap_or(0))
}
