//! Turns a pasted address into a base URL and its protocol, and a base URL into the URL of a call.
//!
//! People paste a host, the base URL of an SDK (with `/v1` for OpenAI's, without for Anthropic's), a whole endpoint from a `curl`
//! command, or an Ollama address. A stored base URL ends where the path of the endpoint begins: `{base}/chat/completions`.

use proto::Wire;
use url::{Host, Url};

use super::{Relay, Service, models, services};
use crate::guard;

/// Longest address, bytes.
const LONGEST: usize = 2048;
/// Ollama's own port.
const OLLAMA: u16 = 11434;
/// Entries of a list that one call asks for.
const PAGE: &str = "1000";

/// Path suffixes that belong to an endpoint and not to the base URL, longer ones first, with their hints.
const ENDPOINTS: [(&str, EndpointHint); 18] = [
    ("/messages/count_tokens", EndpointHint::Base(Some(Wire::Messages))),
    ("/messages", EndpointHint::Base(Some(Wire::Messages))),
    ("/chat/completions", EndpointHint::Base(Some(Wire::Chat))),
    ("/completions", EndpointHint::Base(Some(Wire::Chat))),
    ("/responses", EndpointHint::Base(Some(Wire::Responses))),
    ("/api/embeddings", EndpointHint::Ollama),
    ("/embeddings", EndpointHint::Base(None)),
    ("/models", EndpointHint::Base(None)),
    ("/audio/speech", EndpointHint::Base(None)),
    ("/audio/transcriptions", EndpointHint::Base(None)),
    ("/audio/translations", EndpointHint::Base(None)),
    ("/images/generations", EndpointHint::Base(None)),
    ("/images/edits", EndpointHint::Base(None)),
    ("/api/chat", EndpointHint::Ollama),
    ("/api/generate", EndpointHint::Ollama),
    ("/api/tags", EndpointHint::Ollama),
    ("/api/embed", EndpointHint::Ollama),
    ("/api/show", EndpointHint::Ollama),
];

/// What an endpoint's path reveals about an address.
#[derive(Clone, Copy)]
enum EndpointHint {
    /// The path before it is the base URL; the endpoint may reveal the protocol.
    Base(Option<Wire>),
    /// The path before it is the root of an Ollama, which serves OpenAI's protocol below `/v1`.
    Ollama,
}

/// A pasted address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastedAddress {
    /// The URL without the endpoint's path; no trailing slash.
    url: Url,
    /// The protocol of the endpoint, if it had one.
    wire: Option<Wire>,
    /// Whether the address had an endpoint, so that nothing may be added to the path.
    whole: bool,
}

/// Why an address cannot be read. No message shows the address, which may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Nothing in it.
    #[error("the address is empty; hint: write it as https://host/v1")]
    Empty,
    /// Not a URL.
    #[error("the address is no URL ({0}); hint: write it as https://host/v1")]
    Unreadable(String),
    /// Neither http nor https.
    #[error("the address is neither http nor https; hint: write it as https://host/v1")]
    Scheme,
    /// A user name or password in it.
    #[error("the address holds a user name or password; hint: remove it, the key is given by itself")]
    Credentials,
    /// A query or fragment.
    #[error("the address has a query or fragment; hint: leave out everything from the `?` or `#` on")]
    Extras,
}

impl PastedAddress {
    /// Reads an address. One without a scheme is https, or http where its host is this machine or a private address.
    pub fn read(text: &str) -> Result<Self, AddressError> {
        let text = text.trim().trim_matches(['"', '\'', '`', '<', '>']).trim();
        let mut url = parse(text)?;
        let path = url.path().split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
        let path = if path.is_empty() { path } else { format!("/{path}") };
        let (path, wire, whole) = match endpoint(&path) {
            Some((base, EndpointHint::Base(wire))) => (base.to_owned(), wire, true),
            Some((base, EndpointHint::Ollama)) => (base.to_owned(), Some(Wire::Chat), false),
            None if path == "/api" && url.port() == Some(OLLAMA) => (String::new(), Some(Wire::Chat), false),
            None => (path, None, false),
        };
        url.set_path(&path);
        Ok(Self { url, wire, whole })
    }

    /// The address without an endpoint.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The protocol, where the address reveals it.
    pub fn detect(&self) -> Option<Wire> {
        self.wire.or_else(|| detect(&self.url))
    }

    /// The base URL for a protocol, completed with the version that the endpoint's path needs.
    pub fn base(&self, wire: Wire) -> String {
        let mut url = self.url.clone();
        if !self.whole {
            let path = completed(&self.url, wire);
            url.set_path(&path);
        }
        plain(&url)
    }
}

/// Reads a stored base URL ([`Relay::base_url`]).
pub fn base(text: &str) -> Result<Url, AddressError> {
    let url = Url::parse(text).map_err(|error| AddressError::Unreadable(error.to_string()))?;
    judged(url)
}

/// Whether two addresses have the same scheme, host and port. A key is only sent to the target that it was given for.
pub fn same_target(one: &str, other: &str) -> bool {
    let origin = |text: &str| Url::parse(text).ok().filter(Url::has_host).map(|url| url.origin().ascii_serialization());
    origin(one).is_some_and(|one| Some(one) == origin(other))
}

/// The URL of a model call.
pub fn call_url(relay: &Relay, model: &str) -> Result<Url, AddressError> {
    let url = base(&relay.base_url)?;
    Ok(match relay.wire {
        Wire::Chat => below(url, "/chat/completions"),
        Wire::Responses => below(url, "/responses"),
        Wire::Messages => below(versioned(url, "v1"), "/messages"),
        Wire::Gemini => {
            let name = model.strip_prefix("models/").unwrap_or(model);
            let mut url = below(versioned(url, "v1beta"), "/models");
            if let Ok(mut path) = url.path_segments_mut() {
                path.push(&format!("{name}:streamGenerateContent"));
            }
            url.set_query(Some("alt=sse"));
            url
        }
    })
}

/// The URL of the model list; `after` selects the next page.
pub fn models_url(base_url: &str, wire: Wire, after: Option<&models::Next>) -> Result<Url, AddressError> {
    let url = base(base_url)?;
    let mut url = match wire {
        Wire::Chat | Wire::Responses => below(url, "/models"),
        Wire::Messages => below(versioned(url, "v1"), "/models"),
        Wire::Gemini => below(versioned(url, "v1beta"), "/models"),
    };
    match wire {
        Wire::Messages => drop(url.query_pairs_mut().append_pair("limit", PAGE)),
        Wire::Gemini => drop(url.query_pairs_mut().append_pair("pageSize", PAGE)),
        Wire::Chat | Wire::Responses => {}
    }
    match after {
        Some(models::Next::After(id)) => drop(url.query_pairs_mut().append_pair("after_id", id)),
        Some(models::Next::Token(token)) => drop(url.query_pairs_mut().append_pair("pageToken", token)),
        None => {}
    }
    Ok(url)
}

/// The URL where an Ollama at this base URL lists its models.
pub fn tags_url(base_url: &str) -> Result<Url, AddressError> {
    let mut url = base(base_url)?;
    let root = url.path().trim_end_matches('/');
    let root = root.strip_suffix("/v1").unwrap_or(root).to_owned();
    url.set_path(&root);
    Ok(below(url, "/api/tags"))
}

/// The URL of a forwarded call; `None` where the relay's protocol has none.
pub fn service_url(relay: &Relay, service: Service) -> Result<Option<Url>, AddressError> {
    let url = base(&relay.base_url)?;
    Ok(match relay.wire {
        Wire::Chat | Wire::Responses => Some(below(url, service.path())),
        Wire::Gemini if services::google(&relay.base_url) => {
            Some(below(below(versioned(url, "v1beta"), "/openai"), service.path()))
        }
        Wire::Messages | Wire::Gemini => None,
    })
}

fn parse(text: &str) -> Result<Url, AddressError> {
    if text.is_empty() {
        return Err(AddressError::Empty);
    }
    // The parser drops tabs and line breaks, but the called address must be the one that a person sees.
    if text.len() > LONGEST || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(AddressError::Unreadable("it is too long, or holds spaces".to_owned()));
    }
    let read = |text: &str| Url::parse(text).map_err(|error| AddressError::Unreadable(error.to_string()));
    let schemed = ["http:", "https:"].iter().any(|scheme| starts(text, scheme));
    if schemed || text.contains("://") {
        return judged(read(text)?);
    }
    let secure = read(&format!("https://{text}"))?;
    if is_plain_http_host(&secure) { judged(read(&format!("http://{text}"))?) } else { judged(secure) }
}

fn starts(text: &str, scheme: &str) -> bool {
    text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
}

/// Whether a host that was given without a scheme speaks plain http.
fn is_plain_http_host(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            let local = [".localhost", ".local", ".lan", ".internal"].iter().any(|end| name.ends_with(end));
            !name.contains('.') || local
        }
        Some(Host::Ipv4(address)) => guard::check_ip(address.into(), false).is_err(),
        Some(Host::Ipv6(address)) => guard::check_ip(address.into(), false).is_err(),
        None => false,
    }
}

fn judged(url: Url) -> Result<Url, AddressError> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(AddressError::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(AddressError::Credentials);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(AddressError::Extras);
    }
    Ok(url)
}

/// The path before an endpoint, and the hint of that endpoint.
fn endpoint(path: &str) -> Option<(&str, EndpointHint)> {
    let named = ENDPOINTS.iter().find_map(|(end, hint)| Some((path.strip_suffix(end)?, *hint)));
    named.or_else(|| {
        // `/v1beta/models/gemini-3-pro:generateContent`, also with its colon escaped.
        let (base, model) = path.rsplit_once("/models/")?;
        let verb = model.rsplit_once(':').or_else(|| model.rsplit_once("%3A"))?.1;
        let known = ["generateContent", "streamGenerateContent", "countTokens", "embedContent"].contains(&verb);
        known.then_some((base, EndpointHint::Base(Some(Wire::Gemini))))
    })
}

fn detect(url: &Url) -> Option<Wire> {
    let part = |name: &str| parts(url).any(|part| part == name);
    let host = url.host_str().unwrap_or_default();
    if part("anthropic") {
        return Some(Wire::Messages);
    }
    if let Some(known) = services::service(url) {
        return Some(if part("openai") { Wire::Chat } else { known.wire });
    }
    if host.ends_with(".openai.azure.com") {
        return Some(Wire::Responses);
    }
    if url.port() == Some(OLLAMA) {
        return Some(Wire::Chat);
    }
    match parts(url).last() {
        Some(last) if last.starts_with("v1beta") => Some(Wire::Gemini),
        Some(last) if version(last) => Some(Wire::Chat),
        _ => None,
    }
}

/// The path, completed for a protocol.
fn completed(url: &Url, wire: Wire) -> String {
    let path = url.path().trim_end_matches('/');
    let last = parts(url).last().is_some_and(version);
    let known = services::service(url);
    let service = known.filter(|known| known.path == path || known.path.starts_with(&format!("{path}/")));
    match wire {
        Wire::Messages | Wire::Gemini if last => path.to_owned(),
        Wire::Messages => format!("{path}/v1"),
        Wire::Gemini => format!("{path}/v1beta"),
        Wire::Chat | Wire::Responses => match service {
            Some(known) => known.path.to_owned(),
            // The version may be anywhere in the path: gateways put a provider's name behind it.
            None if parts(url).any(version) => path.to_owned(),
            None => format!("{path}/v1"),
        },
    }
}

/// Adds a version unless the path ends in one.
fn versioned(url: Url, name: &str) -> Url {
    if parts(&url).last().is_some_and(version) { url } else { below(url, &format!("/{name}")) }
}

/// `v1`, `v1beta`, `v4`.
fn version(part: &str) -> bool {
    let rest = part.strip_prefix('v').unwrap_or_default();
    rest.starts_with(|c: char| c.is_ascii_digit()) && rest.len() <= 8 && rest.bytes().all(|b| b.is_ascii_alphanumeric())
}

fn parts(url: &Url) -> impl DoubleEndedIterator<Item = &str> {
    url.path().split('/').filter(|part| !part.is_empty())
}

fn below(mut url: Url, path: &str) -> Url {
    let joined = format!("{}{path}", url.path().trim_end_matches('/'));
    url.set_path(&joined);
    url
}

/// The URL as text, without the trailing slash of an empty path.
fn plain(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}
