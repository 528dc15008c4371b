//! Calls of an account that no model answers in a stream: images and searches. JSON goes in and JSON comes out.

use bytes::Bytes;
use http::Method;
use pool::relay::Service;
use pool::{Account, Secret};

use crate::client::Ask;
use crate::codex::{headers, identity};
use crate::profile::Slot;
use crate::{Answer, Fault, Upstream};

/// Request headers of a Codex client that say which turn a call is for, and are passed on; any other is not sent.
pub const TURN: [&str; 2] = ["x-codex-image-turn-id", "x-codex-turn-metadata"];

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
    /// The id of the turn that an image is for, a UUID, where the client names none.
    pub turn: &'a str,
    /// A Codex client's own headers; only those in [`TURN`] are sent.
    pub passed: &'a [(&'static str, String)],
}

impl Upstream {
    /// `POST {base}/codex` and the service's path; resolves at the answer's headers, for which a picture may take its time.
    /// Dropping the future, or the answer's body, ends the exchange.
    pub async fn errand(&self, errand: Errand<'_>) -> Result<Answer, Fault> {
        let Errand { account, access, service, body, turn, passed } = errand;
        let (profile, url) = (&*self.profile(), self.places().errand(service));
        let own = |slot: Slot| {
            let name = slot.name();
            let found = passed.iter().find(|(given, _)| name == *given && TURN.contains(given));
            found.map(|(_, value)| value.clone())
        };
        let cookie = self.jars().header(&account.id, &url);
        let headers = headers::write(profile.orders.errand, |slot| match slot {
            Slot::Accept => Some("*/*".to_owned()),
            Slot::ContentType => Some("application/json".to_owned()),
            Slot::ImageTurn => service.draws().then(|| own(slot).unwrap_or_else(|| turn.to_owned())),
            Slot::TurnMetadata => own(slot),
            Slot::Cookie => cookie.as_ref().map(|cookie| cookie.expose().to_owned()),
            slot => identity(slot, profile, account, access),
        })?;
        let ask = Ask { method: Method::POST, url: url.clone(), headers, body };
        let mut answer = self.send_within(ask, self.config().timeouts.service).await?;
        self.jars().absorb(&account.id, &url, &mut answer.headers);
        Ok(answer)
    }
}
