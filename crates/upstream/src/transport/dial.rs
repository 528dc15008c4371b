//! Limits and reports the stages of opening a connection: lookup and TCP (or the proxy), then TLS.
//!
//! The HTTP client has one timer and one kind of error for all stages. This layer around its connector has a timer per stage and reports
//! the stage that failed. The TLS session store tells the layer when a handshake begins: rustls asks the store for a ticket at the start
//! of each handshake, on the connecting task.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use rustls::NamedGroup;
use rustls::client::{ClientSessionMemoryCache, ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;
use tokio::time::{Instant, sleep};
use tower::{Layer, Service};
use url::Url;

use crate::config::Timeouts;
use crate::fault::{FaultKind, find_source, root_cause};

/// An unknown authority is nearly always a company's TLS inspection.
const HINT: &str = "; hint: if a proxy of your network inspects TLS, name its certificate in upstream.ca_bundle";

type BoxError = Box<dyn std::error::Error + Send + Sync>;

tokio::task_local! {
    static PROGRESS: Arc<HandshakeProgress>;
}

/// When the handshakes of one connection began; an https proxy makes two.
#[derive(Default)]
struct HandshakeProgress(Mutex<Vec<Instant>>);

/// A connection that could not be opened: no part of a request was sent.
#[derive(Debug)]
pub(crate) struct DialError {
    /// `Connect`, `Proxy` or `Tls`.
    pub(crate) kind: FaultKind,
    /// `None`: the stage took too long.
    source: Option<BoxError>,
}

impl DialError {
    /// Logs the host and port. Clients only get the error: a relay's address is for its owner.
    pub(crate) fn log(&self, url: &Url) {
        let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default());
        tracing::warn!(host, port, "no connection: {self}");
    }
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.kind {
            FaultKind::Tls => "TLS handshake",
            FaultKind::Proxy => "connecting through the proxy",
            _ => "connecting",
        };
        match &self.source {
            Some(source) => {
                let cause = root_cause(source.as_ref());
                let hint = if cause.contains("UnknownIssuer") { HINT } else { "" };
                write!(f, "{stage} failed: {cause}{hint}")
            }
            None => write!(f, "{stage} took too long"),
        }
    }
}

impl std::error::Error for DialError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// The time limits of each stage of opening a connection.
#[derive(Clone, Copy)]
pub(crate) struct DialLayer {
    connect: Duration,
    handshake: Duration,
    /// Handshakes before the one with the backend: 1 behind an https proxy.
    earlier_handshakes: usize,
    proxied: bool,
}

impl DialLayer {
    pub(crate) fn new(timeouts: &Timeouts, proxy: Option<&Url>) -> Self {
        let before = usize::from(proxy.is_some_and(|url| url.scheme() == "https"));
        Self {
            connect: timeouts.connect,
            handshake: timeouts.handshake,
            earlier_handshakes: before,
            proxied: proxy.is_some(),
        }
    }

    fn kind(self, progress: &HandshakeProgress) -> FaultKind {
        match (progress.0.lock().len() > self.earlier_handshakes, self.proxied) {
            (true, _) => FaultKind::Tls,
            (false, true) => FaultKind::Proxy,
            (false, false) => FaultKind::Connect,
        }
    }

    /// The current deadline: each handshake has its own time limit from its beginning.
    fn deadline(self, start: Instant, progress: &HandshakeProgress) -> Instant {
        let begun = progress.0.lock();
        begun.last().map_or(start + self.connect, |began| *began + self.handshake)
    }

    /// Runs `work`, which opens a connection, within the limits of the stages.
    pub(super) async fn run<T>(self, work: impl Future<Output = Result<T, BoxError>>) -> Result<T, BoxError> {
        let start = Instant::now();
        let progress = Arc::new(HandshakeProgress::default());
        let mut work = pin!(PROGRESS.scope(Arc::clone(&progress), work));
        let mut timer = pin!(sleep(self.connect));
        poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                let named = |source: BoxError| {
                    let kind = if self.proxied && is_no_tls(source.as_ref()) {
                        FaultKind::Proxy
                    } else {
                        self.kind(&progress)
                    };
                    DialError { kind, source: Some(source) }.into()
                };
                return Poll::Ready(done.map_err(named));
            }
            // The work may just have begun a handshake.
            let deadline = self.deadline(start, &progress);
            if timer.deadline() != deadline {
                timer.as_mut().reset(deadline);
            }
            timer.as_mut().poll(cx).map(|()| Err(DialError { kind: self.kind(&progress), source: None }.into()))
        })
        .await
    }
}

/// Whether the peer does not speak TLS: a proxy that accepts CONNECT and then sends its own page.
fn is_no_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    matches!(find_source::<rustls::Error>(error), Some(rustls::Error::InvalidMessage(_)))
}

impl<S> Layer<S> for DialLayer {
    type Service = DialService<S>;

    fn layer(&self, inner: S) -> DialService<S> {
        DialService { inner, dial: *self }
    }
}

/// The connector with its timers.
#[derive(Clone)]
pub(crate) struct DialService<S> {
    inner: S,
    dial: DialLayer,
}

impl<S, R> Service<R> for DialService<S>
where
    S: Service<R, Error = BoxError>,
    S::Future: Send + 'static,
    S::Response: 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        Box::pin(self.dial.run(self.inner.call(request)))
    }
}

/// rustls' session cache, which also notifies [`DialLayer`] when a handshake begins.
#[derive(Debug)]
pub(crate) struct SessionCache(ClientSessionMemoryCache);

impl SessionCache {
    pub(crate) fn new() -> Self {
        // 256 is rustls' own default.
        Self(ClientSessionMemoryCache::new(256))
    }
}

impl ClientSessionStore for SessionCache {
    fn set_kx_hint(&self, server_name: ServerName<'static>, group: NamedGroup) {
        self.0.set_kx_hint(server_name, group);
    }

    fn kx_hint(&self, server_name: &ServerName<'_>) -> Option<NamedGroup> {
        self.0.kx_hint(server_name)
    }

    fn set_tls12_session(&self, server_name: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.0.set_tls12_session(server_name, value);
    }

    fn tls12_session(&self, server_name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.0.tls12_session(server_name)
    }

    fn remove_tls12_session(&self, server_name: &ServerName<'static>) {
        self.0.remove_tls12_session(server_name);
    }

    fn insert_tls13_ticket(&self, server_name: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.0.insert_tls13_ticket(server_name, value);
    }

    fn take_tls13_ticket(&self, server_name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        // Outside of a dial (a test's own client) there is no progress to update.
        let _ = PROGRESS.try_with(|progress| progress.0.lock().push(Instant::now()));
        self.0.take_tls13_ticket(server_name)
    }
}
