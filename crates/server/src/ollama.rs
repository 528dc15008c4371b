//! The state of the Ollama listener. A port that another program uses, most likely Ollama itself, does not prevent the gateway from
//! starting.

use std::net::SocketAddr;
use std::time::SystemTime;

use tokio::net::TcpListener;

use crate::bind::{self, BindError};
use crate::settings::Settings;

/// The state of the Ollama listener.
#[derive(Debug)]
pub(crate) enum OllamaListener {
    /// The listener is switched off.
    Off,
    /// The listener is open.
    Running {
        /// The listener's addresses, at least one.
        addresses: Vec<SocketAddr>,
        /// When the listener was opened.
        since: SystemTime,
    },
    /// The listener could not be opened, for this reason.
    Failed(String),
}

impl OllamaListener {
    /// Opens the listener if the settings enable it. Errors: an address that would be unsafe.
    pub(crate) fn open(settings: &Settings) -> Result<(Self, Vec<TcpListener>), BindError> {
        if !settings.ollama.enabled {
            return Ok((Self::Off, Vec::new()));
        }
        bind::check_ollama(&settings.ollama, settings.keys)?;
        let listeners = match bind::listen_ollama(&settings.ollama) {
            Ok(listeners) => listeners,
            Err(error) => {
                let why = message(&error);
                tracing::warn!("the Ollama API is not served: {why}");
                return Ok((Self::Failed(why), Vec::new()));
            }
        };
        let addresses: Vec<_> = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
        for address in addresses.iter().filter(|address| !address.ip().to_canonical().is_loopback()) {
            tracing::warn!("the Ollama API listens on {address}, beyond this machine; clients there need a client key");
        }
        Ok((Self::Running { addresses, since: SystemTime::now() }, listeners))
    }

    /// The listener's addresses; empty if the listener is not open.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        match self {
            Self::Running { addresses, .. } => addresses,
            Self::Off | Self::Failed(_) => &[],
        }
    }
}

/// The error, with the names of the Ollama settings.
fn message(error: &BindError) -> String {
    match error {
        BindError::InUse(address) => format!(
            "{address} is in use by another program, perhaps Ollama itself; hint: stop it or choose another ollama.port"
        ),
        BindError::Io { address, source } => format!("cannot listen on {address}: {source}"),
        other => other.to_string(),
    }
}
