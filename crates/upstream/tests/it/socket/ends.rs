//! When a socket ends, and when a silent socket is given up, by the runtime's clock.

use std::sync::Arc;
use std::time::Duration;

use rstest::rstest;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::Instant;
use upstream::Timeouts;
use upstream::{Config, FaultKind, Sent, Upstream};

use super::server::{Act, Server};
use super::{advance_clock, body, config, read, reply, send_items, send_turn, upstream};
use crate::recorder::with_timeout;

/// Five seconds after the turn was sent, even a reused socket counts as alive: the turn may have been processed.
#[rstest]
#[case::soon(4, FaultKind::Stale)]
#[case::late(6, FaultKind::Cut)]
#[tokio::test]
async fn a_late_end_is_not_a_dead_socket(
    #[case] seconds: u64,
    #[case] expected: FaultKind,
    #[values(Act::Close(1000), Act::Close(1011), Act::Eof)] end: Act,
) {
    let gate = Arc::new(Notify::new());
    let (held, end) = (Act::Gate(Arc::clone(&gate)), end.clone());
    let script =
        move |_, turn, _: &Value| if turn == 0 { reply("resp_1", "x") } else { vec![held.clone(), end.clone()] };
    let mut server = Server::start(script).await;
    let upstream = upstream(&server);
    read(send_items(&upstream, &["one"]).await).await.unwrap();
    let call = tokio::spawn(async move {
        send_turn(&upstream, ("acct-1", 7), &body(&["one", "model:x", "two"]), false).await.err().unwrap()
    });
    server.turns(2).await;
    advance_clock(Duration::from_secs(seconds)).await;
    gate.notify_one();
    let fault = with_timeout(call).await.unwrap();
    assert_eq!((fault.sent, fault.kind), (Sent::Maybe, expected), "{fault}");
    assert_eq!((server.posts(), server.upgrades()), (0, 1));
}

/// Pings do not extend the wait for the first message, as nothing extends the wait for a POST's headers.
#[tokio::test]
async fn pings_do_not_prolong_the_wait_for_the_reply() {
    let (ponged, gate) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let acts = [Act::PingPong(Arc::clone(&ponged)), Act::Gate(Arc::clone(&gate))];
    let server = Server::start(move |_, _, _| acts.iter().cloned().cycle().take(20).collect()).await;
    let timeouts = Timeouts { headers: Duration::from_secs(10), ..Timeouts::default() };
    let upstream = Upstream::new(Config { timeouts, ..config(&server) }).unwrap();
    let call = tokio::spawn(async move { send_turn(&upstream, ("acct-1", 7), &body(&["one"]), false).await });
    for _ in 0..2 {
        with_timeout(ponged.notified()).await;
        assert!(!call.is_finished());
        advance_clock(Duration::from_secs(5)).await;
        gate.notify_one();
    }
    let fault = with_timeout(call).await.unwrap().err().unwrap();
    assert_eq!((fault.sent, fault.kind), (Sent::Maybe, FaultKind::Timeout), "{fault}");
}

/// Bytes of a partial message and pings count as activity of a running reply.
#[rstest]
#[case::ping(Act::Ping)]
#[case::part(Act::Raw(vec![0x01, 2, b'{', b'"']))]
#[tokio::test]
async fn any_byte_is_life(#[case] act: Act) {
    let gate = Arc::new(Notify::new());
    let held = Act::Gate(Arc::clone(&gate));
    let acts = [reply("resp_1", "x")[..4].to_vec(), vec![held, act, Act::Hang]].concat();
    let server = Server::start(move |_, _, _| acts.clone()).await;
    let upstream = upstream(&server);
    let mut answer = send_items(&upstream, &["one"]).await;
    let mut text = String::new();
    while !text.contains("output_item.done") {
        text.push_str(std::str::from_utf8(&with_timeout(answer.body.chunk()).await.unwrap().unwrap()).unwrap());
    }
    let before = Instant::now();
    advance_clock(Duration::from_secs(100)).await;
    gate.notify_one();
    let moved = std::future::poll_fn(|cx| {
        assert!(answer.body.poll_chunk(cx).is_pending());
        if answer.body.last_read() > Some(before) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    });
    with_timeout(moved).await;
    assert!(answer.body.last_read().unwrap() - before >= Duration::from_secs(100));
}
