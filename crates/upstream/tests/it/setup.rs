//! Settings and accounts of the tests.

use std::time::Duration;

use pool::{Account, AccountId, Millis, Secret, Status};
use upstream::{Answer, CallFacts, Config, Fault, ModelCall, Timeouts, Upstream};

use crate::recorder::Recorder;
use crate::recordings;

pub(crate) const TOKEN: &str = "at_canary_token_4f1c";

/// A proxy of the pool that may be on this machine.
pub(crate) fn proxy(url: &str) -> pool::egress::Proxy {
    pool::egress::Proxy {
        id: pool::egress::ProxyId("p".to_owned()),
        name: "mine".to_owned(),
        address: pool::egress::Address::read(url).unwrap(),
        enabled: true,
        allow_private: true,
        health: None,
        created: Millis(0),
    }
}

pub(crate) fn account(upstream_id: &str) -> Account {
    Account {
        id: AccountId(format!("id-{upstream_id}")),
        label: String::new(),
        email: String::new(),
        plan: String::new(),
        upstream_id: upstream_id.to_owned(),
        user: String::new(),
        fedramp: false,
        status: Status::Active,
        quota: pool::quota::Quota::default(),
        limits: pool::AccountLimits::default(),
        created: Millis(0),
        version: 0,
        status_rev: 0,
    }
}

/// Both base URLs at one server.
pub(crate) fn config(recorder: &Recorder) -> Config {
    Config {
        base_url: recorder.base().parse().unwrap(),
        auth_url: format!("http://{}", recorder.addr).parse().unwrap(),
        ..Config::default()
    }
}

/// Time limits that are short enough for a test.
pub(crate) fn short() -> Timeouts {
    let short = Duration::from_millis(150);
    let timeouts = Timeouts { connect: short, handshake: short, headers: short, token: short, ..Timeouts::default() };
    Timeouts { small: short, service: short, ..timeouts }
}

pub(crate) fn facts() -> CallFacts<'static> {
    CallFacts { model: "gpt-6-sol", session: "session-1", thread: "thread-1", ..CallFacts::default() }
}

/// A plain model call.
pub(crate) async fn call(upstream: &Upstream) -> Result<Answer, Fault> {
    let (account, access) = (account("acct-1"), Secret::from(TOKEN));
    let model_call = ModelCall { account: &account, access: &access, body: "{}".into(), facts: facts(), socket: None };
    crate::recorder::with_timeout(Box::pin(upstream.responses(model_call))).await
}

/// Checks that a fault shows neither the token nor an address.
pub(crate) fn assert_no_secrets(fault: &Fault) {
    let shown = format!("{fault} {fault:?}");
    assert!(!shown.contains(TOKEN) && !shown.contains("Bearer") && !shown.contains("://"), "{shown}");
}

/// One capture of the official client.
pub(crate) fn capture(name: &str) -> Option<serde_json::Value> {
    let path = recordings::shared()?.join("captures").join(name);
    Some(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
}
