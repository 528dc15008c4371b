//! The small calls beside the model call: catalogue, usage, reset credits, workspace routing. Each reads its whole answer,
//! bounded in size and time.

use bytes::Bytes;
use http::{Method, header};
use pool::{Account, Secret};
use url::Url;

use crate::client::Ask;
use crate::codex::{headers, identity};
use crate::profile::Slot;
use crate::{Fault, Upstream};

/// The live catalogue is some 300 kB with its instructions.
const MODELS: usize = 8 * 1024 * 1024;
const SMALL: usize = 1024 * 1024;

/// A catalogue call's outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelsAnswer {
    /// The given etag still holds.
    NotModified,
    /// A new catalogue.
    Fresh {
        /// Its etag.
        etag: Option<String>,
        /// `{"models": [...]}`.
        body: Bytes,
    },
    /// Any other status, for the retry table.
    Refused {
        /// The status.
        status: u16,
        /// Its body.
        body: Bytes,
    },
}

/// A small call's outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Small {
    /// Any status but 3xx.
    pub status: u16,
    /// The body, at most 1 MiB.
    pub body: Bytes,
}

/// Whose call, and where.
struct Side<'a> {
    account: &'a Account,
    access: &'a Secret,
    url: &'a Url,
    order: &'static [Slot],
    etag: Option<&'a str>,
    /// The version of the protocol that is presented; `None` is the profile's.
    version: Option<&'a str>,
    /// JSON to post; empty is a GET.
    body: Bytes,
}

impl Upstream {
    /// The account's live catalogue, at most 8 MiB, for clients of a version, else of the profile's; `etag` as
    /// [`ModelsAnswer::Fresh`] gave it.
    pub async fn models(
        &self,
        account: &Account,
        access: &Secret,
        (version, etag): (Option<&str>, Option<&str>),
    ) -> Result<ModelsAnswer, Fault> {
        let (mut url, profile) = (self.places().models.clone(), self.profile());
        url.query_pairs_mut().append_pair("client_version", version.unwrap_or(&profile.version));
        let order = profile.orders.models;
        let side = Side { account, access, url: &url, order, etag, version, body: Bytes::new() };
        let (head, body) = self.side(&side, MODELS).await?;
        Ok(match head.status {
            304 => ModelsAnswer::NotModified,
            200 => ModelsAnswer::Fresh { etag: head.etag, body },
            status => ModelsAnswer::Refused { status, body },
        })
    }

    /// The account's quota: `GET /wham/usage`; where that is not there, `GET /codex/usage`.
    pub async fn usage(&self, account: &Account, access: &Secret) -> Result<Small, Fault> {
        let answer = self.small(account, access, &self.places().usage).await?;
        if !matches!(answer.status, 404 | 405) {
            return Ok(answer);
        }
        self.small(account, access, &self.places().usage_too).await
    }

    /// The account's reset credits: `GET /wham/rate-limit-reset-credits`.
    pub async fn reset_credits(&self, account: &Account, access: &Secret) -> Result<Small, Fault> {
        self.small(account, access, &self.places().credits).await
    }

    /// Consumes a reset credit: `POST /wham/rate-limit-reset-credits/consume`. Irreversible; the same `request_id` (a UUID) again
    /// consumes no second one.
    pub async fn consume_credit(&self, account: &Account, access: &Secret, request_id: &str) -> Result<Small, Fault> {
        let body = serde_json::json!({ "redeem_request_id": request_id }).to_string().into();
        let order = self.profile().orders.order;
        let url = &self.places().consume;
        let side = Side { account, access, url, order, etag: None, version: None, body };
        let (head, body) = self.side(&side, SMALL).await?;
        Ok(Small { status: head.status, body })
    }

    /// The account's workspaces and their routing: `GET /wham/accounts/check`.
    pub async fn accounts_check(&self, account: &Account, access: &Secret) -> Result<Small, Fault> {
        self.small(account, access, &self.places().accounts).await
    }

    async fn small(&self, account: &Account, access: &Secret, url: &Url) -> Result<Small, Fault> {
        let order = self.profile().orders.side;
        let side = Side { account, access, url, order, etag: None, version: None, body: Bytes::new() };
        let (head, body) = self.side(&side, SMALL).await?;
        Ok(Small { status: head.status, body })
    }

    async fn side(&self, side: &Side<'_>, cap: usize) -> Result<(Head, Bytes), Fault> {
        let limit = self.config().timeouts.small;
        tokio::time::timeout(limit, self.fetch(side, cap)).await.unwrap_or_else(|_| Err(Fault::late(limit)))
    }

    async fn fetch(&self, side: &Side<'_>, cap: usize) -> Result<(Head, Bytes), Fault> {
        let (cookie, profile) = (self.jars().header(&side.account.id, side.url), self.profile());
        // Its own client names one version everywhere.
        let renewed = side.version.map(|version| profile.renewed(Some(version), None));
        let profile = renewed.as_ref().unwrap_or(&profile);
        let headers = headers::write(side.order, |slot| match slot {
            Slot::Accept => Some("*/*".to_owned()),
            Slot::ContentType => Some("application/json".to_owned()),
            Slot::IfNoneMatch => side.etag.map(str::to_owned),
            Slot::Cookie => cookie.as_ref().map(|cookie| cookie.expose().to_owned()),
            slot => identity(slot, profile, side.account, side.access),
        })?;
        let method = if side.body.is_empty() { Method::GET } else { Method::POST };
        let ask = Ask { method, url: side.url.clone(), headers, body: side.body.clone() };
        let mut answer = self.send(ask).await?;
        self.jars().absorb(&side.account.id, side.url, &mut answer.headers);
        let etag = answer.headers.get(header::ETAG).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = answer.body.collect(cap).await?;
        Ok((Head { status: answer.status, etag }, body))
    }
}

struct Head {
    status: u16,
    etag: Option<String>,
}
