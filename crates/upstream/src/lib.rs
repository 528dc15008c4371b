//! Everything outbound: the Codex backend, its token endpoint, the login's callback, relays.
//!
//! One client, one TLS stack, one set of errors ([`Fault`], [`Cut`]). Choosing accounts, retries and reading answers belong to
//! `pool` and `engine`.

mod account_api;
mod anonymous;
pub mod authfile;
mod client;
mod codex;
mod config;
mod cookies;
mod egress;
mod fault;
pub mod jwt;
pub mod linked;
pub mod oauth;
pub mod private_file;
pub mod profile;
pub mod relay;
mod response;
mod service_call;
pub mod transfer;
mod transport;
mod websocket;

pub use account_api::{BufferedAnswer, ModelsAnswer};
pub use anonymous::EchoReply;
pub use client::Upstream;
pub use codex::turn::{TurnFacts, TurnKind, TurnMetadata};
pub use codex::{CallFacts, ModelCall, PASSED_HEADERS, SocketOptions};
pub use config::{BuildError, CLIENT_ID, Config, Timeouts};
pub use egress::ResolvedEgress;
pub use fault::{Fault, FaultKind, Sent};
pub use profile::Profile;
pub use relay::RelayClient;
pub use response::{Answer, Body, BodyReadError};
pub use service_call::{ServiceCall, TURN_HEADERS};
