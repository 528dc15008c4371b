//! Determines whether a web page sent a request, and the page's origin. Browsers send `Origin` and `Sec-Fetch-Site`; no client library
//! sends either. Cookies and loopback prove nothing: another port of this machine is same-site.

use http::HeaderMap;
use http::header::ORIGIN;

use super::host::{Host, Name};

/// The site that a request comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Site {
    /// No web page, or a page of this gateway.
    Own,
    /// A page of this origin, which is on the list for the data plane.
    Listed(String),
}

/// The site of a request; `None` if the request comes from a page of another origin.
pub(crate) fn check(headers: &HeaderMap, host: &Host, listed: &[String]) -> Option<Site> {
    let (Ok(origin), Ok(relation)) =
        (single_header(headers, ORIGIN.as_str()), single_header(headers, "sec-fetch-site"))
    else {
        return None;
    };
    if let Some(origin) = origin
        && listed.iter().any(|entry| same(entry.trim(), origin))
    {
        return Some(Site::Listed(origin.to_owned()));
    }
    let own = origin.is_none_or(|origin| is_own(origin, host));
    (own && matches!(relation, None | Some("same-origin" | "none"))).then_some(Site::Own)
}

/// The site of a request from a page on this machine, on any port: Ollama's API serves such browser programs.
pub(crate) fn local_page(headers: &HeaderMap) -> Option<Site> {
    let Ok(Some(origin)) = single_header(headers, ORIGIN.as_str()) else { return None };
    let (scheme, authority) = origin.split_once("://")?;
    let here = match Host::parse(authority)?.name {
        Name::Ip(address) => address.is_loopback(),
        Name::Dns(name) => name == "localhost",
    };
    (here && matches!(scheme, "http" | "https")).then(|| Site::Listed(origin.to_owned()))
}

/// Whether a browser sent the request: every current browser sends `Origin` or `Sec-Fetch-*`, a page cannot remove them, and no
/// client library sends them.
pub(crate) fn is_from_browser(headers: &HeaderMap) -> bool {
    headers.contains_key(ORIGIN) || headers.keys().any(|name| name.as_str().starts_with("sec-fetch-"))
}

/// A header with several values, or with a value that is not text.
struct Unreadable;

/// A header with at most one value.
fn single_header<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Unreadable> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| Unreadable),
        _ => Err(Unreadable),
    }
}

/// Whether a listed origin matches. `*` and `null` never match, because they would allow every origin.
fn same(entry: &str, origin: &str) -> bool {
    entry.contains("://") && entry.trim_end_matches('/').eq_ignore_ascii_case(origin)
}

/// Whether the origin is this gateway. Either scheme matches, because TLS may end in front of the gateway; the default port is optional.
fn is_own(origin: &str, host: &Host) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let default = match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => return false,
    };
    let plain = |port: Option<u16>| port.filter(|port| Some(*port) != default);
    Host::parse(authority).is_some_and(|origin| origin.name == host.name && plain(origin.port) == plain(host.port))
}

#[cfg(test)]
mod tests;
