//! Small account calls: catalogue, usage, reset credits, workspace routing. Each reads its whole answer, bounded in size and time.

use bytes::Bytes;
use http::{Method, header};
use pool::{Account, Secret};
use url::Url;

use crate::client::OutboundRequest;
use crate::codex::{headers, identity};
use crate::profile::HeaderField;
use crate::{Fault, Upstream};

/// The live catalogue is some 300 kB with its instructions.
const MODELS: usize = 8 * 1024 * 1024;
const SMALL: usize = 1024 * 1024;

/// A catalogue call's outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field has the name that the text gives it")]
pub enum ModelsAnswer {
    /// The given etag still holds.
    NotModified,
    /// A new catalogue, `{"models": [...]}`.
    Fresh { etag: Option<String>, body: Bytes },
    /// Any other status, for the retry table.
    Refused { status: u16, body: Bytes },
}

/// A small call's outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BufferedAnswer {
    /// Any status but 3xx.
    pub status: u16,
    /// The body, at most 1 MiB.
    pub body: Bytes,
}

/// A request to an account endpoint.
struct AccountRequest<'a> {
    account: &'a Account,
    access: &'a Secret,
    url: &'a Url,
    order: &'static [HeaderField],
    etag: Option<&'a str>,
    /// The protocol version in the headers; `None`: the profile's version.
    version: Option<&'a str>,
    /// JSON for a POST; empty for a GET.
    body: Bytes,
}

impl Upstream {
    /// The account's live catalogue, at most 8 MiB, for clients of `version` (`None`: the profile's version); `etag` comes from an
    /// earlier [`ModelsAnswer::Fresh`].
    pub async fn models(
        &self,
        account: &Account,
        access: &Secret,
        (version, etag): (Option<&str>, Option<&str>),
    ) -> Result<ModelsAnswer, Fault> {
        let (mut url, profile) = (self.endpoints().models.clone(), self.profile());
        url.query_pairs_mut().append_pair("client_version", version.unwrap_or(&profile.version));
        let order = profile.orders.models;
        let request = AccountRequest { account, access, url: &url, order, etag, version, body: Bytes::new() };
        let (head, body) = self.send_account(&request, MODELS).await?;
        Ok(match head.status {
            304 => ModelsAnswer::NotModified,
            200 => ModelsAnswer::Fresh { etag: head.etag, body },
            status => ModelsAnswer::Refused { status, body },
        })
    }

    /// The account's quota: `GET /wham/usage`; if that does not exist, `GET /codex/usage`.
    pub async fn usage(&self, account: &Account, access: &Secret) -> Result<BufferedAnswer, Fault> {
        let answer = self.get_account(account, access, &self.endpoints().usage).await?;
        if !matches!(answer.status, 404 | 405) {
            return Ok(answer);
        }
        self.get_account(account, access, &self.endpoints().usage_fallback).await
    }

    /// The account's reset credits: `GET /wham/rate-limit-reset-credits`.
    pub async fn reset_credits(&self, account: &Account, access: &Secret) -> Result<BufferedAnswer, Fault> {
        self.get_account(account, access, &self.endpoints().credits).await
    }

    /// Consumes a reset credit: `POST /wham/rate-limit-reset-credits/consume`. Irreversible; a second call with the same `request_id` (a
    /// UUID) consumes nothing.
    pub async fn consume_credit(
        &self,
        account: &Account,
        access: &Secret,
        request_id: &str,
    ) -> Result<BufferedAnswer, Fault> {
        let body = serde_json::json!({ "redeem_request_id": request_id }).to_string().into();
        let order = self.profile().orders.account_post;
        let url = &self.endpoints().consume;
        let request = AccountRequest { account, access, url, order, etag: None, version: None, body };
        let (head, body) = self.send_account(&request, SMALL).await?;
        Ok(BufferedAnswer { status: head.status, body })
    }

    /// The account's workspaces and their routing: `GET /wham/accounts/check`.
    pub async fn accounts_check(&self, account: &Account, access: &Secret) -> Result<BufferedAnswer, Fault> {
        self.get_account(account, access, &self.endpoints().accounts).await
    }

    async fn get_account(&self, account: &Account, access: &Secret, url: &Url) -> Result<BufferedAnswer, Fault> {
        let order = self.profile().orders.account;
        let request = AccountRequest { account, access, url, order, etag: None, version: None, body: Bytes::new() };
        let (head, body) = self.send_account(&request, SMALL).await?;
        Ok(BufferedAnswer { status: head.status, body })
    }

    async fn send_account(&self, request: &AccountRequest<'_>, cap: usize) -> Result<(AnswerHead, Bytes), Fault> {
        Fault::within(self.config().timeouts.small, self.fetch(request, cap)).await
    }

    async fn fetch(&self, request: &AccountRequest<'_>, cap: usize) -> Result<(AnswerHead, Bytes), Fault> {
        let (cookie, profile) = (self.jars().header(&request.account.id, request.url), self.profile());
        // A Codex client of that version names it in every header.
        let renewed = request.version.map(|version| profile.with_versions(Some(version), None));
        let profile = renewed.as_ref().unwrap_or(&profile);
        let headers = headers::write(request.order, |field| match field {
            HeaderField::Accept => Some("*/*".to_owned()),
            HeaderField::ContentType => Some("application/json".to_owned()),
            HeaderField::IfNoneMatch => request.etag.map(str::to_owned),
            HeaderField::Cookie => cookie.as_ref().map(|cookie| cookie.expose().to_owned()),
            field => identity(field, profile, request.account, request.access),
        })?;
        let method = if request.body.is_empty() { Method::GET } else { Method::POST };
        let outbound = OutboundRequest { method, url: request.url.clone(), headers, body: request.body.clone() };
        let mut answer = self.send(outbound).await?;
        self.jars().absorb(&request.account.id, request.url, &mut answer.headers);
        let etag = answer.headers.get(header::ETAG).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = answer.body.collect(cap).await?;
        Ok((AnswerHead { status: answer.status, etag }, body))
    }
}

struct AnswerHead {
    status: u16,
    etag: Option<String>,
}
