//! The engine against the offline backend, over real sockets, without a server in front.

mod alerts;
mod bench;
mod cancel;
mod choice;
mod commit;
mod egress;
mod forward;
mod imports;
mod limits;
mod linked;
mod models;
mod quota;
mod refresh;
mod relays;
mod retry;
mod stream;
mod usage;
