use tokio_tungstenite::tungstenite::protocol::Role;

use super::*;

async fn socket(number: usize, sent: usize) -> Socket {
    let (near, _far) = tokio::io::duplex(64);
    let now = Instant::now();
    Socket {
        stream: WebSocketStream::from_raw_socket(WatchedConn::new(Box::new(near)), Role::Client, None).await,
        key: SocketKey { account: AccountId("a".into()), conversation: number as u128, hint: String::new() },
        egress: EgressKey::Direct,
        opened: now,
        last_used: now,
        reused: true,
        chain: None,
        epoch: 0,
        largest_sent: sent,
        connection_headers: HeaderMap::new(),
        first_turn_headers: HeaderMap::new(),
    }
}

async fn sockets(numbers: std::ops::Range<usize>, sent: usize) -> Vec<Socket> {
    let mut all = Vec::new();
    for number in numbers {
        all.push(socket(number, sent).await);
    }
    all
}

/// While sockets are checked, other sockets return from their turns. All of them together stay within the limits.
#[tokio::test(start_paused = true)]
async fn what_was_looked_at_takes_only_the_room_that_is_left() {
    let mut waiting = IdleSockets::default();
    let looked = sockets(0..MOST, 1).await;
    tokio::time::advance(Duration::from_secs(1)).await;
    for back in sockets(MOST..MOST + 6, 1).await {
        waiting.sockets.insert(back.key.clone(), back);
    }
    let evicted = waiting.restore(looked);
    assert_eq!((waiting.sockets.len(), evicted.len()), (MOST, 6));
    assert!(sockets(MOST..MOST + 6, 1).await.iter().all(|back| waiting.sockets.contains_key(&back.key)));

    let mut waiting = IdleSockets::default();
    let evicted = waiting.restore(sockets(0..LARGE_SUM / LARGE + 2, LARGE).await);
    assert_eq!((waiting.sockets.len(), evicted.len()), (LARGE_SUM / LARGE, 2), "by bytes too");
}
