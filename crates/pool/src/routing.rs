//! Where the backend wants an account's model calls, from `GET /wham/accounts/check`.
//!
//! The official client refuses to work with an answer that it does not understand. Here such a part is ignored with a notice. At
//! worst the backend refuses a call without it, and the account's status then shows the refusal.

#[cfg(test)]
mod tests;

use serde::Deserialize;
use url::{Host, Url};

use crate::lenient;
use crate::sanitize::short;

/// The value for no rule.
const FREE: &str = "NO_CONSTRAINT";
/// Longest name of a region, bytes.
const REGION: usize = 32;
/// The backend's own domain. An origin elsewhere would get the account's tokens.
const DOMAIN: &str = "chatgpt.com";

/// The routing of an account's model calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routing {
    /// The header `x-openai-account-routing-override` (`us`).
    pub region: Option<String>,
    /// Replaces the backend's scheme, host and port.
    pub origin: Option<Url>,
}

/// An answer, and its ignored parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// The parts that are followed.
    pub routing: Routing,
    /// One line for each ignored part.
    pub ignored: Vec<String>,
}

#[derive(Deserialize)]
struct Check {
    accounts: Vec<AccountCheck>,
}

#[derive(Deserialize)]
struct AccountCheck {
    #[serde(default, deserialize_with = "lenient::field")]
    id: Option<String>,
    #[serde(default, deserialize_with = "lenient::field")]
    workspace_backend_origin: Option<String>,
    #[serde(default, deserialize_with = "lenient::field")]
    account_routing_override: Option<String>,
}

/// Reads the answer for the account with this id at the provider; `None` when it has another shape or lacks the account.
pub fn read(body: &[u8], account: &str) -> Option<Read> {
    let check: Check = serde_json::from_slice(body).ok()?;
    let entry = check.accounts.into_iter().find(|entry| entry.id.as_deref() == Some(account))?;
    let mut read = Read::default();
    if let Some(wanted) = entry.account_routing_override.filter(|wanted| wanted != FREE) {
        if region(&wanted) {
            read.routing.region = Some(wanted);
        } else {
            read.ignored.push(format!("the region {:?} is no name of one", short(&wanted, REGION)));
        }
    }
    if let Some(wanted) = entry.workspace_backend_origin.filter(|wanted| wanted != FREE) {
        match origin(&wanted) {
            Some(origin) => read.routing.origin = Some(origin),
            None => read.ignored.push(format!("the origin {:?} is not the backend's", short(&wanted, 2 * REGION))),
        }
    }
    Some(read)
}

/// Whether a text can be a region's name (`us`, `us_cr`).
fn region(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    (1..=REGION).contains(&text.len()) && text.bytes().all(plain)
}

/// An https origin of the backend's own domain, without path, query or credentials.
fn origin(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let bare =
        url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
    let fits = url.scheme() == "https" && url.port().is_none() && url.path() == "/" && bare;
    let Some(Host::Domain(host)) = url.host() else { return None };
    (fits && is_own_host(host)).then_some(url)
}

/// Whether a host is of the backend's own domain.
fn is_own_host(host: &str) -> bool {
    host.strip_suffix(DOMAIN).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

impl Routing {
    /// The URL of a model call that goes to `usual` by default. A URL outside the backend's domain was chosen by the owner, for tests
    /// for example, and stays.
    pub fn rewrite_url(&self, usual: &Url) -> Url {
        let mut url = usual.clone();
        let host = self.origin.as_ref().and_then(Url::host_str).filter(|_| usual.host_str().is_some_and(is_own_host));
        if let Some(host) = host
            && usual.scheme() == "https"
        {
            url.set_host(Some(host)).expect("invariant: a host of an https URL fits another one");
        }
        url
    }
}
