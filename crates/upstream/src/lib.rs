//! Everything that leaves this machine over a socket: the Codex backend, its token endpoint, the login's callback, relays.
//!
//! One client, one TLS stack, one place that says what went wrong on the way ([`Fault`], [`Cut`]). Nothing here chooses an
//! account, retries, or reads what an answer means: that is `pool` and `engine`.

pub mod authfile;
mod client;
mod codex;
mod config;
mod cookies;
mod echo;
mod egress;
mod errand;
mod fault;
mod feed;
pub mod jwt;
pub mod linked;
mod meta;
pub mod oauth;
pub mod profile;
mod reach;
pub mod relay;
mod response;
pub mod transfer;
mod transport;
mod websocket;

pub use client::Upstream;
pub use codex::turn::{TurnFacts, TurnKind, TurnMetadata};
pub use codex::{CallFacts, Leg, PASSED, Talk};
pub use config::{BuildError, CLIENT_ID, Config, Timeouts};
pub use echo::Seen;
pub use egress::Way;
pub use errand::{Errand, TURN};
pub use fault::{Fault, FaultKind, Sent};
pub use meta::{ModelsAnswer, Small};
pub use profile::Profile;
pub use relay::Relays;
pub use response::{Answer, Body, Cut};
pub use wire_body::{INLINE, lanes, offload};
