//! Service calls of an account: images and searches. The request and the answer are JSON; nothing is streamed.

use bytes::Bytes;
use http::Method;
use pool::relay::Service;
use pool::{Account, Secret};

use crate::client::OutboundRequest;
use crate::codex::{headers, identity};
use crate::profile::HeaderField;
use crate::{Answer, Fault, Upstream};

/// Request headers of a Codex client that name the turn of a call. Only these are passed on.
pub const TURN_HEADERS: [&str; 2] = ["x-codex-image-turn-id", "x-codex-turn-metadata"];

/// One service call.
pub struct ServiceCall<'a> {
    /// The account.
    pub account: &'a Account,
    /// The account's access token.
    pub access: &'a Secret,
    /// The service.
    pub service: Service,
    /// The JSON body.
    pub body: Bytes,
    /// The turn's id (UUID) for an image, if the client names none.
    pub turn: &'a str,
    /// A Codex client's own headers; only those in [`TURN_HEADERS`] are sent.
    pub client_headers: &'a [(&'static str, String)],
}

impl Upstream {
    /// `POST {base}/codex` and the service's path; resolves at the answer's headers, which come late for an image. Dropping the future,
    /// or the answer's body, ends the exchange.
    pub async fn call_service(&self, call: ServiceCall<'_>) -> Result<Answer, Fault> {
        let ServiceCall { account, access, service, body, turn, client_headers: passed } = call;
        let (profile, url) = (&*self.profile(), self.endpoints().service(service));
        let own = |field: HeaderField| {
            let name = field.name();
            let pair = passed.iter().find(|(key, _)| name == *key && TURN_HEADERS.contains(key));
            pair.map(|(_, value)| value.clone())
        };
        let cookie = self.jars().header(&account.id, &url);
        let headers = headers::write(profile.orders.service, |field| match field {
            HeaderField::Accept => Some("*/*".to_owned()),
            HeaderField::ContentType => Some("application/json".to_owned()),
            HeaderField::ImageTurn => service.draws().then(|| own(field).unwrap_or_else(|| turn.to_owned())),
            HeaderField::TurnMetadata => own(field),
            HeaderField::Cookie => cookie.as_ref().map(|cookie| cookie.expose().to_owned()),
            field => identity(field, profile, account, access),
        })?;
        let outbound = OutboundRequest { method: Method::POST, url: url.clone(), headers, body };
        let mut answer = self.send_within(outbound, self.config().timeouts.service).await?;
        self.jars().absorb(&account.id, &url, &mut answer.headers);
        Ok(answer)
    }
}
