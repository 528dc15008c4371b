//! One home, and the values that every test writes into it.

use std::borrow::Cow;
use std::path::Path;

use pool::keys::{Digest, Key, KeyKind};
use pool::{Millis, Secret, Tokens};
use store::{
    NewAccount, NewProxy, NewRelay, OpenError, Options, Outcome, RelayModels, Store, StoredModels, TokenOrigin,
    TokenUsage, UsageRow,
};
use uuid::Uuid;

pub(crate) const NOW: Millis = Millis(1_800_000_000_000);

pub(crate) async fn open(home: &Path) -> Result<Store, OpenError> {
    Store::open(Options { home: home.to_path_buf(), ..Options::default() }).await
}

pub(crate) fn tokens(name: &str, refreshed: i64) -> Tokens {
    Tokens {
        access: Secret::new(format!("access-{name}")),
        refresh: Some(Secret::new(format!("refresh-{name}"))),
        id: None,
        expires: Some(NOW.plus(refreshed)),
        refreshed: NOW.plus(refreshed),
    }
}

pub(crate) fn account(name: &str, tokens: Tokens) -> NewAccount {
    NewAccount {
        label: name.into(),
        email: String::new(),
        plan: String::new(),
        upstream_id: name.into(),
        user: String::new(),
        fedramp: false,
        tokens,
        origin: TokenOrigin::Import,
        egress: None,
        status: pool::Status::Active,
    }
}

pub(crate) fn key(id: &str) -> Key {
    Key {
        id: id.into(),
        kind: KeyKind::Client,
        name: String::new(),
        digest: Digest([7; 32]),
        scopes: "".parse().unwrap(),
        created: NOW,
        expires: None,
        revoked: None,
        tools: None,
    }
}

pub(crate) fn models(version: &str) -> StoredModels {
    StoredModels { etag: None, client_version: version.into(), body: "[]".into(), fetched: NOW }
}

pub(crate) fn relay(name: &str) -> NewRelay {
    NewRelay {
        id: None,
        name: name.into(),
        base_url: "https://relay.example/v1".into(),
        wire: pool::relay::Wire::Chat,
        models: Vec::new(),
        prefix: String::new(),
        capabilities: pool::relay::Capabilities::default(),
        allow_private: false,
        enabled: true,
        weight: 1,
        key: Some(Secret::from("relay key")),
    }
}

pub(crate) fn proxy(name: &str) -> NewProxy {
    NewProxy {
        name: name.into(),
        address: pool::egress::Address::read("http://user:pass@proxy.example:3128").unwrap(),
        enabled: true,
        allow_private: false,
    }
}

pub(crate) fn relay_models() -> RelayModels {
    RelayModels { body: "{\"models\":[]}".into(), fetched: NOW }
}

pub(crate) fn usage(id: &str) -> UsageRow {
    UsageRow {
        id: Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_bytes()),
        request_id: id.into(),
        at: NOW,
        key: String::new(),
        account: None,
        dialect: Cow::Borrowed("chat"),
        model: String::new(),
        status: 200,
        outcome: Outcome::Completed,
        tokens: TokenUsage::default(),
        attempts: 1,
        ttft_ms: None,
        duration_ms: 1,
        stream: false,
        notes: String::new(),
    }
}
