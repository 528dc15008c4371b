//! The server over real sockets, with the raw bytes that clients, browsers and attackers send. The engine is a real one on a throw-away
//! store. Where no model call should arrive, the engine has no accounts and answers 503.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod accounts;
mod arriving;
mod bodies;
mod connections;
mod counts;
mod described;
mod driveby;
mod edges;
mod gateway;
mod hosts;
mod learned;
mod leaving;
mod lists;
mod matrix;
mod native;
mod nodes;
mod official;
mod ollama;
mod panics;
mod paths;
mod protocols;
mod proxies;
mod quota;
#[path = "../../../../tests/recordings.rs"]
mod recordings;
mod relays;
mod rest;
mod retired;
mod smuggling;
mod socket;
mod sockets;
mod stored;
mod streams;
mod wire;
