//! Scripted faults.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::{ask, backend, classic, exchange, post, read, turn};
use crate::{Coding, ConnectionFault, Endpoint, Idle, Newline, Plan, Rule, Split, Termination, Wait};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn cuts_at_every_kind_of_place() {
    let backend = backend().await;
    let account = backend.account("plus");
    let body = classic("count to 200");
    let whole = ask(&backend, &account, &body).await;
    assert!(whole.whole);

    for byte in [0, 1, 17, 500, 4_000, 20_000] {
        backend.add_rule(Rule::responses(Plan::auto().cut_byte(byte, Termination::Reset)));
        let reply = ask(&backend, &account, &body).await;
        assert_eq!((reply.body.len() as u64, reply.reset, reply.whole), (byte, true, false));
        backend.add_rule(Rule::responses(Plan::auto().cut_byte(byte, Termination::Fin)));
        let reply = ask(&backend, &account, &body).await;
        assert_eq!((reply.body.len() as u64, reply.reset, reply.whole), (byte, false, false));
    }
    backend.add_rule(Rule::responses(Plan::auto().cut_event(3, Termination::End)));
    let reply = ask(&backend, &account, &body).await;
    assert_eq!((reply.kinds().len(), reply.whole), (3, true));
    backend.add_rule(Rule::responses(Plan::auto().cut_wire(9, Termination::Reset)));
    let reply = ask(&backend, &account, &body).await;
    assert_eq!((reply.wire.as_slice(), reply.reset), (&b"HTTP/1.1 "[..], true));
    for plan in [Plan::reset(), Plan::close()] {
        backend.add_rule(Rule::responses(plan));
        assert!(ask(&backend, &account, &body).await.wire.is_empty());
    }
}

#[tokio::test]
async fn fails_inside_the_stream() {
    let backend = backend().await;
    let account = backend.account("plus");
    backend.add_rule(Rule::responses(Plan::failed(4, "server_error", "broken")));
    let reply = ask(&backend, &account, &classic("hello there")).await;
    let events = reply.events();
    assert_eq!(events.len(), 5);
    assert_eq!(events[4]["response"]["error"]["code"], "server_error");
    assert_eq!(events[4]["response"]["id"], events[0]["response"]["id"]);
    backend.add_rule(Rule::responses(Plan::incomplete(4, "content_filter")));
    let reply = ask(&backend, &account, &classic("hello there")).await;
    assert_eq!(reply.events()[4]["response"]["incomplete_details"]["reason"], "content_filter");
}

#[tokio::test]
async fn answers_every_planned_status() {
    let backend = backend().await;
    let account = backend.account("plus");
    let plans = [
        (429, Plan::usage_limit(60)),
        (429, Plan::usage_not_included()),
        (429, Plan::rate_limit(Some(2))),
        (429, Plan::too_many()),
        (429, Plan::workspace_depleted()),
        (401, Plan::unauthorized(None)),
        (402, Plan::deactivated_workspace()),
        (403, Plan::forbidden()),
        (403, Plan::unsupported_country()),
        (403, Plan::challenge()),
        (404, Plan::path_block()),
        (400, Plan::model_not_supported("gpt-5")),
        (503, Plan::overloaded()),
        (502, Plan::html(502, 100_000)),
        (500, Plan::server_error(500)),
        (307, Plan::redirect(307, "http://169.254.169.254/")),
        (204, Plan::text(204, "")),
    ];
    for (status, plan) in plans {
        backend.add_rule(Rule::responses(plan));
        assert_eq!(ask(&backend, &account, &classic("hello")).await.status, status);
    }
    assert!(backend.pending_rules().is_empty());
}

#[tokio::test]
async fn sends_informational_answers_and_many_headers() {
    let backend = backend().await;
    let account = backend.account("plus");
    backend.add_rule(Rule::responses(Plan::informational(103, 3)));
    let reply = ask(&backend, &account, &classic("hello")).await;
    let text = String::from_utf8_lossy(&reply.wire).into_owned();
    assert_eq!(text.matches("HTTP/1.1 103").count(), 3);
    assert!(text.contains("HTTP/1.1 200 OK"));
    backend
        .add_rule(Rule::responses(Plan::many_headers(1_000).header("set-cookie", "a=b").header("set-cookie", "c=d")));
    let reply = ask(&backend, &account, &classic("hello")).await;
    assert!(reply.headers.len() > 1_000);
    assert_eq!(reply.headers.iter().filter(|(name, _)| name == "set-cookie").count(), 2);
    backend
        .add_rule(Rule::responses(Plan::wire("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab")));
    let reply = ask(&backend, &account, &classic("hello")).await;
    assert!(reply.wire.ends_with(b"content-length: 2\r\n\r\nab"));
}

#[tokio::test]
async fn changes_line_ends_and_write_boundaries() {
    let backend = backend().await;
    let account = backend.account("plus");
    backend.add_rule(Rule::responses(Plan::auto().newline(Newline::CrLf)));
    let reply = ask(&backend, &account, &classic("hello")).await;
    assert_eq!(reply.text().matches('\n').count(), reply.text().matches("\r\n").count());
    assert_eq!(reply.events().last().unwrap()["type"], "response.completed");
    backend.add_rule(Rule::responses(Plan::auto().split(Split::Sizes(vec![3, 5]))));
    let reply = ask(&backend, &account, &classic("hello")).await;
    let text = String::from_utf8_lossy(&reply.wire).into_owned();
    assert!(text.contains("\r\n\r\n3\r\neve\r\n5\r\nnt: r\r\n"));
    assert_eq!(reply.events().last().unwrap()["type"], "response.completed");
    backend.add_rule(Rule::responses(Plan::auto().split(Split::Every(1))));
    assert_eq!(ask(&backend, &account, &classic("Reply with exactly: ok")).await.reply_text(), "ok");
}

#[tokio::test]
async fn adds_events_and_sizes() {
    let backend = backend().await;
    let account = backend.account("plus");
    let plan = Plan::auto()
        .extra(0, ": hi\n\n")
        .extra(1, "data: {\"type\":\"new.event\"}\n\n")
        .huge(1_000_000)
        .tail(json!({ "type": "after.end" }));
    backend.add_rule(Rule::responses(plan));
    let reply = ask(&backend, &account, &classic("hello")).await;
    assert!(reply.text().starts_with(": hi\n\n"));
    assert_eq!((reply.kinds()[1].as_str(), reply.kinds().last().unwrap().as_str()), ("new.event", "after.end"));
    let huge = reply.text().split_inclusive("\n\n").map(str::len).max();
    assert_eq!(huge, Some(1_000_000));
}

#[tokio::test]
async fn compresses_and_flushes() {
    let backend = backend().await;
    let account = backend.account("plus");
    for coding in [Coding::Zstd, Coding::Gzip, Coding::Brotli, Coding::Deflate] {
        backend.add_rule(Rule::responses(Plan::bomb(1 << 20, coding)));
        let reply = ask(&backend, &account, &classic("hello")).await;
        assert_eq!(reply.header("content-encoding"), Some(coding.name()));
        assert!(reply.body.len() < 64 << 10, "{coding:?}: {}", reply.body.len());
    }
    backend.add_rule(Rule::responses(Plan::auto().compress(Coding::Zstd)));
    let reply = ask(&backend, &account, &classic("Reply with exactly: small")).await;
    let plain = zstd::decode_all(reply.body.as_slice()).unwrap();
    assert!(String::from_utf8(plain).unwrap().contains("response.completed"));
}

#[tokio::test]
async fn waits_at_gates_and_holds() {
    let backend = backend().await;
    let account = backend.account("plus");
    backend.add_rule(Rule::responses(Plan::auto().delay("go").pause(2, "on").hold(Wait::Forever)));
    let mut tcp = TcpStream::connect(backend.addr()).await.unwrap();
    tcp.write_all(&turn(&account, &classic("hello"))).await.unwrap();
    backend.wait_until(SOON, |record| record.open == 1).await.unwrap();
    assert_eq!(backend.record().requests[0].status, None);
    backend.release("go");
    backend.wait_until(SOON, |record| record.requests[0].status == Some(200)).await.unwrap();
    let mut got = Vec::new();
    while !String::from_utf8_lossy(&got).contains("response.in_progress\"") {
        tcp.read_buf(&mut got).await.unwrap();
    }
    backend.release("on");
    while !String::from_utf8_lossy(&got).contains("\"end_turn\"") {
        tcp.read_buf(&mut got).await.unwrap();
    }
    drop(tcp);
    backend.wait_until(SOON, |record| record.open == 0).await.unwrap();
    assert!(backend.record().requests[0].disconnected_at().is_some());
}

#[tokio::test]
async fn ends_idle_connections() {
    let backend = backend().await;
    let account = backend.account("plus");
    let keep = String::from_utf8(turn(&account, &classic("hello"))).unwrap().replace("connection: close\r\n", "");
    backend.add_rule(Rule::responses(Plan::auto().idle(Idle::Close)));
    let reply = exchange(&backend, keep.as_bytes()).await;
    assert!(reply.whole && !reply.reset && reply.header("connection").is_none());
    backend.add_rule(Rule::responses(Plan::auto().idle(Idle::ResetNext)));
    let mut tcp = TcpStream::connect(backend.addr()).await.unwrap();
    tcp.write_all(keep.as_bytes()).await.unwrap();
    let mut got = Vec::new();
    while !got.ends_with(b"0\r\n\r\n") {
        tcp.read_buf(&mut got).await.unwrap();
    }
    tcp.write_all(keep.as_bytes()).await.unwrap();
    assert!(read(&mut tcp).await.reset);
    assert_eq!(backend.record().model_requests().count(), 2);
}

#[tokio::test]
async fn greets_connections_badly() {
    let backend = backend().await;
    let account = backend.account("plus");
    backend.fail_next_connection(ConnectionFault::Bytes(b"SSH-2.0-x\r\n".to_vec().into()));
    backend.fail_next_connection(ConnectionFault::Close);
    assert_eq!(exchange(&backend, b"").await.wire, b"SSH-2.0-x\r\n");
    assert!(exchange(&backend, b"").await.wire.is_empty());
    assert_eq!(ask(&backend, &account, &classic("hello")).await.status, 200);
}

#[tokio::test]
async fn replays_files() {
    let folder = std::env::temp_dir().join(format!("offline-replay-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir_all(&folder).unwrap();
    let raw = "event: a\r\ndata: {\"type\":\"a\"}\r\n\r\ndata: {\"type\":\"b\"}\n\n";
    std::fs::write(folder.join("raw.sse"), raw).unwrap();
    std::fs::write(folder.join("lines.chunks.txt"), "{\"type\":\"one\"}\n{\"type\":\"two\"}\n").unwrap();
    let options = crate::Options { replay: vec![folder.clone()], ..crate::Options::default() };
    let backend = crate::Offline::start(options).await.unwrap();
    let account = backend.account("plus");
    backend.add_rule(Rule::responses(Plan::replay("raw")));
    backend.add_rule(Rule::responses(Plan::replay("lines").cut_event(1, Termination::Fin)));
    backend.add_rule(Rule::responses(Plan::replay("none")));
    assert_eq!(ask(&backend, &account, &classic("x")).await.text(), raw);
    let reply = ask(&backend, &account, &classic("x")).await;
    assert_eq!((reply.kinds(), reply.whole), (vec!["one".to_owned()], false));
    assert_eq!(ask(&backend, &account, &classic("x")).await.status, 500);
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn plays_token_faults() {
    let backend = backend().await;
    let account = backend.account("plus");
    let refresh = |token: &str| json!({ "client_id": crate::REAL_CLIENT_ID, "grant_type": "refresh_token", "refresh_token": token });
    for (status, plan) in [
        (400, Plan::invalid_grant()),
        (401, Plan::refresh_refused("refresh_token_reused")),
        (403, Plan::challenge()),
        (500, Plan::server_error(500)),
        (200, Plan::refresh_without_rotation("at")),
    ] {
        backend.add_rule(Rule::token(plan).account(&account.account_id));
        assert_eq!(post(&backend, "/oauth/token", &refresh(&account.refresh)).await.status, status);
    }
    assert_eq!(
        backend.current_refresh(&account.account_id),
        std::slice::from_ref(&account.refresh),
        "none of these rotates"
    );
    backend.add_rule(Rule::token(Plan::malformed_refresh()));
    assert_eq!(post(&backend, "/oauth/token", &refresh(&account.refresh)).await.status, 200);
    let current = backend.current_refresh(&account.account_id);
    assert_ne!(current, std::slice::from_ref(&account.refresh), "the token rotated before the junk");
    backend.add_rule(Rule::token(Plan::reset_after_headers()));
    let reply = post(&backend, "/oauth/token", &refresh(&current[0])).await;
    assert_eq!((reply.status, reply.body.len(), reply.reset), (200, 0, true));
    assert_ne!(backend.current_refresh(&account.account_id), current);
    assert!(backend.record().offences.is_empty());
    assert_eq!(backend.record().requests_to(Endpoint::Token).count(), 7);
}

/// Every recorded stream of the shared corpus arrives with all its events.
#[tokio::test]
async fn replays_the_shared_corpus() {
    let Some(shared) = crate::recordings::shared() else { return };
    let folder = shared.join("corpus/responses");
    let options = crate::Options { replay: vec![folder.clone()], ..crate::Options::default() };
    let backend = crate::Offline::start(options).await.unwrap();
    let account = backend.account("plus");
    for entry in std::fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        let Some(stem) = name.strip_suffix(".chunks.txt") else { continue };
        backend.add_rule(Rule::responses(Plan::replay(stem).split(Split::Every(1_000))));
        let reply = ask(&backend, &account, &classic("x")).await;
        let file = std::fs::read_to_string(folder.join(&name)).unwrap();
        let text = reply.text();
        let data: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        assert_eq!(data, file.lines().filter(|line| !line.is_empty()).collect::<Vec<_>>(), "{name}");
    }
}
