//! The record and the protocol violations in it.

use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::client::{ask, backend, classic, exchange, get, request, turn};
use crate::{EndKind, Endpoint, Plan, Quota, Revocation, Rule, Violation, Wait, When};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn writes_requests_down() {
    let backend = backend().await;
    let account = backend.account("plus");
    let plain = classic("hello").to_string();
    let body = zstd::encode_all(plain.as_bytes(), 3).unwrap();
    let bearer = format!("Bearer {}", account.access);
    let headers = [
        ("authorization", bearer.as_str()),
        ("chatgpt-account-id", account.account_id.as_str()),
        ("content-encoding", "zstd"),
    ];
    let reply = exchange(&backend, &request("POST", "/backend-api/codex/responses", &headers, &body)).await;
    assert_eq!(reply.status, 200);
    let record = backend.record();
    let seen = &record.requests[0];
    assert_eq!((seen.place, seen.wire_length, seen.status), (Endpoint::Responses, body.len(), Some(200)));
    assert_eq!(seen.json()["model"], "gpt-5.5");
    assert_eq!(seen.account.as_deref(), Some(account.account_id.as_str()));
    assert_eq!(seen.prompt.as_deref(), Some("hello"));
    assert_eq!(seen.header("content-encoding"), Some("zstd"));
    assert_eq!((seen.ending.unwrap().left, seen.sent), (EndKind::Complete, reply.body.len() as u64));
    assert!(record.offences.is_empty());
}

#[tokio::test]
async fn notices_clients_that_leave() {
    let backend = backend().await;
    let account = backend.account("plus");
    for plan in [Plan::auto().pause(3, Wait::Forever), Plan::auto().delay(Wait::Forever)] {
        backend.reset();
        backend.add_rule(Rule::responses(plan));
        let mut tcp = TcpStream::connect(backend.addr()).await.unwrap();
        tcp.write_all(&turn(&account, &classic("hello"))).await.unwrap();
        backend.wait_until(SOON, |record| record.model_requests().any(|seen| seen.prompt.is_some())).await.unwrap();
        drop(tcp);
        backend
            .wait_until(SOON, |record| record.model_requests().any(|seen| seen.disconnected_at().is_some()))
            .await
            .unwrap();
    }
    backend.forbid(When::default(), "the client left");
    ask(&backend, &account, &classic("again")).await;
    assert!(matches!(&backend.record().offences[..], [Violation::Forbidden { note, .. }] if note == "the client left"));
}

#[tokio::test]
async fn judges_accounts_tokens_and_encodings() {
    let backend = backend().await;
    let (one, two) = (backend.account("plus"), backend.account("plus"));
    let mut crossed = one.clone();
    crossed.account_id.clone_from(&two.account_id);
    let reply = ask(&backend, &crossed, &classic("hello")).await;
    assert_eq!((reply.status, reply.json()), (403, json!({ "detail": "Forbidden" })));
    let mut stranger = one.clone();
    stranger.access = "nobody".to_owned();
    assert_eq!(ask(&backend, &stranger, &classic("hello")).await.json(), json!({ "detail": "Unauthorized" }));
    let bearer = format!("Bearer {}", one.access);
    let headers = [("authorization", bearer.as_str()), ("content-encoding", "zstd")];
    let reply = exchange(&backend, &request("POST", "/backend-api/codex/responses", &headers, b"{}")).await;
    assert_eq!(reply.status, 400);
    let offences = backend.record().offences;
    assert!(matches!(&offences[0], Violation::WrongAccount { actual, .. } if *actual == one.account_id));
    assert!(matches!(offences[1], Violation::UnknownToken { .. }));
    assert!(matches!(offences[2], Violation::WrongEncoding { .. }));
}

#[tokio::test]
async fn refuses_revoked_tokens_with_their_bodies() {
    let backend = backend().await;
    for (why, code) in [
        (Revocation::Expired, "token_expired"),
        (Revocation::Invalidated, "token_invalidated"),
        (Revocation::Revoked, "token_revoked"),
        (Revocation::Deactivated, "account_deactivated"),
    ] {
        let account = backend.account("plus");
        backend.revoke_access(&account.account_id, why);
        let reply = ask(&backend, &account, &classic("hello")).await;
        assert_eq!((reply.status, &reply.json()["error"]["code"]), (401, &json!(code)));
    }
    assert!(backend.record().offences.is_empty(), "an expired token is no offence");
}

#[tokio::test]
async fn judges_cookies_and_turn_states() {
    let backend = backend().await;
    let (one, two) = (backend.account("plus"), backend.account("plus"));
    let reply = ask(&backend, &one, &classic("hello")).await;
    let cookies: Vec<&str> = reply
        .headers
        .iter()
        .filter(|(name, _)| name == "set-cookie")
        .map(|(_, value)| value.split(';').next().unwrap())
        .collect();
    let state = reply.header("x-codex-turn-state").unwrap().to_owned();
    let send = |account: &crate::FakeAccount, cookie: &str| {
        let text = String::from_utf8(turn(account, &classic("hello"))).unwrap();
        let more = format!("cookie: {cookie}\r\nx-codex-turn-state: {state}\r\ncontent-length");
        text.replacen("content-length", &more, 1).into_bytes()
    };
    let kept = format!("{}; {}", cookies[0], cookies[1]);
    let reply = exchange(&backend, &send(&one, &kept)).await;
    assert_eq!(reply.header("x-codex-turn-state"), Some(state.as_str()));
    assert!(backend.record().offences.is_empty());
    exchange(&backend, &send(&two, &cookies.join("; "))).await;
    let offences = backend.record().offences;
    let crossed = offences.iter().filter(|offence| matches!(offence, Violation::CookieCrossed { .. })).count();
    assert_eq!(crossed, 2);
    assert!(
        offences.iter().any(|offence| matches!(offence, Violation::ForbiddenCookie { name, .. } if name == "oai-did"))
    );
    assert!(offences.iter().any(|offence| matches!(offence, Violation::TurnStateCrossed { .. })));
}

#[tokio::test]
async fn refuses_what_the_plan_no_longer_allows() {
    let backend = backend().await;
    let account = backend.account("plus");
    backend.set_quota(&account.account_id, &Quota::exhausted(Duration::from_mins(10)));
    let reply = ask(&backend, &account, &classic("hello")).await;
    assert_eq!((reply.status, &reply.json()["error"]["type"]), (429, &json!("usage_limit_reached")));
    assert_eq!(reply.header("x-codex-primary-used-percent"), Some("100"));
    let usage = get(&backend, &account, "/backend-api/wham/usage", &[]).await.json();
    assert_eq!(usage["rate_limit"]["limit_reached"], true);
    let path = "/backend-api/wham/rate-limit-reset-credits/consume";
    let bearer = format!("Bearer {}", account.access);
    let headers = [
        ("authorization", bearer.as_str()),
        ("chatgpt-account-id", account.account_id.as_str()),
        ("content-type", "application/json"),
    ];
    let body = json!({ "redeem_request_id": uuid::Uuid::new_v4().to_string() }).to_string();
    let reply = exchange(&backend, &request("POST", path, &headers, body.as_bytes())).await;
    assert_eq!(reply.json(), json!({ "code": "reset", "windows_reset": 1 }));
    assert_eq!(ask(&backend, &account, &classic("hello")).await.status, 200);
}

#[tokio::test]
async fn counts_what_runs_at_once() {
    let backend = backend().await;
    let account = backend.account("plus");
    backend.add_rule(Rule::responses(Plan::auto().delay("go")).always());
    let bytes = turn(&account, &classic("hello"));
    let all =
        async { tokio::join!(exchange(&backend, &bytes), exchange(&backend, &bytes), exchange(&backend, &bytes)) };
    let open = async {
        backend.wait_until(SOON, |record| record.open == 3).await.unwrap();
        backend.release("go");
    };
    tokio::join!(all, open);
    assert_eq!((backend.record().peak, backend.record().open, backend.record().connections), (3, 0, 3));
}
