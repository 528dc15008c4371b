//! The state that all requests of a server share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use engine::Engine;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::body::BodyBudget;
use crate::connection::state::{ConnectionState, ListenerKind};
use crate::forwarded::ClientRequests;
use crate::guard::Counters;
use crate::ollama::OllamaListener;
use crate::settings::{Limits, Settings};

/// The state shared by all requests.
pub(crate) struct App {
    pub(crate) engine: Engine,
    pub(crate) settings: Settings,
    pub(crate) limits: Arc<Limits>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) budget: BodyBudget,
    /// One permit for each reply in progress.
    pub(crate) replies: Arc<Semaphore>,
    /// The requests in progress of each client behind a trusted proxy.
    pub(crate) client_requests: Arc<ClientRequests>,
    /// One permit for each WebSocket.
    pub(crate) sockets: Arc<Semaphore>,
    pub(crate) started: Instant,
    /// Whether `/readyz` reports that new requests should go to another node.
    pub(crate) draining: AtomicBool,
    /// Cancelled when the server begins to stop.
    pub(crate) closing: CancellationToken,
    /// The state of the Ollama listener.
    pub(crate) ollama: OllamaListener,
    /// Cancelled at the end of the drain; requests without a response then get a failure.
    pub(crate) abort: CancellationToken,
}

impl App {
    /// Creates the state of a server.
    pub(crate) fn new(settings: Settings, engine: Engine, ollama: OllamaListener) -> Self {
        Self {
            engine,
            counters: Arc::default(),
            limits: Arc::new(settings.limits.clone()),
            budget: BodyBudget::new(settings.limits.buffered),
            replies: Arc::new(Semaphore::new(settings.limits.replies)),
            client_requests: Arc::default(),
            sockets: Arc::new(Semaphore::new(settings.limits.sockets)),
            started: Instant::now(),
            draining: AtomicBool::new(false),
            closing: CancellationToken::new(),
            ollama,
            abort: CancellationToken::new(),
            settings,
        }
    }

    /// Makes `/readyz` report that new requests should go to another node.
    pub(crate) fn set_not_ready(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Ends streams that would never end by themselves.
    pub(crate) fn close_endless_streams(&self) {
        self.closing.cancel();
    }
}

/// The key id of callers without a key where the data plane is open on loopback.
pub(crate) const KEYLESS_API: &str = "open";
/// The key id of callers without a key on the Ollama listener.
pub(crate) const KEYLESS_OLLAMA: &str = "ollama";

/// The key id of callers without a key; `None` where a key is required.
pub(crate) fn keyless(app: &App, connection: &ConnectionState) -> Option<&'static str> {
    match connection.listener {
        _ if !connection.loopback => None,
        ListenerKind::Ollama => Some(KEYLESS_OLLAMA),
        ListenerKind::Gateway => (!app.settings.require_key).then_some(KEYLESS_API),
    }
}
