//! Incoming messages of a WebSocket: how much they may hold, for how long, and what is answered meanwhile.

use std::time::Duration;

use pool::limits::BODY_WIRE;
use rstest::rstest;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::gateway::{Gateway, count};
use crate::socket::{Socket, head, words};
use crate::streams::gateway;

const MODEL: &str = "gpt-6-sol";
/// First bytes of frames: a whole message, and the first, a middle and the last part of a message.
const WHOLE: u8 = 0x81;
const FIRST: u8 = 0x01;
const NEXT: u8 = 0x00;
const LAST: u8 = 0x80;

async fn open(gateway: &Gateway) -> Socket {
    let key = format!("Bearer {}", gateway.keys.client);
    Socket::open(gateway.port, &[("authorization", &key)]).await.unwrap()
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    [&head(first, payload.len()), payload].concat()
}

#[rstest]
#[case::nothing_of_it(head(WHOLE, 1000))]
#[case::part_of_a_frame([&head(WHOLE, 1000)[..], b"{"].concat())]
#[case::part_of_a_message(frame(FIRST, b"{"))]
#[case::empty_parts([frame(FIRST, b"{"), frame(NEXT, b"")].concat())]
#[tokio::test]
async fn a_message_that_stops_arriving_ends_its_socket(#[case] bytes: Vec<u8>) {
    let (gateway, _backend) = gateway(|settings| settings.limits.body_stall = Duration::from_millis(200)).await;
    let mut socket = open(&gateway).await;
    socket.ping().await;
    socket.raw(bytes).await;
    let stalled = socket.event().await.unwrap();
    assert_eq!((&stalled["type"], &stalled["status"]), (&json!("error"), &json!(408)), "{stalled}");
    assert_eq!(socket.closed().await.unwrap().code, CloseCode::Policy);
}

#[tokio::test]
async fn a_message_may_stall_no_longer_while_a_reply_runs_or_pings_come() {
    let (gateway, backend) = gateway(|settings| settings.limits.body_stall = Duration::from_millis(200)).await;
    backend.add_rule(offline::Rule::responses(offline::Plan::auto().pause(4, offline::Wait::Forever)));
    let mut socket = open(&gateway).await;
    socket.create(json!({ "model": MODEL, "input": "count to 9" })).await;
    assert_eq!(socket.event().await.unwrap()["type"], "response.created");
    socket.raw(frame(FIRST, b"{")).await;
    let stalled = loop {
        socket.send(Message::Ping("x".into())).await;
        match socket.next().await.unwrap() {
            Message::Text(text) if text.contains("\"status\":408") => break text,
            Message::Text(_) | Message::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    };
    assert!(stalled.contains("stopped arriving"), "{stalled}");
    assert_eq!(socket.closed().await.unwrap().code, CloseCode::Policy);
}

#[tokio::test]
async fn what_has_arrived_is_charged_to_the_budget_of_all() {
    let (gateway, backend) = gateway(|settings| {
        settings.limits.buffered = 256 << 10;
        settings.limits.wire = 1 << 20;
    })
    .await;
    // The frame is a part of a message; the pong shows that the frame has been read.
    let part = frame(FIRST, &vec![b' '; 120 << 10]);
    let mut holder = open(&gateway).await;
    holder.raw(&part).await;
    holder.ping().await;
    for _ in 0..2 {
        let mut other = open(&gateway).await;
        other.raw([head(WHOLE, 200 << 10), vec![b' '; 120 << 10]].concat()).await;
        let full = other.event().await.unwrap();
        assert_eq!((&full["status"], &full["error"]["code"]), (&json!(503), &json!("overloaded")), "{full}");
        assert_eq!(full["headers"]["Retry-After"], "1", "{full}");
        assert_eq!(other.closed().await.unwrap().code, CloseCode::Again);
    }
    let body = json!({ "model": MODEL, "input": "x".repeat(120 << 10) }).to_string();
    assert_eq!(gateway.post("/v1/responses", &[], body.as_bytes()).await.status, 503, "bodies are of the same budget");
    assert_eq!(count(&gateway.counters.overloaded), 3);
    let rest = json!({ "type": "response.create", "model": MODEL, "input": "count to 3" });
    holder.raw(frame(LAST, rest.to_string().as_bytes())).await;
    assert_eq!(holder.reply().await.pop().unwrap()["type"], "response.completed");
    assert_eq!(gateway.post("/v1/responses", &[], body.as_bytes()).await.status, 200, "and given back");
    drop(holder);
    assert_eq!(backend.record().model_requests().count(), 2);
}

#[tokio::test]
async fn messages_that_wait_are_charged_too() {
    let (gateway, backend) = gateway(|settings| settings.limits.buffered = 256 << 10).await;
    backend.add_rule(offline::Rule::responses(offline::Plan::auto().pause(4, offline::Wait::Gate("go".to_owned()))));
    let mut socket = open(&gateway).await;
    socket.create(json!({ "model": MODEL, "input": "count to 9" })).await;
    assert_eq!(socket.event().await.unwrap()["type"], "response.created");
    let body = json!({ "model": MODEL, "input": [{ "role": "user", "content": "x".repeat(150 << 10) },
        { "role": "user", "content": "count to 3" }] });
    socket.create(body.clone()).await;
    socket.ping().await;
    assert_eq!(gateway.post("/v1/responses", &[], body.to_string().as_bytes()).await.status, 503);
    backend.release("go");
    for end in ["9", "3"] {
        let last = socket.reply().await.pop().unwrap();
        assert!(words(&last["response"]).ends_with(end), "{last}");
    }
    assert_eq!(gateway.post("/v1/responses", &[], body.to_string().as_bytes()).await.status, 200);
}

#[tokio::test]
async fn messages_come_whole_in_any_frames() {
    let (gateway, backend) = gateway(|_| {}).await;
    let mut socket = open(&gateway).await;
    let padding = "é".repeat(200 << 10);
    for (turn, size) in [0, 1, 7, 100_000, usize::MAX].into_iter().enumerate() {
        let request = json!({ "type": "response.create", "model": MODEL, "store": false, "input": [
            { "role": "user", "content": padding }, { "role": "user", "content": format!("count to {}", turn + 3) }] });
        let text = request.to_string();
        let (first, rest) = text.as_bytes().split_at(size.min(text.len()));
        for bytes in [frame(FIRST, first), frame(0x89, b"ping"), frame(NEXT, b""), frame(LAST, rest)] {
            socket.raw(bytes).await;
        }
        // The next message follows at once.
        socket.create(json!({ "model": MODEL, "input": "count to 4", "store": false })).await;
        for end in [turn + 3, 4] {
            let last = answer(&mut socket).await;
            assert!(words(&last["response"]).ends_with(&end.to_string()), "{last}");
        }
    }
    let record = backend.record();
    let sent = record.model_requests().next().unwrap().json();
    assert_eq!(sent["input"][0]["content"][0]["text"].as_str().map(str::len), Some(padding.len()));
}

/// A request of exactly `bytes` bytes, mostly blanks.
fn padded(bytes: usize) -> Vec<u8> {
    let request = json!({ "type": "response.create", "model": MODEL, "input": "count to 3", "store": false });
    let mut text = request.to_string().into_bytes();
    let close = text.pop().unwrap();
    text.resize(bytes - 1, b' ');
    text.push(close);
    text
}

/// Row B15 at the real limit, which is the limit of request bodies, for a message in any number of frames.
#[rstest]
#[case::one(usize::MAX)]
#[case::some(1 << 20)]
#[case::many(4 << 10)]
#[tokio::test]
async fn the_longest_message_is_as_long_as_the_longest_body(#[case] piece: usize) {
    let (gateway, backend) = gateway(|_| {}).await;
    for (over, calls) in [(0, 1), (1, 1)] {
        let mut socket = open(&gateway).await;
        let message = padded(BODY_WIRE + over);
        let last = (message.len() - 1) / piece;
        for (at, part) in message.chunks(piece).enumerate() {
            socket.raw(frame(if at == 0 { FIRST } else { NEXT } | if at == last { LAST } else { 0 }, part)).await;
        }
        let end = socket.reply().await.pop().unwrap();
        if over == 0 {
            assert!(words(&end["response"]).ends_with('3'), "{end}");
        } else {
            assert_eq!((&end["type"], &end["status"]), (&json!("error"), &json!(413)), "{end}");
            assert!(end["error"]["message"].as_str().unwrap().contains(&BODY_WIRE.to_string()), "{end}");
            assert_eq!(socket.closed().await.unwrap().code, CloseCode::Size);
        }
        assert_eq!(backend.record().model_requests().count(), calls);
    }
}

/// The server does not wait for a message that announces too many bytes.
#[rstest]
#[case::a_byte_more(WHOLE, BODY_WIRE + 1)]
#[case::sixty_four_mib(WHOLE, 64 << 20)]
#[case::all_that_can_be_said(WHOLE, usize::MAX >> 1)]
#[case::a_part(FIRST, BODY_WIRE + 1)]
#[tokio::test]
async fn a_frame_that_announces_too_much_is_refused_at_once(#[case] first: u8, #[case] length: usize) {
    let (gateway, backend) = gateway(|_| {}).await;
    let mut socket = open(&gateway).await;
    socket.raw(head(first, length)).await;
    assert_eq!(socket.event().await.unwrap()["status"], 413);
    assert_eq!(socket.closed().await.unwrap().code, CloseCode::Size);
    assert_eq!(backend.record().model_requests().count(), 0);
}

/// The frame reader would keep the memory of the longest message, on every connection.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_long_message_leaves_no_memory_behind() {
    const EACH: usize = 24 << 20;
    let (gateway, _backend) = gateway(|_| {}).await;
    let junk = vec![b'x'; EACH];
    let (before, mut sockets) = (resident(), Vec::new());
    for end in [WHOLE, LAST].repeat(8) {
        let mut socket = open(&gateway).await;
        socket.raw(head(if end == LAST { FIRST } else { WHOLE }, EACH)).await;
        socket.raw(&junk).await;
        if end == LAST {
            socket.raw(frame(LAST, b"x")).await;
        }
        assert_eq!(socket.event().await.unwrap()["status"], 400);
        sockets.push(socket);
    }
    let more = resident().saturating_sub(before);
    assert!(more < 6 * EACH, "{more} bytes for {} sockets", sockets.len());
}

/// The resident memory of this process, bytes.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().trim().parse::<usize>().unwrap() << 10
}

/// The last event of a reply; pongs may come between.
async fn answer(socket: &mut Socket) -> Value {
    loop {
        if let Message::Text(text) = socket.next().await.expect("an answer") {
            let event: Value = serde_json::from_str(&text).unwrap();
            if event["type"] == "response.completed" || event["type"] == "error" {
                return event;
            }
        }
    }
}
