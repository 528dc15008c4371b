//! A WebSocket client.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

/// Longest wait for a message; a test that reaches it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection.
pub(crate) struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    /// Connects, with these headers in addition to those of the handshake.
    pub(crate) async fn open(port: u16, headers: &[(&'static str, &str)]) -> Result<Self, Box<Error>> {
        Self::at("/v1/responses", port, headers).await
    }

    /// Connects to another path.
    pub(crate) async fn at(path: &str, port: u16, headers: &[(&'static str, &str)]) -> Result<Self, Box<Error>> {
        let mut request = format!("ws://localhost:{port}{path}").into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().expect("a header"));
        }
        let socket = TcpStream::connect(("127.0.0.1", port)).await.expect("the server listens");
        let config = WebSocketConfig::default().max_frame_size(None).max_message_size(None);
        let shaken = tokio_tungstenite::client_async_with_config(request, socket, Some(config)).await;
        Ok(Self(shaken.map_err(Box::new)?.0))
    }

    pub(crate) async fn send(&mut self, message: Message) {
        // A server that has already closed is not an error here.
        let _ = self.0.send(message).await;
    }

    /// Sends raw bytes: frames or parts of frames.
    pub(crate) async fn raw(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.0.get_mut().write_all(bytes.as_ref()).await;
    }

    /// Ends the connection with a reset.
    pub(crate) fn reset(self) {
        self.0.get_ref().set_zero_linger().expect("a socket");
    }

    /// Waits until everything that was sent so far has been read.
    pub(crate) async fn ping(&mut self) {
        self.send(Message::Ping("so far".into())).await;
        loop {
            match self.next().await {
                Some(Message::Pong(payload)) if payload == "so far" => return,
                Some(_) => {}
                None => panic!("closed before the pong"),
            }
        }
    }

    /// Requests a response.
    pub(crate) async fn create(&mut self, request: Value) {
        let mut request = request;
        request["type"] = json!("response.create");
        self.send(Message::text(request.to_string())).await;
    }

    /// The next event; `None` at the end.
    pub(crate) async fn event(&mut self) -> Option<Value> {
        loop {
            match self.next().await? {
                Message::Text(text) => return Some(serde_json::from_str(&text).expect("a message of JSON")),
                Message::Ping(_) => {}
                _ => return None,
            }
        }
    }

    pub(crate) async fn next(&mut self) -> Option<Message> {
        let next = tokio::time::timeout(PATIENCE, self.0.next()).await.expect("a message in time");
        next.and_then(Result::ok)
    }

    /// The events up to and including the one that ends a response.
    pub(crate) async fn reply(&mut self) -> Vec<Value> {
        let mut events = Vec::new();
        while let Some(event) = self.event().await {
            let over = ["response.completed", "response.failed", "response.incomplete", "error"];
            let ends = over.iter().any(|name| event["type"] == *name);
            events.push(event);
            if ends {
                return events;
            }
        }
        panic!("closed before the end of {events:#?}");
    }

    /// Requests a response, and returns the last event.
    pub(crate) async fn ask(&mut self, request: Value) -> Value {
        self.create(request).await;
        self.reply().await.pop().expect("a last event")
    }

    /// The content of the frame that closes the connection.
    pub(crate) async fn closed(&mut self) -> Option<CloseFrame> {
        loop {
            if let Message::Close(frame) = self.next().await? {
                return frame;
            }
        }
    }
}

/// The head of a client's frame, with a mask that changes nothing.
pub(crate) fn head(first: u8, length: usize) -> Vec<u8> {
    let length = u64::try_from(length).expect("a length").to_be_bytes();
    [&[first, 0xff][..], &length, &[0; 4]].concat()
}

/// The text of a response.
pub(crate) fn words(response: &Value) -> String {
    let items = response["output"].as_array().into_iter().flatten();
    let parts = items.flat_map(|item| item["content"].as_array().into_iter().flatten());
    parts.filter_map(|part| part["text"].as_str()).collect()
}
