//! Embeddings, audio and images: handed on, and the answer handed back.

use bytes::{Bytes, BytesMut};
use engine::{BodyFate, Form, ForwardBody, ForwardRequest, ForwardedReply, KeyId, NO_RELAY, Refusal};
use futures_util::StreamExt;
use http::HeaderValue;
use offline::{Endpoint, Plan, Rule, Termination};
use pool::relay::{Capabilities, Service};
use proto::Kind;
use serde_json::{Value, json};
use store::Outcome;

use crate::bench::Bench;
use crate::relays::{CHAT, MESSAGES, RESPONSES, alone, state};

const BOUNDARY: &str = "multipart/form-data; boundary=b";

fn forward_request(service: Service, body: &Value) -> ForwardRequest {
    let model = body["model"].as_str().map(str::to_owned);
    let load = ForwardBody::Json(body.to_string().into());
    let content_type = Some(HeaderValue::from_static("application/json"));
    ForwardRequest {
        service,
        key: KeyId("testkey1".into()),
        request_id: uuid::Uuid::now_v7().to_string(),
        model,
        content_type,
        load,
        turn: Vec::new(),
    }
}

/// A relay that can do everything and lists nothing.
async fn able(bench: &Bench, name: &str) {
    let mut spec = CHAT.spec(bench, name);
    spec.models = Vec::new();
    spec.capabilities = Some(Capabilities::ALL);
    bench.engine.relays().add(&spec).await.expect("the relay");
}

/// The whole answer; `Err` when it broke off.
async fn whole(mut delivery: ForwardedReply) -> Result<String, engine::BrokenReply> {
    let mut all = BytesMut::new();
    while let Some(piece) = std::future::poll_fn(|cx| delivery.poll_bytes(cx)).await {
        all.extend_from_slice(&piece?);
    }
    Ok(String::from_utf8_lossy(&all).into_owned())
}

fn refused(result: Result<ForwardedReply, Refusal>) -> Refusal {
    match result {
        Err(refusal) => refusal,
        Ok(_) => panic!("not refused"),
    }
}

#[tokio::test]
async fn embeddings_come_back_with_their_figures() {
    let bench = alone().await;
    able(&bench, "far").await;
    let body = json!({"input": ["a", "b"], "model": "far:text-embedding-3-small", "own": [1, 2]});
    let delivery = bench.engine.forward_service(forward_request(Service::Embeddings, &body)).await.expect("an answer");
    assert_eq!((delivery.status, delivery.head.relay.as_deref()), (200, Some("far")));
    assert_eq!(delivery.headers["content-type"], "application/json");
    let answer: Value = serde_json::from_str(&whole(delivery).await.expect("whole")).expect("JSON");
    assert_eq!(answer["data"].as_array().map(Vec::len), Some(2));
    let sent = bench.backend.record().requests_to(Endpoint::RelayMedia).next().expect("a call").json();
    assert_eq!((&sent["model"], &sent["own"]), (&json!("text-embedding-3-small"), &json!([1, 2])));
    let row = bench.rows(1).await.remove(0);
    assert_eq!((row.dialect.as_ref(), row.status, row.outcome), ("embeddings", 200, Outcome::Completed));
    assert_eq!((row.tokens.input, row.model.as_str()), (8, "text-embedding-3-small"));
}

#[tokio::test]
async fn a_request_id_that_repeats_costs_no_row() {
    let bench = alone().await;
    able(&bench, "far").await;
    for _ in 0..2 {
        let request =
            forward_request(Service::Embeddings, &json!({"input": "a", "model": "far:text-embedding-3-small"}));
        let request = ForwardRequest { request_id: "constant".to_owned(), ..request };
        whole(bench.engine.forward_service(request).await.expect("an answer")).await.expect("whole");
    }
    let rows = bench.rows(2).await;
    assert!(rows.iter().all(|row| *row.request_id == *"constant") && rows[0].id != rows[1].id, "{rows:?}");
}

#[tokio::test]
async fn speech_and_pictures_come_back_as_they_are() {
    let bench = alone().await;
    able(&bench, "far").await;
    let speech = json!({"model": "gpt-4o-mini-tts", "input": "hello", "voice": "alloy"});
    let delivery = bench.engine.forward_service(forward_request(Service::Speech, &speech)).await.expect("an answer");
    assert_eq!(delivery.headers["content-type"], "audio/mpeg");
    assert!(!whole(delivery).await.expect("whole").is_empty());
    let picture = json!({"model": "gpt-image-1", "prompt": "a cat"});
    let delivery =
        bench.engine.forward_service(forward_request(Service::Generations, &picture)).await.expect("an answer");
    assert!(whole(delivery).await.expect("whole").contains("b64_json"));
    let rows = bench.rows(2).await;
    assert_eq!(rows.iter().map(|row| row.dialect.as_ref()).collect::<Vec<_>>(), ["images", "audio"]);
    assert_eq!((rows[0].tokens.input, rows[0].tokens.output), (8, 16));
}

/// A form whose model is known while its file still arrives; the relay gets its own name of the model.
#[tokio::test]
async fn a_form_is_handed_on_while_it_arrives() {
    let bench = alone().await;
    able(&bench, "far").await;
    let head = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nfar:whisper-1\r\n--b\r\n\
        Content-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\n";
    let at = head.find("far:").expect("the model");
    for length in [None, Some(head.len() as u64 + 3000 + 9)] {
        let pieces = [vec![7_u8; 1000], vec![8; 2000], b"\r\n--b--\r\n".to_vec()];
        let rest = futures_util::stream::iter(pieces.map(|piece| Ok(Bytes::from(piece)))).boxed();
        let form = Form {
            head: Bytes::from_static(head.as_bytes()),
            model: Some(at..at + "far:whisper-1".len()),
            rest: Some(rest),
            length,
            fate: BodyFate::default(),
        };
        let request = ForwardRequest {
            model: Some("far:whisper-1".into()),
            content_type: Some(HeaderValue::from_static(BOUNDARY)),
            load: ForwardBody::Form(form),
            ..forward_request(Service::Transcriptions, &Value::Null)
        };
        let delivery = bench.engine.forward_service(request).await.expect("an answer");
        assert!(whole(delivery).await.expect("whole").contains("I heard 3000 bytes."));
    }
    let record = bench.backend.record();
    let uploads: Vec<_> = record.requests_to(Endpoint::RelayMedia).collect();
    assert!(uploads[0].header("content-length").is_none());
    assert!(uploads[1].header("content-length").is_some_and(|length| length == (head.len() + 3005).to_string()));
}

#[tokio::test]
async fn a_form_that_is_gone_is_not_sent_twice_but_json_is() {
    let bench = alone().await;
    able(&bench, "one").await;
    able(&bench, "two").await;
    let trouble = || Rule::at(Endpoint::RelayMedia, Plan::relay(CHAT.endpoint, 500, "boom"));
    bench.backend.add_rule(trouble());
    let body = json!({"input": "a", "model": "one:text-embedding-3-small"});
    assert_eq!(
        refused(bench.engine.forward_service(forward_request(Service::Embeddings, &body)).await).failure.kind,
        Kind::Upstream
    );
    let mut lists = CHAT.spec(&bench, "lists");
    lists.models = vec!["text-embedding-3-small".into()];
    lists.capabilities = Some(Capabilities::ALL);
    bench.engine.relays().add(&lists).await.expect("the relay");
    lists.name = "lists-too".into();
    bench.engine.relays().add(&lists).await.expect("the relay");
    bench.backend.add_rule(trouble());
    let body = json!({"input": "a", "model": "text-embedding-3-small"});
    let delivery =
        bench.engine.forward_service(forward_request(Service::Embeddings, &body)).await.expect("the other one");
    assert_eq!(delivery.head.attempts, 2);
}

#[tokio::test]
async fn what_nobody_can_do_is_said() {
    let bench = alone().await;
    MESSAGES.join(&bench, "claude").await;
    let body = json!({"input": "a", "model": "x"});
    let refusal = refused(bench.engine.forward_service(forward_request(Service::Embeddings, &body)).await);
    assert_eq!(refusal.failure.code.as_deref(), Some(NO_RELAY));
    assert!(refusal.failure.message.contains("polygate relays add"), "{}", refusal.failure.message);
    able(&bench, "one").await;
    able(&bench, "two").await;
    let refusal = refused(bench.engine.forward_service(forward_request(Service::Embeddings, &body)).await);
    assert_eq!(refusal.failure.kind, Kind::ModelNotFound);
    let refusal =
        refused(bench.engine.forward_service(forward_request(Service::Embeddings, &json!({"input": "a"}))).await);
    assert_eq!((refusal.failure.kind, refusal.failure.param.as_deref()), (Kind::Invalid, Some("model")));
    let rows = bench.rows(3).await;
    assert!(rows.iter().all(|row| row.attempts == 0 && row.outcome == Outcome::Failed), "{rows:?}");
}

#[tokio::test]
async fn refusals_and_cuts_are_told_apart() {
    let bench = alone().await;
    let mut spec = RESPONSES.spec(&bench, "far");
    spec.capabilities = Some(Capabilities::ALL);
    spec.models = Vec::new();
    bench.engine.relays().add(&spec).await.expect("the relay");
    let body = json!({"input": "a", "model": "text-embedding-3-large"});
    let ask = || bench.engine.forward_service(forward_request(Service::Embeddings, &body));
    bench.backend.add_rule(Rule::at(Endpoint::RelayMedia, Plan::relay(RESPONSES.endpoint, 400, "no such size")));
    let refusal = refused(ask().await);
    assert!(refusal.failure.kind == Kind::Invalid && refusal.failure.message.contains("no such size"));
    bench.backend.add_rule(Rule::at(Endpoint::RelayMedia, Plan::auto().cut_byte(40, Termination::Fin)));
    assert_eq!(whole(ask().await.expect("a head")).await, Err(engine::BrokenReply));
    bench.backend.add_rule(Rule::at(Endpoint::RelayMedia, Plan::relay_key(RESPONSES.endpoint)));
    assert_eq!(refused(ask().await).failure.kind, Kind::Upstream);
    assert_eq!(state(&bench, "far").status, "key_refused");
    let rows = bench.rows(3).await;
    assert_eq!(rows.iter().map(|row| row.outcome).collect::<Vec<_>>(), [Outcome::Failed; 3]);
}

/// A restricted key that may not do one thing still does others.
#[tokio::test]
async fn a_missing_scope_ends_no_key() {
    let bench = alone().await;
    able(&bench, "far").await;
    let message = "You have insufficient permissions for this operation. Missing scopes: model.request.";
    let body = json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": null}});
    bench.backend.add_rule(Rule::at(Endpoint::RelayMedia, Plan::json(401, body)));
    let speech = json!({"model": "gpt-4o-mini-tts", "input": "hello", "voice": "alloy"});
    let refusal = refused(bench.engine.forward_service(forward_request(Service::Speech, &speech)).await);
    assert_eq!((refusal.failure.kind, refusal.failure.message.as_str()), (Kind::Forbidden, message));
    assert_eq!(state(&bench, "far").status, "active");
    bench.engine.forward_service(forward_request(Service::Speech, &speech)).await.expect("an answer");
}

/// What is wrong with an upload is the client's, whatever the relay made of it.
#[tokio::test]
async fn an_upload_that_breaks_off_is_the_clients() {
    let bench = alone().await;
    able(&bench, "far").await;
    for kind in [Kind::Stalled, Kind::TooLarge, Kind::Invalid] {
        let pieces = [Ok(Bytes::from_static(&[7; 1000])), Err(proto::Failure::new(kind, "broke off"))];
        let form = Form {
            head: Bytes::from_static(b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n"),
            model: None,
            rest: Some(futures_util::stream::iter(pieces).boxed()),
            length: None,
            fate: BodyFate::default(),
        };
        let request = ForwardRequest {
            model: Some("far:whisper-1".into()),
            content_type: Some(HeaderValue::from_static(BOUNDARY)),
            load: ForwardBody::Form(form),
            ..forward_request(Service::Transcriptions, &Value::Null)
        };
        let refusal = refused(bench.engine.forward_service(request).await);
        assert_eq!((refusal.failure.kind, refusal.failure.message.as_str()), (kind, "broke off"));
    }
    assert_eq!(state(&bench, "far").status, "active");
    let rows = bench.rows(3).await;
    assert_eq!(rows.iter().map(|row| row.status).collect::<Vec<_>>(), [400, 413, 408]);
}

/// What a relay says of a forwarded call is searched for the key, whatever it looks like.
#[tokio::test]
async fn a_relay_that_repeats_its_key_is_not_heard() {
    const KEY: &str = "0f1e2d3c/4b5a6978+8796a5b4";
    let bench = alone().await;
    let mut spec = CHAT.spec(&bench, "far");
    (spec.models, spec.capabilities, spec.key) = (Vec::new(), Some(Capabilities::ALL), KEY.into());
    bench.engine.relays().add(&spec).await.expect("the relay");
    for status in [400, 401, 429, 500] {
        let error = format!(r#"{{"error":{{"message":"the key {} is not good"}}}}"#, KEY.replace('/', "\\/"));
        let plan = Plan::text(status, error).header("content-type", "application/json");
        bench.backend.add_rule(Rule::at(Endpoint::RelayMedia, plan).always());
        let body = json!({"input": "a", "model": "far:text-embedding-3-small"});
        let refusal = refused(bench.engine.forward_service(forward_request(Service::Embeddings, &body)).await);
        assert!(!format!("{refusal:?}{:?}", state(&bench, "far")).contains("4b5a6978"), "{refusal:?}");
        bench.pass(std::time::Duration::from_hours(1));
    }
}
