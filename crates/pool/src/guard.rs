//! Which addresses a relay may have: rules against server-side request forgery (SSRF).
//!
//! An address is parsed once, with `url`, and the checked address is the dialled one: [`check_url`] checks its text, [`check_ip`]
//! each address of its name at the moment of dialling. Hosts in octal, hex or IDN need no rule, because the parser normalises
//! them. `allow_private` is for people who run a model on their own machine or network. No setting allows metadata services, which
//! give a cloud machine's credentials to any caller, or this gateway's own listeners.

mod ranges;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};

use url::{Host, Url};

use self::ranges::Verdict;

/// Ports below 1024 that a relay may have.
const WEB: [u16; 2] = [80, 443];

/// Why an address is refused. Each message has a hint; none shows the address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Neither https nor http.
    #[error("the address has the scheme {0}; hint: use https")]
    Scheme(String),
    /// Nothing to connect to.
    #[error("the address names no host; hint: write it as https://host/v1")]
    NoHost,
    /// A user name or password in it.
    #[error("the address holds a user name or password; hint: remove it, the key is given by itself")]
    Credentials,
    /// A query or fragment, which a base URL cannot have.
    #[error("the address has a query or fragment; hint: leave out everything from the `?` or `#` on")]
    Extras,
    /// http without `allow_private`.
    #[error("the address is plain http; hint: use https, or set allow_private for this relay")]
    Plain,
    /// A port below 1024 other than 80 and 443, or 0.
    #[error("the address has port {0}, which is another service's; hint: use 80, 443 or a port from 1024 on")]
    Port(u16),
    /// Not a public address, without `allow_private`. The text describes the address.
    #[error("the address is {0}; hint: set allow_private for this relay if that is what you want")]
    Private(&'static str),
    /// A metadata service of a cloud; never allowed.
    #[error("the address is a cloud's metadata service, which is never called")]
    Metadata,
    /// One of this gateway's own listeners; never allowed.
    #[error("the address is this gateway itself; hint: give the address of another service")]
    Own,
}

impl Denied {
    /// Whether `allow_private` would allow the address.
    pub fn liftable(&self) -> bool {
        matches!(self, Self::Plain | Self::Private(_))
    }
}

/// Whether a host from a URL or setting is this machine's loopback, by its text alone.
pub fn is_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Whether a URL is plain http to this machine, by its text alone.
pub fn is_plain_loopback(url: &Url) -> bool {
    url.scheme() == "http" && url.host_str().is_some_and(is_loopback)
}

/// Checks a base URL by its text. [`check_ip`] must follow for every address of its name.
pub fn check_url(url: &Url, allow_private: bool) -> Result<(), Denied> {
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Denied::Extras);
    }
    check_target(url, allow_private)
}

/// Like [`check_url`], for the URL of a call, which may have a query.
pub fn check_target(url: &Url, allow_private: bool) -> Result<(), Denied> {
    let secure = match url.scheme() {
        "https" => true,
        "http" => false,
        other => return Err(Denied::Scheme(crate::sanitize::short(other, 32))),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Denied::Credentials);
    }
    if let Some(port) = url.port().filter(|port| *port < 1024 && !WEB.contains(port)) {
        return Err(Denied::Port(port));
    }
    check_host(&url.host().ok_or(Denied::NoHost)?, allow_private)?;
    if secure || allow_private { Ok(()) } else { Err(Denied::Plain) }
}

/// Checks a host by its text. [`check_ip`] must follow for every address of a name.
pub fn check_host(host: &Host<&str>, allow_private: bool) -> Result<(), Denied> {
    match host {
        Host::Domain(name) => check_name(name, allow_private),
        Host::Ipv4(address) => check_ip((*address).into(), allow_private),
        Host::Ipv6(address) => check_ip((*address).into(), allow_private),
    }
}

/// Whether an address may be dialled.
pub fn check_ip(address: IpAddr, allow_private: bool) -> Result<(), Denied> {
    let verdict = match address {
        IpAddr::V4(address) => ranges::v4(address),
        IpAddr::V6(address) => ranges::v6(address),
    };
    match verdict {
        Verdict::Public => Ok(()),
        Verdict::Private(_) if allow_private => Ok(()),
        Verdict::Private(what) => Err(Denied::Private(what)),
        Verdict::Metadata => Err(Denied::Metadata),
    }
}

/// Whether a name may be resolved. Names of metadata services, and of this machine without `allow_private`, are refused unresolved.
fn check_name(name: &str, allow_private: bool) -> Result<(), Denied> {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let under = |parent: &str| name.strip_suffix(parent).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    // No name has an empty part, and some resolvers drop the dots of `0x7f.1..` and read an address.
    if name.split('.').any(str::is_empty) {
        return Err(Denied::NoHost);
    }
    if ranges::METADATA_NAMES.into_iter().any(under) {
        return Err(Denied::Metadata);
    }
    if under("localhost") && !allow_private {
        return Err(Denied::Private("this machine (localhost)"));
    }
    Ok(())
}

/// Whether dialling `target` would reach one of our `listeners`. `local` tells whether an address belongs to this machine; it is
/// called only for listeners on all addresses.
pub fn is_own_listener(target: SocketAddr, listeners: &[SocketAddr], local: impl Fn(IpAddr) -> bool) -> bool {
    let address = target.ip().to_canonical();
    // Connecting to the unspecified address reaches this machine.
    let here = address.is_loopback() || address.is_unspecified();
    listeners.iter().filter(|listener| listener.port() == target.port()).any(|listener| {
        let listens = listener.ip().to_canonical();
        if listens.is_unspecified() {
            here || local(address)
        } else {
            listens == address || (listens.is_loopback() && address.is_unspecified())
        }
    })
}
