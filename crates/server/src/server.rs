//! The public interface of the server.

use std::net::SocketAddr;
use std::sync::Arc;

use engine::Engine;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::bind::{self, BindError};
use crate::connection::state::ListenerKind;
use crate::guard::Counters;
use crate::listen;
use crate::ollama::OllamaListener;
use crate::settings::Settings;

/// Open listeners that are not served yet; clients that connect wait.
pub struct Listeners {
    settings: Settings,
    ollama: OllamaListener,
    open: Vec<(TcpListener, ListenerKind)>,
    addresses: Vec<SocketAddr>,
}

impl Listeners {
    /// Opens the listeners. Must be called inside a tokio runtime. Errors: see [`BindError`]: an address that is in use, or one that would
    /// be unsafe. An Ollama address that is in use is not an error: it is logged, and `GET /admin/ollama-status` reports it.
    pub fn open(settings: Settings) -> Result<Self, BindError> {
        let listeners = bind::listen(&settings)?;
        let addresses = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
        let (ollama, local) = OllamaListener::open(&settings)?;
        let mut faces: Vec<_> = listeners.into_iter().map(|listener| (listener, ListenerKind::Gateway)).collect();
        faces.extend(local.into_iter().map(|listener| (listener, ListenerKind::Ollama)));
        Ok(Self { settings, ollama, open: faces, addresses })
    }

    /// The addresses of the listeners, all with the same port.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The addresses of the Ollama listener; empty if the Ollama API will not be served.
    pub fn ollama_addresses(&self) -> &[SocketAddr] {
        self.ollama.addresses()
    }

    /// A server for these listeners.
    pub fn serve(self, engine: Engine) -> Server {
        let Self { settings, ollama, open: listeners, addresses } = self;
        Server { app: Arc::new(App::new(settings, engine, ollama)), listeners, addresses }
    }
}

/// A server with open listeners that does not accept yet.
pub struct Server {
    app: Arc<App>,
    listeners: Vec<(TcpListener, ListenerKind)>,
    addresses: Vec<SocketAddr>,
}

impl Server {
    /// Opens the listeners and serves them with a running engine. Must be called inside a tokio runtime. Errors: as [`Listeners::open`].
    pub fn bind(settings: Settings, engine: Engine) -> Result<Self, BindError> {
        Ok(Listeners::open(settings)?.serve(engine))
    }

    /// The addresses of the listeners, all with the same port.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The addresses of the Ollama listener; empty if the Ollama API is not served.
    pub fn ollama_addresses(&self) -> &[SocketAddr] {
        self.app.ollama.addresses()
    }

    /// The requests that the guard rejected.
    pub fn counters(&self) -> Arc<Counters> {
        self.app.counters.clone()
    }

    /// Serves until `shutdown`, then drains: listeners close at once, replies in progress may finish within the drain limit, and
    /// the remaining ones end with their protocol's failure.
    pub async fn run(self, shutdown: CancellationToken) {
        self.run_until(shutdown, CancellationToken::new()).await;
    }

    /// As [`Server::run`]; `now` cuts the drain short.
    pub async fn run_until(self, shutdown: CancellationToken, now: CancellationToken) {
        listen::run(self.app, self.listeners, shutdown, now).await;
    }
}
