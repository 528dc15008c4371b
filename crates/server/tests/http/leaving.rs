//! Clients that leave a WebSocket: at every event of a reply, in every way that a connection ends.

use std::time::Duration;

use offline::{EndKind, Plan, Rule, Wait};
use pool::transport::TransportMode;
use rstest::rstest;
use serde_json::json;
use store::Outcome;
use tokio_tungstenite::tungstenite::Message;

use crate::socket::Socket;
use crate::streams::Site;

const SOON: Duration = Duration::from_secs(10);

/// How a client leaves.
#[derive(Clone, Copy, Debug)]
enum Exit {
    /// The client sends a close frame and waits for the reply to it.
    Close,
    /// The client closes the connection.
    Fin,
    /// The client resets the connection.
    Reset,
}

impl Exit {
    async fn take(self, mut socket: Socket) {
        match self {
            Self::Close => {
                socket.send(Message::Close(None)).await;
                assert_eq!(socket.closed().await, None, "an answer to a close without a code");
            }
            Self::Fin => drop(socket),
            Self::Reset => socket.reset(),
        }
    }
}

/// A gateway that serves one request at a time and has few sockets, so that a permit that is not released blocks the next client.
async fn narrow(transport: TransportMode) -> Site {
    let tune = |settings: &mut engine::Settings| {
        settings.transport = transport;
        settings.max_concurrent = 1;
        // Events before the first real one are held back for this time.
        settings.commit = Duration::from_millis(20);
    };
    Site::new(&["plus"], tune, |settings| (settings.limits.replies, settings.limits.sockets) = (1, 2)).await
}

/// A socket on which a reply was requested.
async fn ask(site: &Site) -> Socket {
    let key = format!("Bearer {}", site.gateway.keys.client);
    let mut socket = Socket::open(site.gateway.port, &[("authorization", &key)]).await.unwrap();
    socket.create(json!({ "model": "gpt-6-sol", "input": "count to 3", "store": false })).await;
    socket
}

#[rstest]
#[tokio::test]
async fn at_any_event_of_a_reply(
    #[values(Exit::Close, Exit::Fin, Exit::Reset)] exit: Exit,
    #[values(TransportMode::Http, TransportMode::WebSocket)] transport: TransportMode,
) {
    let site = narrow(transport).await;
    let whole = ask(&site).await.reply().await;
    // Over a WebSocket, the backend begins with three events that are only for its own client.
    let own = if transport == TransportMode::WebSocket { 3 } else { 0 };
    for cut in 0..=whole.len() {
        let pause = Plan::auto().pause(u32::try_from(own + cut).unwrap(), Wait::Forever);
        site.backend.add_rule(Rule::responses(if cut < whole.len() { pause } else { Plan::auto() }));
        let mut socket = ask(&site).await;
        for event in &whole[..cut] {
            let next = tokio::time::timeout(SOON, socket.event()).await.expect("in time").expect("an event");
            assert_eq!(next["type"], event["type"], "{cut}");
        }
        site.backend.wait_until(SOON, |record| record.model_requests().count() == cut + 2).await.unwrap();
        let left = site.backend.now();
        exit.take(socket).await;
        site.backend
            .wait_until(SOON, |record| record.model_requests().all(|post| post.ending.is_some()))
            .await
            .unwrap();
        let ending = site.backend.record().model_requests().last().unwrap().ending.unwrap();
        let wanted = if cut < whole.len() { EndKind::Client } else { EndKind::Complete };
        let after = ending.at.saturating_sub(left);
        assert!(ending.left == wanted && after < Duration::from_secs(1), "{cut}: {ending:?}, {after:?} later");
    }
    let rows = site.rows(whole.len() + 2).await;
    let ids: std::collections::HashSet<_> = rows.iter().map(|row| row.id).collect();
    assert_eq!((rows.len(), ids.len()), (whole.len() + 2, whole.len() + 2));
    // The newest reply was cut after its end, and the oldest was not cut.
    let outcomes: Vec<_> = rows.iter().map(|row| row.outcome).collect();
    let aborted = vec![Outcome::Aborted; whole.len()];
    assert_eq!(outcomes, [&[Outcome::Completed], &aborted[..], &[Outcome::Completed]].concat());
    let account = &site.engine.accounts().list()[0];
    assert_eq!((account.status, account.in_flight), ("active", 0));
    assert_eq!(ask(&site).await.reply().await.len(), whole.len(), "and the next client is served");
    assert_eq!(site.backend.record().offences, []);
}
