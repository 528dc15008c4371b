use std::net::{IpAddr, Ipv4Addr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::connection::state::ListenerKind;

const HEAD: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// A filter and the client's socket.
async fn filter(limits: Limits) -> (HeadFilter, TcpStream, Arc<ConnectionState>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let local = listener.local_addr().unwrap();
    let (client, accepted) = tokio::join!(TcpStream::connect(local), listener.accept());
    let connection =
        Arc::new(ConnectionState::new(IpAddr::V4(Ipv4Addr::LOCALHOST), local, (true, ListenerKind::Gateway)));
    (HeadFilter::new(accepted.unwrap().0, connection.clone(), Arc::new(limits)), client.unwrap(), connection)
}

/// Reads a head from the filter.
async fn read(filter: &mut HeadFilter) -> Vec<u8> {
    let mut head = vec![0; HEAD.len()];
    filter.read_exact(&mut head).await.unwrap();
    head
}

/// Sends one byte, which the filter must not pass on yet.
async fn look(filter: &mut HeadFilter, client: &mut TcpStream, byte: u8) {
    client.write_all(&[byte]).await.unwrap();
    filter.socket.readable().await.unwrap();
    let mut one = [0];
    let poll =
        std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut *filter).poll_read(cx, &mut ReadBuf::new(&mut one))));
    assert!(poll.await.is_pending());
}

/// RFC 9112 2.2. Some clients end a body with an empty line, and the network may split that line.
#[tokio::test]
async fn an_empty_line_before_a_head_is_passed_over_when_it_comes_in_two_parts() {
    let (mut filter, mut client, connection) = filter(Limits::default()).await;
    for _ in 0..2 {
        look(&mut filter, &mut client, b'\r').await;
        look(&mut filter, &mut client, b'\n').await;
        client.write_all(HEAD).await.unwrap();
        assert_eq!(read(&mut filter).await, HEAD);
        assert_eq!(connection.refused(), None);
    }
}

/// A response may run for hours. A client that begins its next request meanwhile must not lose the response.
#[tokio::test(start_paused = true)]
async fn the_deadline_of_a_later_head_ends_the_connection_after_its_answer() {
    let (mut filter, mut client, connection) = filter(Limits::default()).await;
    client.write_all(HEAD).await.unwrap();
    assert_eq!(read(&mut filter).await, HEAD);
    client.write_all(b"GET /hea").await.unwrap();
    let mut buffer = [0; 64];
    std::future::poll_fn(|cx| {
        let read = Pin::new(&mut filter).poll_read(cx, &mut ReadBuf::new(&mut buffer));
        assert!(read.is_pending(), "an error would end the answer: {read:?}");
        if connection.phase(cx.waker()) == Life::Drain { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    client.write_all(b"lthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let late =
        std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut filter).poll_read(cx, &mut ReadBuf::new(&mut buffer))));
    assert!(late.await.is_pending(), "nothing more is read");
}
