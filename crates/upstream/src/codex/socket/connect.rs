//! Opens a WebSocket: the upgrade has the header names, values and order of the official client.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, UPGRADE};
use http::{HeaderMap, HeaderValue, Request};
use pool::Millis;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::handshake::client::{Response, generate_key};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use url::Url;

use super::super::{ModelCall, header_value, headers};
use super::SocketError;
use crate::Upstream;
use crate::fault::{Fault, FaultKind, Sent};
use crate::profile::HeaderField;
use crate::response::{Answer, Body};
use crate::websocket::connection_lost;
use crate::websocket::pool::{Socket, SocketKey};
use crate::websocket::watched_conn::WatchedConn;

/// The most that the library reads at once. The library zeroes as many bytes before each try to read, three times per token; [`WatchedConn`] reads
/// more from the connection.
const READ: usize = 1 << 10;
/// Longest message; an image arrives in one message.
const MESSAGE: usize = pool::limits::EVENT;

/// The outcome of an upgrade request.
pub(super) enum UpgradeOutcome {
    Open(Box<Socket>),
    /// The backend's answer, which is also the answer to the call.
    Refused(Box<Answer>),
}

impl Upstream {
    /// Opens a socket for the call.
    pub(super) async fn connect_socket(
        &self,
        call: &ModelCall<'_>,
        key: SocketKey,
        at: Millis,
    ) -> Result<UpgradeOutcome, SocketError> {
        let request = self.upgrade_request(call).map_err(SocketError::Fault)?;
        let named = |fault: Fault| {
            let fault = self.name_proxy(fault);
            self.report_outcome(Err(&fault));
            SocketError::Fault(fault)
        };
        // A connection that was opened before a jump of the clock must not enter the pool after the jump.
        let epoch = self.socket_pool().epoch(&key.account);
        let clients = self.inner.egress_clients.clients(&self.egress).map_err(named)?;
        let conn = clients.connect(&self.model_url(call)).await.map_err(named)?;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ)
            .write_buffer_size(0)
            .max_message_size(Some(MESSAGE))
            .max_frame_size(Some(MESSAGE));
        let upgraded = client_async_with_config(request, WatchedConn::new(conn), Some(config));
        let answered = timeout(self.config().timeouts.connect, upgraded).await;
        let (stream, mut response) = match answered {
            Ok(Ok(opened)) => opened,
            Ok(Err(tungstenite::Error::Http(response))) => return self.upgrade_declined(call, *response, at),
            Ok(Err(error)) => return self.upgrade_failed(call, connection_lost(&error), at),
            Err(_) => return self.upgrade_failed(call, "the upgrade to a socket took too long".to_owned(), at),
        };
        self.report_outcome(Ok(()));
        self.absorb_headers(call, response.headers_mut());
        let (greeting, figures) = split_headers(response.headers());
        let now = Instant::now();
        let egress = self.egress.key();
        Ok(UpgradeOutcome::Open(Box::new(Socket {
            stream,
            key,
            egress,
            opened: now,
            last_used: now,
            reused: false,
            chain: None,
            epoch,
            largest_sent: 0,
            connection_headers: greeting,
            first_turn_headers: figures,
        })))
    }

    fn upgrade_request(&self, call: &ModelCall<'_>) -> Result<Request<()>, Fault> {
        let (profile, url) = (&*self.profile(), &self.model_url(call));
        let cookie = self.jars().header(&call.account.id, url);
        let mut headers = headers::write(profile.orders.socket, |field| match field {
            HeaderField::Cookie => cookie.as_ref().map(|cookie| cookie.expose().to_owned()),
            field => header_value(field, profile, call),
        })?;
        // The library moves these five to the front; inserting them last leaves the order of the others unchanged.
        let text = |text: &str| HeaderValue::from_str(text).map_err(|_| unsendable());
        headers.insert(HOST, text(&host_header(url))?);
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert("sec-websocket-version", HeaderValue::from_static("13"));
        headers.insert("sec-websocket-key", text(&generate_key())?);
        let mut target = url.clone();
        let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
        let set = target.set_scheme(scheme);
        let mut request = Request::new(());
        *request.uri_mut() = set.ok().and_then(|()| target.as_str().parse().ok()).ok_or_else(unsendable)?;
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// Handles an answer to an upgrade other than 101. A status that a POST would get too is the answer to the call.
    fn upgrade_declined(
        &self,
        call: &ModelCall<'_>,
        response: Response,
        at: Millis,
    ) -> Result<UpgradeOutcome, SocketError> {
        let (mut head, body) = response.into_parts();
        self.report_outcome(Ok(()));
        self.absorb_headers(call, &mut head.headers);
        let body = Bytes::from(body.unwrap_or_default());
        let length = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let status = head.status.as_u16();
        match status {
            426 => self.socket_pool().mark_refused(&call.account.id, at),
            401 | 429 => {
                // The library reads only the head. A body that did not arrive together with the head is left out; the headers are enough.
                let body = if length == Some(body.len()) { body } else { Bytes::new() };
                let answer = Answer { status, headers: head.headers, body: Body::whole(body) };
                return Ok(UpgradeOutcome::Refused(Box::new(answer)));
            }
            _ => self.socket_pool().mark_failed(&call.account.id, at),
        }
        Err(SocketError::Unavailable(format!("the upstream answered an upgrade to a socket with {status}")))
    }

    fn upgrade_failed(&self, call: &ModelCall<'_>, why: String, at: Millis) -> Result<UpgradeOutcome, SocketError> {
        self.socket_pool().mark_failed(&call.account.id, at);
        Err(SocketError::Unavailable(why))
    }

    fn absorb_headers(&self, call: &ModelCall<'_>, headers: &mut HeaderMap) {
        self.jars().absorb(&call.account.id, &self.model_url(call), headers);
        if let Some(options) = &call.socket {
            self.report_date(headers, options.now);
        }
    }
}

/// Splits the upgrade's headers into those for every turn of the socket, and those for the first turn only. A turn state is not echoed
/// (spec of the official client, section 3.2).
fn split_headers(headers: &HeaderMap) -> (HeaderMap, HeaderMap) {
    let pick = |wanted: &dyn Fn(&str) -> bool| {
        let chosen = headers.iter().filter(|(name, _)| wanted(name.as_str()));
        chosen.map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    let lasting = |name: &str| matches!(name, "openai-model" | "x-models-etag" | "x-reasoning-included");
    (pick(&lasting), pick(&|name| name.starts_with("x-codex-") && name != "x-codex-turn-state"))
}

/// Host and port in the form of the `host` header.
fn host_header(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn unsendable() -> Fault {
    Fault::new(Sent::No, FaultKind::Unsendable, "the upstream's address cannot be sent")
}
