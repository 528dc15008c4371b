//! Connections: reused after a body was read to its end, closed otherwise, and replaced when the server closed them.

use std::time::Duration;

use upstream::Upstream;

use crate::recorder::{Event, Recorder, Reply, full};
use crate::setup::{call, config};

#[tokio::test]
async fn a_body_read_to_its_end_leaves_the_connection() {
    let bytes = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".to_vec();
    let mut server = Recorder::always(Reply::Keep(bytes)).await;
    let upstream = Upstream::new(config(&server)).unwrap();
    for _ in 0..3 {
        let mut answer = call(&upstream).await.unwrap();
        while let Some(chunk) = answer.body.chunk().await {
            assert_eq!(chunk.unwrap(), "hello");
        }
        assert_eq!(server.request().await.connection, 0);
    }
    call(&upstream).await.unwrap().body.drain(Duration::from_secs(5)).await;
    assert_eq!(server.request().await.connection, 0);
    call(&upstream).await.unwrap().body.drain(Duration::from_secs(5)).await;
    assert_eq!(server.request().await.connection, 0);
}

/// The server closes idle connections; each next request is sent once, on a new connection.
#[tokio::test]
async fn an_idle_connection_that_was_closed_is_replaced() {
    let mut server = Recorder::always(Reply::Close(full("200 OK", "", "hello"))).await;
    let upstream = Upstream::new(config(&server)).unwrap();
    for round in 0..20 {
        let answer = call(&upstream).await.unwrap();
        assert_eq!(answer.body.collect(10).await.unwrap(), "hello");
        assert_eq!(server.request().await.connection, round);
        // The server sees the client's close only after the client has seen the server's close.
        assert_eq!(server.closed().await, round);
    }
}

/// The same without waiting until the client has noticed the close. However the race ends, no request is sent twice.
#[tokio::test]
async fn a_race_with_the_close_never_doubles_a_request() {
    let mut server = Recorder::always(Reply::Close(full("200 OK", "", "hello"))).await;
    let upstream = Upstream::new(config(&server)).unwrap();
    let mut answered = 0;
    for _ in 0..50 {
        match call(&upstream).await {
            Ok(answer) => {
                answered += 1;
                assert_eq!(answer.body.collect(10).await.unwrap(), "hello");
            }
            Err(fault) => assert_ne!(fault.sent, upstream::Sent::Yes, "{fault}"),
        }
    }
    drop(upstream);
    let (mut requests, mut open) = (0, 0_i32);
    while requests < answered || open > 0 {
        match server.event().await {
            Event::Request(_) => (requests, open) = (requests + 1, open + 1),
            Event::Closed(_) => open -= 1,
        }
    }
    assert_eq!(requests, answered);
}
