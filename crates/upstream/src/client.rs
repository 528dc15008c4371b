//! The client of the backend: its settings, identity, cookies, proxies and connections.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderMap, Method, header};
use pool::egress::Proxy;
use pool::{AccountId, Millis, Secret};
use url::Url;

use crate::config::{BuildError, Config, Endpoints};
use crate::cookies::Jars;
use crate::egress::{EgressClients, ResolvedEgress};
use crate::fault::Fault;
use crate::profile::Profile;
use crate::relay::RelayClient;
use crate::response::Answer;
use crate::transport::exchange;
use crate::transport::roots::CertificateVerifier;
use crate::websocket::pool::SocketPool;

/// The client of the backend. Clones share connections and cookies.
#[derive(Clone)]
pub struct Upstream {
    pub(crate) inner: Arc<Inner>,
    /// The egress of this handle's calls, except those to relays.
    pub(crate) egress: ResolvedEgress,
}

pub(crate) struct Inner {
    config: Config,
    /// The current identity towards the backend.
    profile: ArcSwap<Profile>,
    endpoints: Endpoints,
    pub(crate) egress_clients: EgressClients,
    jars: Jars,
    pub(crate) sockets: SocketPool,
    relays: RelayClient,
    /// The listener for the backend's clock, once it is set.
    clock: OnceLock<ClockListener>,
}

/// A listener for the backend's clock, and the local clock.
struct ClockListener {
    now: Box<dyn Fn() -> Millis + Send + Sync>,
    /// Takes the backend's date and the local time of the request.
    on_date: Box<dyn Fn(Millis, Millis) + Send + Sync>,
}

/// One request, ready to send.
pub(crate) struct OutboundRequest {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Upstream {
    /// Checks the settings and builds the client; opens nothing and reads no certificate store yet.
    pub fn new(config: Config) -> Result<Self, BuildError> {
        let endpoints = Endpoints::new(&config)?;
        config.profile.check().map_err(BuildError::Profile)?;
        let roots = CertificateVerifier::new(config.ca_bundle.as_deref(), config.force_http11)?;
        let clients = EgressClients::new(&config, Arc::clone(&roots))?;
        let jars = Jars::new(&config.base_url);
        let relays = RelayClient::new(&config, roots);
        let profile = ArcSwap::from_pointee(config.profile.clone());
        let pool = SocketPool::default();
        let inner = Arc::new(Inner {
            config,
            profile,
            endpoints,
            egress_clients: clients,
            jars,
            sockets: pool,
            relays,
            clock: OnceLock::new(),
        });
        Ok(Self { inner, egress: ResolvedEgress::global() })
    }

    /// The client's settings.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// The current identity towards the backend. Each call reads the profile once, so that all headers of the call have one identity.
    pub fn profile(&self) -> Arc<Profile> {
        self.inner.profile.load_full()
    }

    /// Changes the identity from the next call on, for this handle and all its clones. Errors: a value that cannot be a header; nothing
    /// is changed then.
    pub fn set_profile(&self, profile: Profile) -> Result<(), BuildError> {
        profile.check().map_err(BuildError::Profile)?;
        self.inner.profile.store(Arc::new(profile));
        Ok(())
    }

    /// The client for relays.
    pub fn relays(&self) -> &RelayClient {
        &self.inner.relays
    }

    /// The account's persistable cookies; `None` when it has none.
    pub fn cookies(&self, id: &AccountId) -> Option<Secret> {
        self.inner.jars.save(id)
    }

    /// Restores the result of [`Upstream::cookies`]; unreadable cookies are dropped.
    pub fn set_cookies(&self, id: &AccountId, saved: &Secret) {
        self.inner.jars.restore(id, saved);
    }

    /// The account's cookies as one header's text; `None` when it has none.
    pub fn cookie_header(&self, id: &AccountId) -> Option<Secret> {
        self.inner.jars.header(id, &self.inner.config.base_url)
    }

    /// Replaces the account's cookies, under the same allow-list as for the backend's cookies; returns the number of stored cookies.
    pub fn replace_cookies(&self, id: &AccountId, pairs: &[(String, Secret)]) -> usize {
        self.inner.jars.put(id, pairs)
    }

    /// Removes the account's cookies and closes its WebSockets.
    pub fn forget(&self, id: &AccountId) {
        self.inner.jars.forget(id);
        self.inner.sockets.close_account(id);
    }

    /// Calls `hear` for each answer of the backend, with its `Date` and the local time of the request; `now` gives the local time. Only
    /// the first listener is used.
    pub fn on_date(
        &self,
        now: impl Fn() -> Millis + Send + Sync + 'static,
        hear: impl Fn(Millis, Millis) + Send + Sync + 'static,
    ) {
        let _ = self.inner.clock.set(ClockListener { now: Box::new(now), on_date: Box::new(hear) });
    }

    /// Closes the idle connections. After this machine slept, the peers are gone, and without this call only the next request would
    /// notice. Running exchanges keep their connections.
    pub fn close_idle(&self) {
        self.inner.egress_clients.close_idle();
        self.inner.sockets.close_idle();
        self.inner.relays.close_idle();
    }

    /// The same backend over another egress.
    #[must_use]
    pub fn with_egress(&self, egress: ResolvedEgress) -> Self {
        Self { inner: Arc::clone(&self.inner), egress }
    }

    /// Closes the connections of all other proxies.
    pub fn retain_proxies(&self, proxies: &[Proxy]) {
        self.inner.egress_clients.retain(proxies);
    }

    /// Reports a call's outcome to the listener of its egress.
    pub(crate) fn report_outcome(&self, outcome: Result<(), &Fault>) {
        if let Some(tell) = &self.egress.listener {
            tell(outcome);
        }
    }

    /// The fault, with the proxy's name if the fault concerns the proxy.
    pub(crate) fn name_proxy(&self, fault: Fault) -> Fault {
        self.egress.name_proxy(fault, self.config().proxy.as_ref())
    }

    pub(crate) fn jars(&self) -> &Jars {
        &self.inner.jars
    }

    pub(crate) fn endpoints(&self) -> &Endpoints {
        &self.inner.endpoints
    }

    /// Sends and waits for the headers, at most `timeouts.headers`. Any status but 3xx is an answer; 304 is an answer too.
    pub(crate) async fn send(&self, outbound: OutboundRequest) -> Result<Answer, Fault> {
        self.send_within(outbound, self.config().timeouts.headers).await
    }

    /// As [`Self::send`], with `limit` for the headers.
    pub(crate) async fn send_within(&self, outbound: OutboundRequest, limit: Duration) -> Result<Answer, Fault> {
        let own = self.inner.endpoints.is_own(&outbound.url);
        let sent_at = self.inner.clock.get().filter(|_| own).map(|clock| (clock.now)());
        let mut request = reqwest::Request::new(outbound.method, outbound.url);
        *request.headers_mut() = outbound.headers;
        if !outbound.body.is_empty() {
            *request.body_mut() = Some(outbound.body.into());
        }
        let sent = match self.inner.egress_clients.clients(&self.egress) {
            Ok(clients) => exchange(&clients, request, Fault::timeout_after(limit)).await,
            Err(fault) => Err(fault),
        };
        let sent = sent.map_err(|fault| self.name_proxy(fault));
        self.report_outcome(sent.as_ref().map(|_| ()));
        if let (Some(sent_at), Ok(answer)) = (sent_at, &sent) {
            self.report_date(&answer.headers, sent_at);
        }
        sent
    }

    pub(crate) fn report_date(&self, headers: &HeaderMap, sent_at: Millis) {
        let date = headers.get(header::DATE).and_then(|value| pool::date::read(value.to_str().ok()?));
        if let (Some(clock), Some(date)) = (self.inner.clock.get(), date) {
            (clock.on_date)(date, sent_at);
        }
    }
}
