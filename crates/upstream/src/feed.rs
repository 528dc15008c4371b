//! Version feeds: public documents, requested under the name `polygate`.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use url::Url;

use crate::account_api::BufferedAnswer;
use crate::client::OutboundRequest;
use crate::{Fault, Upstream};

/// Longest feed: an appcast lists every version ever published.
const CAP: usize = 1024 * 1024;
/// The publisher may know that an unofficial client asks.
const AGENT: &str = concat!("polygate/", env!("CARGO_PKG_VERSION"));

impl Upstream {
    /// Reads a feed, at most 1 MiB and not longer than a small call may take. No account data is sent. Errors: the [`Fault`] of the
    /// call, or a feed that is too large.
    pub async fn feed(&self, url: &Url) -> Result<BufferedAnswer, Fault> {
        let limit = self.config().timeouts.small;
        tokio::time::timeout(limit, self.read_feed(url)).await.unwrap_or_else(|_| Err(Fault::timed_out(limit)))
    }

    async fn read_feed(&self, url: &Url) -> Result<BufferedAnswer, Fault> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(AGENT));
        let outbound = OutboundRequest { method: Method::GET, url: url.clone(), headers, body: Bytes::new() };
        let answer = self.send(outbound).await?;
        let body = answer.body.collect(CAP).await?;
        Ok(BufferedAnswer { status: answer.status, body })
    }
}
