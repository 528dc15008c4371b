//! The server over real sockets, with the raw bytes that clients, browsers and attackers send. The engine is a real one on a
//! throw-away store without accounts; where a model call is meant to arrive, it answers 503.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bodies;
mod connections;
mod driveby;
mod gateway;
mod hosts;
mod matrix;
mod paths;
mod smuggling;
mod streams;
mod wire;
