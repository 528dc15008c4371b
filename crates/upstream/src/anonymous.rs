//! Calls without account data: to an echo service, to a version feed, and to test whether the backend is reachable.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use url::Url;

use crate::account_api::BufferedAnswer;
use crate::client::{OutboundRequest, Upstream};
use crate::fault::{Fault, FaultKind, Sent};
use crate::response::Answer;

/// Most bytes of an echo service's answer.
const ECHO: usize = 16 << 10;
/// Longest feed: an appcast lists every version ever published.
const FEED: usize = 1024 * 1024;
/// The User-Agent for feeds, which does not pretend to be the official client's.
const AGENT: &str = concat!("polygate/", env!("CARGO_PKG_VERSION"));

/// The answer of an echo service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EchoReply {
    /// This machine's address as the service sees it, through the caller's egress.
    pub ip: IpAddr,
    /// From the start of the call to the end of its answer.
    pub latency: Duration,
}

impl Upstream {
    /// Asks an echo service which address it sees: `{"ip": ...}` or the address alone. Takes `limit` at most. Errors: the [`Fault`] of
    /// the call; [`FaultKind::Cut`] for an answer that is no address.
    pub async fn echo(&self, service: &Url, limit: Duration) -> Result<EchoReply, Fault> {
        let begun = Instant::now();
        let (status, body) = Fault::within(limit, async {
            let answer = self.get(service, &[(header::ACCEPT, "application/json, text/plain")]).await?;
            Ok((answer.status, answer.body.collect(ECHO).await?))
        })
        .await?;
        let odd =
            || Fault::new(Sent::Yes, FaultKind::Cut, format!("the echo service's answer ({status}) is no address"));
        let ip = parse_address(&body).filter(|_| status == 200).ok_or_else(odd)?;
        Ok(EchoReply { ip, latency: begun.elapsed() })
    }

    /// Reads a feed with the User-Agent `polygate`, at most 1 MiB, within the time limit of small calls. Errors: the [`Fault`] of the
    /// call, or a feed that is too large.
    pub async fn feed(&self, url: &Url) -> Result<BufferedAnswer, Fault> {
        Fault::within(self.config().timeouts.small, async {
            let answer = self.get(url, &[(header::ACCEPT, "*/*"), (header::USER_AGENT, AGENT)]).await?;
            Ok(BufferedAnswer { status: answer.status, body: answer.body.collect(FEED).await? })
        })
        .await
    }

    /// Requests the backend's catalogue without credentials and returns the status; any status means that the backend is reachable.
    /// Errors: the [`Fault`] of the call: connect, TLS, proxy, timeout.
    pub async fn check_reachable(&self) -> Result<u16, Fault> {
        let answer = Fault::within(self.config().timeouts.small, self.get(&self.endpoints().models, &[])).await?;
        Ok(answer.status)
    }

    async fn get(&self, url: &Url, fields: &[(HeaderName, &'static str)]) -> Result<Answer, Fault> {
        let headers: HeaderMap =
            fields.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
        self.send(OutboundRequest { method: Method::GET, url: url.clone(), headers, body: Bytes::new() }).await
    }
}

fn parse_address(body: &[u8]) -> Option<IpAddr> {
    #[derive(serde::Deserialize)]
    struct Echo {
        #[serde(alias = "origin", alias = "query")]
        ip: IpAddr,
    }
    let text = std::str::from_utf8(body).ok()?.trim();
    text.parse().ok().or_else(|| serde_json::from_str::<Echo>(text).ok().map(|echo| echo.ip))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn echoes() {
        let cases: [(&str, Option<&str>); 7] = [
            ("{\"ip\": \"192.0.2.1\"}", Some("192.0.2.1")),
            ("{\"ip\":\"2001:db8::1\",\"city\":\"x\"}", Some("2001:db8::1")),
            ("192.0.2.1\n", Some("192.0.2.1")),
            ("{\"query\": \"192.0.2.1\"}", Some("192.0.2.1")),
            ("<html>", None),
            ("{\"ip\": \"here\"}", None),
            ("", None),
        ];
        for (body, expected) in cases {
            assert_eq!(parse_address(body.as_bytes()), expected.map(|text| text.parse().unwrap()), "{body}");
        }
    }
}
