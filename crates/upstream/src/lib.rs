//! Everything that leaves this machine over a socket: the Codex backend, its token endpoint, the login's callback, relays.
//!
//! One client, one TLS stack, one place that says what went wrong on the way ([`Fault`], [`Cut`]). Nothing here chooses an
//! account, retries, or reads what an answer means: that is `pool` and `engine`.

pub mod authfile;
mod body;
mod client;
mod codex;
mod config;
mod cookies;
mod egress;
mod errand;
mod fault;
mod feed;
pub mod jwt;
pub mod linked;
mod meta;
pub mod oauth;
mod offload;
pub mod profile;
mod reach;
pub mod relay;
pub mod transfer;

pub use body::{Body, Cut};
pub use client::Upstream;
pub use codex::turn::{TurnFacts, TurnKind, TurnMetadata};
pub use codex::{Answer, CallFacts, Leg, PASSED, Talk};
pub use config::{BuildError, CLIENT_ID, Config, Timeouts};
pub use egress::{Seen, Way};
pub use errand::{Errand, TURN};
pub use fault::{Fault, FaultKind, Sent};
pub use meta::{ModelsAnswer, Small};
pub use offload::{INLINE, lanes, offload};
pub use profile::Profile;
pub use relay::Relays;
