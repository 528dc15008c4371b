//! Scripted faults of a socket.

use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::*;

/// The number of events and the end of a socket: a close with a code, the end of the connection, or a reset.
async fn end(socket: &mut Socket) -> (usize, String) {
    let mut events = 0;
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(_))) => events += 1,
            Some(Ok(Message::Close(frame))) => {
                return (events, frame.map_or_else(|| "none".to_owned(), |frame| u16::from(frame.code).to_string()));
            }
            Some(Err(Error::Io(error))) => return (events, format!("{:?}", error.kind())),
            Some(Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake))) => {
                return (events, "fin".to_owned());
            }
            Some(Err(error)) => return (events, error.to_string()),
            Some(Ok(_)) => {}
            None => return (events, "over".to_owned()),
        }
    }
}

#[tokio::test]
async fn refuses_upgrades() {
    let backend = backend().await;
    let account = backend.account("plus");
    let plans = [
        Plan::unauthorized(None),
        Plan::challenge(),
        Plan::text(426, ""),
        Plan::rate_limit(Some(1)),
        Plan::server_error(500),
    ];
    for (plan, status) in plans.into_iter().zip([401, 403, 426, 429, 500]) {
        backend.add_rule(Rule::socket(plan));
        assert_eq!(open(&backend, &account).await.err(), Some(status));
    }
    for plan in [Plan::reset(), Plan::close()] {
        backend.add_rule(Rule::socket(plan));
        assert_eq!(open(&backend, &account).await.err(), Some(0));
    }
    backend.add_rule(Rule::socket(Plan::auto().delay("upgrade")));
    let (opened, ()) = tokio::join!(open(&backend, &account), async {
        backend.wait_until(SOON, |record| record.sockets().count() == 8).await.unwrap();
        backend.release("upgrade");
    });
    assert_eq!(reply_text(&opened.unwrap().ask(&turn("Reply with exactly: late")).await), "late");
}

#[tokio::test]
async fn ends_in_every_way() {
    let backend = backend().await;
    let account = backend.account("plus");
    let ways = [
        (Termination::Close { code: 1000 }, "1000"),
        (Termination::Close { code: 1009 }, "1009"),
        (Termination::Close { code: 1011 }, "1011"),
        (Termination::Close { code: 1006 }, "fin"),
        (Termination::End, "1000"),
        (Termination::Fin, "fin"),
        (Termination::Reset, "ConnectionReset"),
    ];
    for (how, expected) in ways {
        for event in [0, 1, 4] {
            backend.add_rule(Rule::responses(Plan::auto().cut_event(event, how.clone())));
            let mut socket = open(&backend, &account).await.unwrap();
            socket.send(&turn("hello")).await;
            assert_eq!(end(&mut socket).await, (event as usize, expected.to_owned()), "{how:?}");
        }
    }
    let closed = backend.wait_until(SOON, |record| record.sockets().all(|seen| seen.ending.is_some())).await;
    assert!(closed.is_ok());
    assert!(backend.record().model_requests().all(|post| post.ending.unwrap().left == EndKind::Cut));
}

#[tokio::test]
async fn cuts_inside_a_frame() {
    let backend = backend().await;
    let account = backend.account("plus");
    for byte in [0, 1, 2, 100, 700, 1_500] {
        backend.add_rule(Rule::responses(Plan::auto().cut_byte(byte, Termination::Fin)));
        let mut socket = open(&backend, &account).await.unwrap();
        socket.send(&turn("hello")).await;
        assert_eq!(end(&mut socket).await.1, "fin", "{byte}");
    }
}

#[tokio::test]
async fn a_failed_response_leaves_the_socket_open_and_ends_the_chain() {
    let (backend, _account, mut socket) = opened().await;
    let events = socket.ask(&turn("hello")).await;
    backend.add_rule(Rule::responses(Plan::failed(6, "server_error", "broken")));
    let failed = socket.ask(&after(&events, "go on")).await;
    assert_eq!(failed.last().unwrap()["response"]["error"]["code"], "server_error");
    assert_eq!(socket.ask(&after(&events, "go on")).await[0]["error"]["code"], "previous_response_not_found");
    for (plan, status, code) in [
        (Plan::connection_limit(), 400, "websocket_connection_limit_reached"),
        (Plan::overloaded(), 503, "server_is_overloaded"),
        (Plan::rate_limit(Some(2)), 429, "rate_limit_exceeded"),
    ] {
        backend.add_rule(Rule::responses(plan));
        let events = socket.ask(&turn("hello")).await;
        assert_eq!((&events[0]["status"], &events[0]["error"]["code"]), (&json!(status), &json!(code)));
    }
}

#[tokio::test]
async fn sends_odd_frames() {
    let (backend, _account, mut socket) = opened().await;
    for odd in [QuirkKind::Pings(1_000), QuirkKind::Fragments(7)] {
        backend.add_rule(Rule::responses(Plan::auto().quirk(5, odd)));
        assert_eq!(reply_text(&socket.ask(&turn("Reply with exactly: fine")).await), "fine", "{odd:?}");
    }
    backend.add_rule(Rule::responses(Plan::auto().quirk(0, QuirkKind::Binary)));
    socket.send(&turn("hello")).await;
    assert!(socket.next().await.unwrap().unwrap().is_binary());
    assert_eq!(socket.answer().await.last().unwrap()["type"], "response.completed");

    backend.add_rule(Rule::responses(Plan::foreign_completion(6)));
    let stray = socket.ask(&turn("hello")).await;
    assert_eq!(stray.last().unwrap()["response"]["id"], "resp_stray");
    assert_eq!(socket.answer().await.last().unwrap()["response"]["status"], "completed");

    backend.add_rule(Rule::responses(Plan::auto().quirk(0, QuirkKind::Masked)));
    socket.send(&turn("hello")).await;
    let masked = socket.next().await.unwrap();
    assert!(matches!(masked, Err(Error::Protocol(ProtocolError::MaskedFrameFromServer))), "{masked:?}");
}

#[tokio::test]
async fn sends_huge_messages() {
    let (backend, _account, socket) = opened().await;
    let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
    let tcp = socket.0.into_inner();
    let mut socket = Socket(WebSocketStream::from_raw_socket(tcp, Role::Client, Some(config)).await);
    backend.add_rule(Rule::responses(Plan::auto().huge(64 << 20)));
    let events = socket.ask(&turn("hello")).await;
    let longest = events.iter().filter_map(|event| event["delta"].as_str()).map(str::len).max();
    assert!(longest.unwrap() > (64 << 20) - 200, "{longest:?}");
}

#[tokio::test]
async fn says_nothing_of_a_status_and_waits() {
    let (backend, _account, mut socket) = opened().await;
    backend.add_rule(Rule::responses(Plan::error_without_status()));
    let events = socket.ask(&turn("hello")).await;
    assert_eq!((&events[0]["error"]["type"], events[0].get("status")), (&json!("server_error"), None));
    drop(socket);
    backend
        .wait_until(SOON, |record| record.model_requests().all(|post| post.disconnected_at().is_some()))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_socket_has_its_time() {
    let life = Duration::from_millis(300);
    let backend = Offline::start(Options { socket_life: life, ..Options::default() }).await.unwrap();
    let account = backend.account("plus");
    let mut socket = open(&backend, &account).await.unwrap();
    let event = socket.event().await;
    assert_eq!(event["error"]["code"], "websocket_connection_limit_reached");
    assert_eq!(end(&mut socket).await, (0, "1000".to_owned()));
}

#[tokio::test]
async fn sends_planned_bytes() {
    let (backend, _account, mut socket) = opened().await;
    backend.add_rule(Rule::responses(Plan::wire("\u{1}junk")));
    socket.send(&turn("hello")).await;
    assert!(socket.next().await.is_none_or(|message| message.is_err()));
    assert_eq!(backend.record().requests_to(Endpoint::Responses).count(), 1);
}
