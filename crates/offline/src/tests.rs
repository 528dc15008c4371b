//! Tests of the backend over TCP connections.

mod answers;
pub(crate) mod client;
mod faults;
mod quota;
mod record;
mod relay;
mod routes;
mod sides;
mod socket;
mod tls;
