//! Relays: what is sent in each protocol, and what is never sent.

mod calls;
mod content_encoding;
mod forward;
mod list;
mod notify;
mod probe;
mod server;
mod targets;

use pool::relay::{Capabilities, Relay, Wire};
use pool::{AccountId, Millis, Secret, Status};
use upstream::{Config, Timeouts, Upstream};

/// A relay at `base_url`, allowed on private addresses.
pub(crate) fn relay(wire: Wire, base_url: &str) -> Relay {
    Relay {
        id: AccountId("relay".into()),
        name: "relay".into(),
        base_url: base_url.into(),
        wire,
        models: Vec::new(),
        prefix: String::new(),
        capabilities: Capabilities::ALL,
        allow_private: true,
        enabled: true,
        weight: 1,
        status: Status::Active,
        created: Millis(0),
        version: 1,
    }
}

fn key() -> Secret {
    Secret::from(KEY)
}

const KEY: &str = "sk-relay-canary-9d2e";

pub(crate) fn upstream() -> Upstream {
    with(Timeouts::default())
}

fn with(timeouts: Timeouts) -> Upstream {
    Upstream::new(Config { timeouts, ..Config::default() }).unwrap()
}

/// No error text holds the key or an address.
fn discreet(shown: &str) {
    assert!(![KEY, "127.0.0.1", "relay.example", "//localhost"].iter().any(|text| shown.contains(text)), "{shown}");
}
