//! Inbound traffic: listeners, guard, authentication, router and the protocol edges. This crate calls the engine only, and never uses SQL
//! or the HTTP client.
//!
//! ```text
//! socket -> listen (caps, timers) -> HeadFilter -> hyper -> service: guard -> router -> auth -> edge | admin -> engine
//! engine's stream -> response::Body -> hyper -> HeadFilter (write timer) -> socket
//! ```

mod admin;
mod app;
mod auth;
mod bind;
mod body;
mod client_info;
mod connection;
mod cors;
mod edge;
mod failure;
mod forwarded;
mod guard;
mod listen;
mod memory;
mod ollama;
#[cfg(any(test, feature = "describe"))]
mod openapi;
#[cfg_attr(not(any(test, feature = "describe")), expect(dead_code, reason = "only the document reads them"))]
mod operation;
#[doc(hidden)]
pub mod probe;
mod query;
mod response;
mod route;
mod router;
mod server;
mod service;
mod settings;

pub use admin::openapi::OPENAPI;
pub use auth::Class;
pub use bind::BindError;
pub use guard::Counters;
#[cfg(any(test, feature = "describe"))]
pub use openapi::openapi;
pub use route::Route;
pub use router::{ollama_routes, routes};
pub use server::{Listeners, Server};
pub use settings::{ClientKeyStrength, Limits, Network, Ollama, Settings, hosts};
