//! Whether the backend is reachable; for `doctor`.

use bytes::Bytes;
use http::{HeaderMap, Method};

use crate::client::OutboundRequest;
use crate::{Fault, Upstream};

impl Upstream {
    /// Requests the backend's catalogue without credentials and returns the status; any status means that the backend is reachable.
    /// Errors: the [`Fault`] of the call: connect, TLS, proxy, timeout.
    pub async fn reach(&self) -> Result<u16, Fault> {
        let url = self.endpoints().models.clone();
        let outbound = OutboundRequest { method: Method::GET, url, headers: HeaderMap::new(), body: Bytes::new() };
        let limit = self.config().timeouts.small;
        let answer =
            tokio::time::timeout(limit, self.send(outbound)).await.unwrap_or_else(|_| Err(Fault::timed_out(limit)))?;
        Ok(answer.status)
    }
}
