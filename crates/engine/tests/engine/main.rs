//! The engine against the offline backend, over real sockets, without a server in front.

mod alerts;
mod bench;
mod cancel;
mod choice;
mod clocks;
mod commit;
mod compressed;
mod egress;
mod fallback;
mod forward;
mod identity;
mod imports;
mod learned;
mod limits;
mod linked;
mod models;
mod quota;
mod refresh;
mod relays;
mod retry;
mod rules;
mod scenario;
mod sockets;
mod storm;
mod stream;
mod usage;
