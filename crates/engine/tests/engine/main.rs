//! The engine against the offline backend, over real sockets, without a server in front.

mod alerts;
mod bench;
mod cancel;
mod choice;
mod client_versions;
mod clocks;
mod commit;
mod compressed;
mod defaults;
mod egress;
mod fallback;
mod forward;
mod http2;
mod identity;
mod imports;
mod large;
mod learned;
mod limits;
mod linked;
mod memory;
mod models;
mod quota;
mod refresh;
mod relays;
#[cfg(feature = "failpoints")]
mod reload;
mod resent;
mod retry;
mod rules;
mod scenario;
mod sockets;
mod storm;
mod stream;
mod tls;
mod usage;
