//! Opening a socket: the upgrade, with the names, values and order of the official client's.

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

use super::super::{Leg, headers, value};
use super::Detour;
use crate::Upstream;
use crate::fault::{Fault, FaultKind, Sent};
use crate::profile::Slot;
use crate::response::{Answer, Body};
use crate::websocket::lost;
use crate::websocket::pool::{Key, Socket};
use crate::websocket::read_clock::ReadClock;

/// Bytes that a socket reads at once. The library clears as many before each read, so a token that comes alone pays for them.
const READ: usize = 4 << 10;
/// Longest message; an image comes in one.
const MESSAGE: usize = pool::limits::EVENT;

/// What an upgrade came to.
pub(super) enum Hailed {
    Open(Box<Socket>),
    /// The backend answered as it would answer the call.
    Refused(Box<Answer>),
}

impl Upstream {
    /// Opens a socket for the call.
    pub(super) async fn hail(&self, leg: &Leg<'_>, key: Key, at: Millis) -> Result<Hailed, Detour> {
        let request = self.upgrade(leg).map_err(Detour::Fault)?;
        let named = |fault: Fault| {
            let fault = self.name(fault);
            self.hear(Err(&fault));
            Detour::Fault(fault)
        };
        // Connections opened before a leap of the clock are not good after it.
        let epoch = self.shelf().epoch(&key.account);
        let lanes = self.inner.ways.lanes(&self.way).map_err(named)?;
        let conn = lanes.open(&self.place(leg)).await.map_err(named)?;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ)
            .write_buffer_size(0)
            .max_message_size(Some(MESSAGE))
            .max_frame_size(Some(MESSAGE));
        let upgraded = client_async_with_config(request, ReadClock::new(conn), Some(config));
        let answered = timeout(self.config().timeouts.connect, upgraded).await;
        let (stream, mut response) = match answered {
            Ok(Ok(opened)) => opened,
            Ok(Err(tungstenite::Error::Http(response))) => return self.declined(leg, *response, at),
            Ok(Err(error)) => return self.lost(leg, lost(&error), at),
            Err(_) => return self.lost(leg, "the upgrade to a socket took too long".to_owned(), at),
        };
        self.hear(Ok(()));
        self.greeted(leg, response.headers_mut());
        let (greeting, figures) = kept(response.headers());
        let now = Instant::now();
        let way = self.way.key();
        Ok(Hailed::Open(Box::new(Socket {
            stream,
            key,
            way,
            opened: now,
            used: now,
            waited: false,
            chain: None,
            epoch,
            sent: 0,
            greeting,
            figures,
        })))
    }

    fn upgrade(&self, leg: &Leg<'_>) -> Result<Request<()>, Fault> {
        let (profile, url) = (&*self.profile(), &self.place(leg));
        let cookie = self.jars().header(&leg.account.id, url);
        let mut headers = headers::write(profile.orders.socket, |slot| match slot {
            Slot::Cookie => cookie.as_ref().map(|cookie| cookie.expose().to_owned()),
            slot => value(slot, profile, leg),
        })?;
        // The library moves these five to the front; anywhere else than at the end they would disturb the order of the others.
        let text = |text: &str| HeaderValue::from_str(text).map_err(|_| unsendable());
        headers.insert(HOST, text(&host(url))?);
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

    /// The backend's answer to an upgrade other than 101. What a POST would be told too is taken for the answer.
    fn declined(&self, leg: &Leg<'_>, response: Response, at: Millis) -> Result<Hailed, Detour> {
        let (mut head, body) = response.into_parts();
        self.hear(Ok(()));
        self.greeted(leg, &mut head.headers);
        let body = Bytes::from(body.unwrap_or_default());
        let length = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let status = head.status.as_u16();
        match status {
            426 => self.shelf().refused(&leg.account.id, at),
            401 | 429 => {
                // The library reads no further than the head: a body that did not come with it is left out, as its headers say enough.
                let body = if length == Some(body.len()) { body } else { Bytes::new() };
                let answer = Answer { status, headers: head.headers, body: Body::whole(body) };
                return Ok(Hailed::Refused(Box::new(answer)));
            }
            _ => self.shelf().failed(&leg.account.id, at),
        }
        Err(Detour::Post(format!("the upstream answered an upgrade to a socket with {status}")))
    }

    fn lost(&self, leg: &Leg<'_>, why: String, at: Millis) -> Result<Hailed, Detour> {
        self.shelf().failed(&leg.account.id, at);
        Err(Detour::Post(why))
    }

    fn greeted(&self, leg: &Leg<'_>, headers: &mut HeaderMap) {
        self.jars().absorb(&leg.account.id, &self.place(leg), headers);
        if let Some(talk) = &leg.talk {
            self.hear_clock(headers, talk.now);
        }
    }
}

/// What the headers of an upgrade say for every turn of its socket, and for the first one only. A turn state among them is not echoed
/// (spec of the official client, section 3.2).
fn kept(headers: &HeaderMap) -> (HeaderMap, HeaderMap) {
    let pick = |wanted: &dyn Fn(&str) -> bool| {
        let chosen = headers.iter().filter(|(name, _)| wanted(name.as_str()));
        chosen.map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    let lasting = |name: &str| matches!(name, "openai-model" | "x-models-etag" | "x-reasoning-included");
    (pick(&lasting), pick(&|name| name.starts_with("x-codex-") && name != "x-codex-turn-state"))
}

/// Host and port as the `host` header has them.
fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn unsendable() -> Fault {
    Fault::new(Sent::No, FaultKind::Unsendable, "the upstream's address cannot be sent")
}
