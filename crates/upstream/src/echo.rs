//! The address that the internet sees of this machine, through the caller's egress.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use url::Url;

use crate::client::{OutboundRequest, Upstream};
use crate::fault::{Fault, FaultKind, Sent};

/// Most bytes of an echo service's answer.
const ECHO: usize = 16 << 10;

/// The answer of an echo service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EchoReply {
    /// The address that it sees.
    pub ip: IpAddr,
    /// From the start of the call to the end of its answer.
    pub latency: Duration,
}

impl Upstream {
    /// Asks an echo service which address it sees: `{"ip": ...}` or the address alone. Takes `limit` at most. Errors: the [`Fault`] of
    /// the call; [`FaultKind::Cut`] for an answer that is no address.
    pub async fn echo(&self, service: &Url, limit: Duration) -> Result<EchoReply, Fault> {
        let begun = Instant::now();
        let asked = tokio::time::timeout(limit, self.ask_echo(service)).await;
        let ip = asked.unwrap_or_else(|_| Err(Fault::timed_out(limit)))?;
        Ok(EchoReply { ip, latency: begun.elapsed() })
    }

    async fn ask_echo(&self, service: &Url) -> Result<IpAddr, Fault> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/plain"));
        let outbound = OutboundRequest { method: Method::GET, url: service.clone(), headers, body: Bytes::new() };
        let answer = self.send(outbound).await?;
        let status = answer.status;
        let body = answer.body.collect(ECHO).await?;
        let odd =
            || Fault::new(Sent::Yes, FaultKind::Cut, format!("the echo service's answer ({status}) is no address"));
        parse_address(&body).filter(|_| status == 200).ok_or_else(odd)
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
