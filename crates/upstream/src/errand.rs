//! Calls of an account that no model answers in a stream: images and searches. JSON goes in and JSON comes out.

use bytes::Bytes;
use http::Method;
use pool::relay::Service;
use pool::{Account, Secret};

use crate::client::Ask;
use crate::codex::{headers, identity};
use crate::profile::Slot;
use crate::{Answer, Fault, Upstream};

/// One such call.
pub struct Errand<'a> {
    /// Whose.
    pub account: &'a Account,
    /// Its bearer.
    pub access: &'a Secret,
    /// Which.
    pub service: Service,
    /// The JSON body.
    pub body: Bytes,
    /// The id of the turn that an image is for, a UUID.
    pub turn: &'a str,
}

impl Upstream {
    /// `POST {base}/codex` and the service's path; resolves at the answer's headers, for which a picture may take its time.
    /// Dropping the future, or the answer's body, ends the exchange.
    pub async fn errand(&self, errand: Errand<'_>) -> Result<Answer, Fault> {
        let Errand { account, access, service, body, turn } = errand;
        let (profile, url) = (&*self.profile(), self.places().errand(service));
        let cookie = self.jars().header(&account.id, &url);
        let headers = headers::write(profile.orders.errand, |slot| match slot {
            Slot::Accept => Some("*/*".to_owned()),
            Slot::ContentType => Some("application/json".to_owned()),
            Slot::ImageTurn => service.draws().then(|| turn.to_owned()),
            Slot::Cookie => cookie.as_ref().map(|cookie| cookie.expose().to_owned()),
            slot => identity(slot, profile, account, access),
        })?;
        let ask = Ask { method: Method::POST, url: url.clone(), headers, body };
        let mut answer = self.send_within(ask, self.config().timeouts.service).await?;
        self.jars().absorb(&account.id, &url, &mut answer.headers);
        Ok(answer)
    }
}
