//! The backend as a client meets it: over sockets.

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
