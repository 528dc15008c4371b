//! Compares the official client with an API key with the same call to a relay. A relay gets the gateway's own name and no part of the
//! Codex identity (see `upstream::relay`); the parts that the protocol requires are equal.

use pool::Secret;
use pool::relay::Wire;
use proto::Dialect;
use proto::dialect::{RelayTarget, Target, Written};
use upstream::relay::RelayCall;

use super::{How, of};
use crate::recorder::{Recorder, Reply, full};
use crate::relay::{relay, upstream};

/// The headers of the Codex identity, which a relay never gets.
const OURS: [&str; 8] = [
    "version", "x-codex-beta-features", "x-codex-window-id", "x-codex-turn-metadata", "x-client-request-id",
    "session-id", "thread-id", "originator",
];

#[tokio::test]
async fn a_relay_is_asked_as_an_api_key_asks() {
    for capture in of(How::Relay) {
        let body = &capture.value["body"];
        let (request, _) = Dialect::Responses.read_request(body.to_string().into()).unwrap();
        let model = body["model"].as_str().unwrap();
        let target = Target::Relay(RelayTarget { model: model.to_owned(), ..RelayTarget::default() });
        let Written { body: written, notes, .. } = proto::Wire::Responses.write_request(&request, &target).unwrap();
        assert!(notes.is_empty(), "{notes:?}");
        let mut server = Recorder::always(Reply::Keep(full("200 OK", "", ""))).await;
        let relay = relay(Wire::Responses, &format!("http://{}/v1", server.addr));
        let key = Secret::from("sk-fake-key");
        let call = RelayCall { relay: &relay, key: &key, model, body: written, client_headers: &[] };
        upstream().relays().call(call).await.unwrap();
        let received = server.request().await;
        assert_eq!(received.line, capture.line());
        assert_eq!(String::from_utf8(received.body.clone()).unwrap(), capture.body());
        let sorted = |mut pairs: Vec<(String, String)>| {
            pairs.retain(|(name, _)| name != "user-agent" && !OURS.contains(&&**name));
            pairs.sort_unstable();
            pairs
        };
        assert_eq!(sorted(capture.sent(&received)), sorted(capture.headers()));
        assert!(OURS.iter().all(|name| capture.header(name).is_some() && received.header(name).is_none()));
        assert!(received.header("user-agent").unwrap().starts_with("polygate/"));
    }
}
