//! The client of the backend: its settings, identity, cookies, proxies and connections.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderMap, Method, header};
use pool::egress::Proxy;
use pool::{AccountId, Millis, Secret};
use url::Url;

use crate::config::{BuildError, Config, Places};
use crate::cookies::Jars;
use crate::egress::{Way, Ways};
use crate::fault::Fault;
use crate::profile::Profile;
use crate::relay::Relays;
use crate::response::Answer;
use crate::transport::exchange;
use crate::transport::roots::Roots;
use crate::websocket::pool::Shelf;

/// The way out. Clones share connections and cookies.
#[derive(Clone)]
pub struct Upstream {
    pub(crate) inner: Arc<Inner>,
    /// The way that this handle's calls take, relays' apart.
    pub(crate) way: Way,
}

pub(crate) struct Inner {
    config: Config,
    /// Who we say we are now.
    profile: ArcSwap<Profile>,
    places: Places,
    pub(crate) ways: Ways,
    jars: Jars,
    pub(crate) shelf: Shelf,
    relays: Relays,
    /// Hears what time it is at the backend.
    clock: OnceLock<Ear>,
}

/// Who hears it, and our clock.
struct Ear {
    now: Box<dyn Fn() -> Millis + Send + Sync>,
    /// The date, and when it was asked for.
    hear: Box<dyn Fn(Millis, Millis) + Send + Sync>,
}

/// One request, ready to go.
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Upstream {
    /// Checks the settings and builds the client; opens nothing and reads no certificate store yet.
    pub fn new(config: Config) -> Result<Self, BuildError> {
        let places = Places::new(&config)?;
        config.profile.check().map_err(BuildError::Profile)?;
        let roots = Roots::new(config.ca_bundle.as_deref(), config.force_http11)?;
        let ways = Ways::new(&config, Arc::clone(&roots))?;
        let jars = Jars::new(&config.base_url);
        let relays = Relays::new(&config, roots);
        let profile = ArcSwap::from_pointee(config.profile.clone());
        let shelf = Shelf::default();
        let inner = Arc::new(Inner { config, profile, places, ways, jars, shelf, relays, clock: OnceLock::new() });
        Ok(Self { inner, way: Way::global() })
    }

    /// Its settings.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// Who we say we are now. A call takes it once, so that all its headers are of one identity.
    pub fn profile(&self) -> Arc<Profile> {
        self.inner.profile.load_full()
    }

    /// Says from the next call on that we are somebody else, on this handle and all its clones.
    ///
    /// # Errors
    /// A value that cannot be a header; nothing is changed then.
    pub fn rename(&self, profile: Profile) -> Result<(), BuildError> {
        profile.check().map_err(BuildError::Profile)?;
        self.inner.profile.store(Arc::new(profile));
        Ok(())
    }

    /// The calls of relays.
    pub fn relays(&self) -> &Relays {
        &self.inner.relays
    }

    /// The account's persistable cookies; `None` when it has none.
    pub fn cookies(&self, id: &AccountId) -> Option<Secret> {
        self.inner.jars.save(id)
    }

    /// Restores what [`Upstream::cookies`] gave; what cannot be read is dropped.
    pub fn set_cookies(&self, id: &AccountId, saved: &Secret) {
        self.inner.jars.restore(id, saved);
    }

    /// The account's cookies as one header's text; `None` when it has none.
    pub fn cookie_header(&self, id: &AccountId) -> Option<Secret> {
        self.inner.jars.header(id, &self.inner.config.base_url)
    }

    /// Puts cookies in place of the account's own, under the same allow-list as the backend's; how many were kept.
    pub fn put_cookies(&self, id: &AccountId, pairs: &[(String, Secret)]) -> usize {
        self.inner.jars.put(id, pairs)
    }

    /// Forgets the account's cookies and gives up its sockets.
    pub fn forget(&self, id: &AccountId) {
        self.inner.jars.forget(id);
        self.inner.shelf.forget(id);
    }

    /// Lets `hear` know what time it is at the backend, by the `Date` of each of its answers, and when by the clock `now` it was asked.
    /// The first caller is heard.
    pub fn hear_date(
        &self,
        now: impl Fn() -> Millis + Send + Sync + 'static,
        hear: impl Fn(Millis, Millis) + Send + Sync + 'static,
    ) {
        let _ = self.inner.clock.set(Ear { now: Box::new(now), hear: Box::new(hear) });
    }

    /// Gives up the connections that wait for another request: after a sleep of this machine their other ends are gone, and
    /// only the next request would find out. Exchanges under way keep theirs.
    pub fn redial(&self) {
        self.inner.ways.redial();
        self.inner.shelf.redial();
        self.inner.relays.redial();
    }

    /// The same backend by another way.
    #[must_use]
    pub fn over(&self, way: Way) -> Self {
        Self { inner: Arc::clone(&self.inner), way }
    }

    /// Gives up the connections of proxies that are not among these any more.
    pub fn retain(&self, proxies: &[Proxy]) {
        self.inner.ways.retain(proxies);
    }

    /// Tells whoever listens what became of a call.
    pub(crate) fn hear(&self, outcome: Result<(), &Fault>) {
        if let Some(tell) = &self.way.tell {
            tell(outcome);
        }
    }

    /// A fault of this way, with the proxy's name where it is about the proxy.
    pub(crate) fn name(&self, fault: Fault) -> Fault {
        self.way.name(fault, self.config().proxy.as_ref())
    }

    pub(crate) fn jars(&self) -> &Jars {
        &self.inner.jars
    }

    pub(crate) fn places(&self) -> &Places {
        &self.inner.places
    }

    /// Sends and waits for the headers, at most `headers`. Any status but 3xx is an answer; 304 is one too.
    pub(crate) async fn send(&self, ask: Ask) -> Result<Answer, Fault> {
        self.send_within(ask, self.config().timeouts.headers).await
    }

    /// As [`Self::send`], with a limit of its own for the headers.
    pub(crate) async fn send_within(&self, ask: Ask, limit: Duration) -> Result<Answer, Fault> {
        let own = self.inner.places.own(&ask.url);
        let asked = self.inner.clock.get().filter(|_| own).map(|clock| (clock.now)());
        let mut request = reqwest::Request::new(ask.method, ask.url);
        *request.headers_mut() = ask.headers;
        if !ask.body.is_empty() {
            *request.body_mut() = Some(ask.body.into());
        }
        let sent = match self.inner.ways.lanes(&self.way) {
            Ok(lanes) => exchange(&lanes, request, Fault::after(limit)).await,
            Err(fault) => Err(fault),
        };
        let sent = sent.map_err(|fault| self.name(fault));
        self.hear(sent.as_ref().map(|_| ()));
        if let (Some(asked), Ok(answer)) = (asked, &sent) {
            self.hear_clock(&answer.headers, asked);
        }
        sent
    }

    pub(crate) fn hear_clock(&self, headers: &HeaderMap, asked: Millis) {
        let date = headers.get(header::DATE).and_then(|value| pool::date::read(value.to_str().ok()?));
        if let (Some(clock), Some(date)) = (self.inner.clock.get(), date) {
            (clock.hear)(date, asked);
        }
    }
}
