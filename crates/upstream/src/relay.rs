//! Calls to relays: services at any base URL, each with its own key.
//!
//! Calls to relays have no part of the Codex identity: no originator, no cookies, and the gateway's own User-Agent. Every call is checked
//! against [`pool::guard`]; the addresses of a name are checked at the moment of dialling. A redirect is never followed. Relays that may
//! reach private addresses share no connections with other relays.
//!
//! A proxy resolves names itself and reaches its own network; the proxy may run on this machine. So names are also resolved here before
//! the request goes to the proxy, and no name of a metadata service or of this gateway reaches the proxy. If the lookup fails, only names
//! and literal addresses are checked.

mod forward;
mod list;
mod notify;
mod probe;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use parking_lot::Mutex;
use pool::Secret;
use pool::guard::{self, Denied};
use pool::relay::{self, Relay, Wire};
use url::{Host, Url};

pub use self::forward::{Forward, OutgoingBody};
pub use self::list::ListOutcome;
pub use self::notify::{NtfyTopic, Webhook};
pub use self::probe::{ProbeError, Probed};
use crate::config::Config;
use crate::fault::{Fault, FaultKind, Sent};
use crate::profile::Profile;
use crate::response::Answer;
use crate::transport::exchange;
use crate::transport::pool::{ClientPool, ConnectOptions, ProxyBypass};
use crate::transport::resolver::{self, GuardedResolver, Listeners, Lookup, Resolver, TargetRule};
use crate::transport::roots::CertificateVerifier;

/// Headers of a client that are passed on to a relay of the client's own protocol; any other is not sent.
pub const PASSED_HEADERS: [&str; 3] = ["anthropic-beta", "anthropic-version", "openai-beta"];

/// Longest wait for the lookup of a name that a proxy will resolve anyway.
const LOOKUP: Duration = Duration::from_secs(1);

/// The version of Anthropic's protocol for clients that name none.
const ANTHROPIC: &str = "2023-06-01";

/// The client for relays.
pub struct RelayClient {
    config: Config,
    agent: HeaderValue,
    roots: Arc<CertificateVerifier>,
    listeners: Listeners,
    lookup: Lookup,
    clients: Mutex<HashMap<TargetRule, Arc<ClientPool>>>,
}

/// One model call.
pub struct RelayCall<'a> {
    /// The relay; its address is checked again.
    pub relay: &'a Relay,
    /// The relay's key; with an empty key no credentials are sent.
    pub key: &'a Secret,
    /// The relay's own name of the model, which some protocols have in the path.
    pub model: &'a str,
    /// The JSON body in the relay's protocol.
    pub body: Bytes,
    /// The client's own headers, if client and relay have the same protocol; only those in [`PASSED_HEADERS`] are sent.
    pub client_headers: &'a [(&'static str, String)],
}

/// The address of a request and its credentials.
struct Target<'a> {
    url: Url,
    wire: Wire,
    key: &'a Secret,
    private: bool,
}

impl RelayClient {
    pub(crate) fn new(config: &Config, roots: Arc<CertificateVerifier>) -> Self {
        let agent = HeaderValue::from_str(&Profile::polygate().user_agent);
        Self {
            config: config.clone(),
            agent: agent.unwrap_or_else(|_| HeaderValue::from_static("polygate")),
            roots,
            listeners: Listeners::default(),
            lookup: Lookup::System,
            clients: Mutex::default(),
        }
    }

    /// Sets the addresses of the gateway's own listeners, which no relay may have. Call this function once the listeners are bound.
    pub fn set_listeners(&self, addresses: Vec<SocketAddr>) {
        *self.listeners.write() = addresses;
    }

    pub(crate) fn close_idle(&self) {
        self.clients.lock().values().for_each(|clients| clients.close_idle());
    }

    /// Whether a base URL may be called without `allow_private`; the name is resolved now. [`Denied::liftable`] returns whether that
    /// setting would help. A name that does not resolve passes: its addresses are checked again on each connection.
    pub async fn check_public(&self, url: &Url) -> Result<(), Denied> {
        guard::check_url(url, false)?;
        let Some(Host::Domain(name)) = url.host() else { return Ok(()) };
        // Behind a proxy, only forbidden addresses matter: the proxy may resolve the name to other addresses.
        let rule = TargetRule { allow_private: self.config.proxy.is_some(), own_port: self.own_port(url) };
        resolver::filter_allowed(self.lookup_name(name).await, rule, &self.listeners).map(|_| ())
    }

    /// A model call, always streamed; resolves at the answer's headers. Dropping the future, or the answer's body, ends the exchange.
    /// Errors: the [`Fault`] of the call; [`FaultKind::Denied`] for an address that may not be called, [`FaultKind::Encoding`] for a
    /// stream in an unsupported content coding.
    pub async fn call(&self, call: RelayCall<'_>) -> Result<Answer, Fault> {
        let url = relay::call_url(call.relay, call.model).map_err(|error| unreadable(&error))?;
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
        for (name, value) in call.client_headers.iter().filter(|(name, _)| PASSED_HEADERS.contains(name)) {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(*name, value);
            }
        }
        let target = Target { url, wire: call.relay.wire, key: call.key, private: call.relay.allow_private };
        let request = self.request(Method::POST, &target, headers)?;
        let late = Fault::timeout_after(self.config.timeouts.headers);
        self.send(&target, with_body(request, call.body.into()), late).await?.decoded()
    }

    /// A request with the credentials of its protocol, without a body.
    fn request(&self, method: Method, target: &Target<'_>, mut headers: HeaderMap) -> Result<reqwest::Request, Fault> {
        headers.insert(header::USER_AGENT, self.agent.clone());
        if target.wire == Wire::Messages {
            headers.entry("anthropic-version").or_insert(HeaderValue::from_static(ANTHROPIC));
        }
        if !target.key.is_empty() {
            let (name, value) = credentials(target.wire, target.key)?;
            headers.insert(name, value);
        }
        let mut request = reqwest::Request::new(method, target.url.clone());
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// Sends if the target may be called, and waits for the headers unless `late` resolves first.
    async fn send(
        &self,
        target: &Target<'_>,
        request: reqwest::Request,
        late: impl Future<Output = Fault>,
    ) -> Result<Answer, Fault> {
        let rule = self.check_target(target)?;
        self.check_name(target, rule).await?;
        let clients = self.clients(rule)?;
        let mut answer = exchange(&clients, request, late).await?;
        answer.headers.remove(header::SET_COOKIE);
        if answer.status == 304 {
            let message = "the relay answered 304, which nobody asked for";
            return Err(Fault::new(Sent::Yes, FaultKind::Redirect, message));
        }
        Ok(answer)
    }

    /// Checks a target's URL without a lookup, and returns the rule for the addresses of its name.
    fn check_target(&self, target: &Target<'_>) -> Result<TargetRule, Fault> {
        guard::check_target(&target.url, target.private).map_err(|denied| Fault::denied(&denied))?;
        let rule = TargetRule { allow_private: target.private, own_port: self.own_port(&target.url) };
        let literal = match target.url.host() {
            Some(Host::Ipv4(address)) => Some(address.into()),
            Some(Host::Ipv6(address)) => Some(address.into()),
            Some(Host::Domain(_)) | None => None,
        };
        let checked = literal.map_or(Ok(()), |address| resolver::check(address, rule, &self.listeners));
        checked.map(|()| rule).map_err(|denied| Fault::denied(&denied))
    }

    /// Checks a name before a proxy resolves it: none of the addresses known here may be forbidden.
    async fn check_name(&self, target: &Target<'_>, rule: TargetRule) -> Result<(), Fault> {
        let (Some(_), Some(Host::Domain(name))) = (&self.config.proxy, target.url.host()) else { return Ok(()) };
        let rule = TargetRule { allow_private: true, ..rule };
        let checked = self
            .lookup_name(name)
            .await
            .iter()
            .try_for_each(|address| resolver::check(address.ip(), rule, &self.listeners));
        checked.map_err(|denied| Fault::denied(&denied))
    }

    /// The addresses of a name by the local resolver; empty when the lookup fails or takes too long.
    async fn lookup_name(&self, name: &str) -> Vec<SocketAddr> {
        let result = tokio::time::timeout(LOOKUP, self.lookup.addresses(name)).await;
        result.ok().and_then(Result::ok).unwrap_or_default()
    }

    /// A URL's port, if one of the gateway's listeners has the same port.
    fn own_port(&self, url: &Url) -> Option<u16> {
        let port = url.port_or_known_default();
        port.filter(|port| self.listeners.read().iter().any(|listener| listener.port() == *port))
    }

    fn clients(&self, rule: TargetRule) -> Result<Arc<ClientPool>, Fault> {
        let mut all = self.clients.lock();
        if let Some(clients) = all.get(&rule) {
            return Ok(Arc::clone(clients));
        }
        let proxy = self.config.proxy.as_ref();
        let resolver = GuardedResolver::new(rule, Arc::clone(&self.listeners), proxy, self.lookup.clone());
        let near = if rule.allow_private { ProxyBypass::Private } else { ProxyBypass::Loopback };
        let exit = ConnectOptions {
            proxy: proxy.cloned(),
            bypass: near,
            resolver: Some(Resolver::Guarded(Arc::new(resolver))),
        };
        let clients = ClientPool::new(self.config.timeouts, &self.roots, exit)
            .map_err(|error| Fault::new(Sent::No, FaultKind::Connect, error.to_string()))?;
        let clients = Arc::new(clients);
        all.insert(rule, Arc::clone(&clients));
        Ok(clients)
    }
}

fn with_body(mut request: reqwest::Request, body: reqwest::Body) -> reqwest::Request {
    *request.body_mut() = Some(body);
    request
}

/// The header that carries a key.
fn credentials(wire: Wire, key: &Secret) -> Result<(&'static str, HeaderValue), Fault> {
    let (name, text) = match wire {
        Wire::Chat | Wire::Responses => ("authorization", format!("Bearer {}", key.expose())),
        Wire::Messages => ("x-api-key", key.expose().to_owned()),
        Wire::Gemini => ("x-goog-api-key", key.expose().to_owned()),
    };
    let mut value = HeaderValue::from_str(&text).map_err(|_| {
        let message =
            "the relay's key holds characters that cannot be sent; hint: give it again, `polygate relays key` does";
        Fault::new(Sent::No, FaultKind::Unsendable, message)
    })?;
    value.set_sensitive(true);
    Ok((name, value))
}

/// The fault for a base URL that cannot be parsed.
fn unreadable(error: &relay::AddressError) -> Fault {
    Fault::new(Sent::No, FaultKind::Unsendable, error.to_string())
}
