//! The way in: listeners, guard, key check, router and the protocol edges. Talks to the engine only; never sees SQL or the
//! HTTP client.
//!
//! ```text
//! socket -> listen (caps, timers) -> gate (head check) -> hyper -> service: guard -> route -> auth -> edge | admin -> engine
//! engine's stream -> reply::Body -> hyper -> gate (write timer) -> socket
//! ```

mod admin;
mod auth;
mod bind;
mod body;
mod client;
mod cors;
mod edge;
mod forwarded;
mod guard;
mod listen;
mod memory;
mod ollama;
mod openapi;
#[doc(hidden)]
pub mod probe;
mod query;
mod reply;
mod route;
mod server;
mod service;
mod settings;
mod socket;

pub use bind::BindError;
pub use guard::Counters;
pub use openapi::OPENAPI;
#[cfg(any(test, feature = "describe"))]
pub use openapi::openapi;
pub use route::{Class, Route, ollama_routes, routes};
pub use server::{Listeners, Server};
pub use settings::{Keys, Limits, Network, Ollama, Settings, hosts};
