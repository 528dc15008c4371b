//! A proxy's address with its credentials, read from what people paste.

use std::fmt;

use url::{Host, Url};

use crate::Secret;
use crate::guard::{self, Denied};

/// Replaces a password in output. A client that sends it back keeps the stored password.
pub const MASKED_PASSWORD: &str = "***";
/// Longest address, bytes.
const LONGEST: usize = 2048;

/// The protocols that a proxy may speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// CONNECT over plain TCP.
    Http,
    /// CONNECT over TLS.
    Https,
    /// SOCKS 5; names are looked up here.
    Socks5,
    /// SOCKS 5; names are looked up by the proxy.
    Socks5h,
}

impl Scheme {
    /// All schemes with their names in URLs and their default ports.
    const ALL: [(&'static str, Self, u16); 4] = [
        ("http", Self::Http, 80),
        ("https", Self::Https, 443),
        ("socks5", Self::Socks5, 1080),
        ("socks5h", Self::Socks5h, 1080),
    ];

    /// The scheme of this name, in any case.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, ..)| known.eq_ignore_ascii_case(name)).map(|(_, scheme, _)| scheme)
    }

    /// Its name in URLs.
    pub fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, scheme, _)| *scheme == self).map_or("http", |(name, ..)| name)
    }

    fn port(self) -> u16 {
        Self::ALL.into_iter().find(|(_, scheme, _)| *scheme == self).map_or(80, |(.., port)| port)
    }
}

/// Why a proxy is refused, with a hint. No message shows the address, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// No URL.
    #[error("the proxy's address cannot be read; hint: write it as scheme://user:password@host:port")]
    Unreadable,
    /// Another protocol.
    #[error("the proxy's scheme is not one that is spoken; hint: use http, https, socks5 or socks5h")]
    Scheme,
    /// A path, query or fragment.
    #[error("the proxy's address has more than scheme, credentials, host and port; hint: leave out the rest")]
    Extras,
    /// Port 0.
    #[error("the proxy's address has port 0, which nothing listens on")]
    Port,
    /// See [`super::check_name`].
    #[error("the proxy's name is not usable; hint: 1 to 64 characters that are not `global`, `direct` or `auto`")]
    Name,
    /// Not a public address, and private ones are not allowed.
    #[error("the proxy's address is {0}; hint: set allow_private for it if that is what you want")]
    Private(&'static str),
    /// A metadata service of a cloud.
    #[error("the proxy's address is a cloud's metadata service, which is never called")]
    Metadata,
    /// The hidden password of another address.
    #[error("the proxy's address is another one now; hint: its password must be given with it")]
    Password,
}

impl From<Denied> for Invalid {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Private(what) => Self::Private(what),
            Denied::Metadata => Self::Metadata,
            _ => Self::Unreadable,
        }
    }
}

/// Where a proxy is. `Debug` and `Display` hide the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    scheme: Scheme,
    host: Host<String>,
    port: u16,
    /// As in a URL, percent-encoded; empty for none.
    user: String,
    /// As in a URL, percent-encoded.
    password: Option<Secret>,
}

impl Address {
    /// Reads `scheme://user:password@host:port`; without a port the scheme's own. Errors: [`Invalid`], for the text; see
    /// [`Address::check`] for where it leads.
    pub fn read(text: &str) -> Result<Self, Invalid> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").filter(|_| text.len() <= LONGEST).ok_or(Invalid::Unreadable)?;
        let scheme = Scheme::named(scheme).ok_or(Invalid::Scheme)?;
        // The parser reads hosts of web addresses only, and drops the default port of the scheme.
        let web = |scheme: &str| Url::parse(&format!("{scheme}://{rest}")).map_err(|_| Invalid::Unreadable);
        let (url, other) = (web("http")?, web("https")?);
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(Invalid::Extras);
        }
        let port = url.port().or(other.port()).unwrap_or(scheme.port());
        if port == 0 {
            return Err(Invalid::Port);
        }
        let host = url.host().ok_or(Invalid::Unreadable)?.to_owned();
        Ok(Self { scheme, host, port, user: url.username().to_owned(), password: url.password().map(Secret::new) })
    }

    /// The address of these parts; user name and password as they are, not percent-encoded. Errors: as [`Address::read`].
    pub fn of((scheme, host, port): (&str, &str, u16), user: &str, password: Option<&Secret>) -> Result<Self, Invalid> {
        let scheme = Scheme::named(scheme).ok_or(Invalid::Scheme)?;
        let bracketed = host.contains(':') && !host.starts_with('[');
        let host = if bracketed { format!("[{host}]") } else { host.to_owned() };
        if host.contains(['/', '@', '?', '#', '\\']) {
            return Err(Invalid::Unreadable);
        }
        let mut url = Url::parse(&format!("http://{host}:{port}")).map_err(|_| Invalid::Unreadable)?;
        let set = url.set_username(user).and_then(|()| url.set_password(password.map(Secret::expose)));
        set.map_err(|()| Invalid::Unreadable)?;
        let rest = url.as_str().strip_prefix("http://").unwrap_or_default();
        let mut address = Self::read(&format!("{}://{rest}", scheme.name()))?;
        // The parser has dropped 80.
        address.port = if port == 0 { return Err(Invalid::Port) } else { port };
        Ok(address)
    }

    /// Checks the address by its text. The name is resolved and checked again when it is dialled. Errors: [`Invalid::Private`] unless
    /// `allow_private`, [`Invalid::Metadata`] always.
    pub fn check(&self, allow_private: bool) -> Result<(), Invalid> {
        let host = match &self.host {
            Host::Domain(name) => Host::Domain(name.as_str()),
            Host::Ipv4(address) => Host::Ipv4(*address),
            Host::Ipv6(address) => Host::Ipv6(*address),
        };
        guard::check_host(&host, allow_private).map_err(Invalid::from)
    }

    /// Takes the password of `old` when this address holds [`MASKED_PASSWORD`]. A password is only sent to the address that it was given
    /// for. Errors: [`Invalid::Password`] when the addresses differ.
    pub fn keeping(self, old: Option<&Self>) -> Result<Self, Invalid> {
        let hidden =
            self.password.as_ref().is_some_and(|password| [MASKED_PASSWORD, "%2A%2A%2A"].contains(&password.expose()));
        if !hidden {
            return Ok(self);
        }
        let target = |address: &Self| (address.scheme, address.host.clone(), address.port, address.user.clone());
        match old {
            Some(old) if target(old) == target(&self) => Ok(old.clone()),
            _ => Err(Invalid::Password),
        }
    }

    /// The whole URL, with its password: for the connection, the sealed column and an export.
    pub fn full(&self) -> Secret {
        Secret::new(self.text(self.password.as_ref().map(Secret::expose)))
    }

    /// Scheme, host and port: for messages.
    pub fn bare(&self) -> String {
        format!("{}://{}:{}", self.scheme.name(), self.host, self.port)
    }

    /// `host:port`: the default name of a proxy.
    pub fn host_port(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The host, an IPv6 address in brackets.
    pub fn host_text(&self) -> String {
        self.host.to_string()
    }

    /// The protocol.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    fn text(&self, password: Option<&str>) -> String {
        let credentials = match password {
            Some(password) => format!("{}:{password}@", self.user),
            None if self.user.is_empty() => String::new(),
            None => format!("{}@", self.user),
        };
        format!("{}://{credentials}{}:{}", self.scheme.name(), self.host, self.port)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(self.password.as_ref().map(|_| MASKED_PASSWORD)))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.bare())
    }
}
