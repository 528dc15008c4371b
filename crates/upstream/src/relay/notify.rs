//! Messages to the owner: JSON to a webhook, or a line to an ntfy topic. The guard for relays applies, because the configured address may
//! be one that only this machine should reach.

use std::fmt::Write as _;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use pool::Secret;
use pool::relay::Wire;
use sha2::Sha256;
use url::Url;

use super::{RelayClient, Target, with_body};
use crate::{Fault, FaultKind, Sent};

/// Time limit of one message.
const LIMIT: Duration = Duration::from_secs(10);

/// A webhook.
#[derive(Clone, Debug)]
pub struct Webhook<'a> {
    /// Its URL.
    pub url: &'a Url,
    /// Signs the body; `None` leaves it unsigned. Never empty.
    pub secret: Option<&'a Secret>,
    /// Whether private addresses and plain http are allowed.
    pub private: bool,
}

/// An ntfy topic.
#[derive(Clone, Debug)]
pub struct NtfyTopic<'a> {
    /// `https://ntfy.sh/TOPIC`.
    pub url: &'a Url,
    /// Access token of a protected topic.
    pub token: Option<&'a Secret>,
    /// One line above the message.
    pub title: &'a str,
    /// 1 (least) to 5.
    pub priority: u8,
    /// Whether private addresses and plain http are allowed.
    pub private: bool,
}

impl RelayClient {
    /// Posts JSON to a webhook within 10 s; returns the status. With a secret, `x-polygate-signature: sha256=<hex>` is the HMAC-SHA256 of
    /// the body. A redirect is never followed. Errors: the [`Fault`] of the call; [`FaultKind::Denied`] for an address that may not be
    /// called.
    pub async fn webhook(&self, hook: &Webhook<'_>, body: Bytes) -> Result<u16, Fault> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(secret) = hook.secret {
            let name = HeaderName::from_static("x-polygate-signature");
            headers.insert(name, HeaderValue::from_str(&signature(secret, &body)?).map_err(|_| unsendable())?);
        }
        self.notify((hook.url, hook.private), headers, body).await
    }

    /// Publishes a line to an ntfy topic within 10 s; returns the status. Errors: as [`Self::webhook`].
    pub async fn ntfy(&self, topic: &NtfyTopic<'_>, message: String) -> Result<u16, Fault> {
        let mut headers = HeaderMap::new();
        let mut put = |name: &'static str, text: &str| -> Result<(), Fault> {
            let mut value = HeaderValue::from_str(text).map_err(|_| unsendable())?;
            value.set_sensitive(name == "authorization");
            headers.insert(name, value);
            Ok(())
        };
        put("title", &encoded(topic.title))?;
        put("priority", &topic.priority.to_string())?;
        if let Some(token) = topic.token {
            put("authorization", &format!("Bearer {}", token.expose()))?;
        }
        self.notify((topic.url, topic.private), headers, message.into()).await
    }

    async fn notify(&self, to: (&Url, bool), headers: HeaderMap, body: Bytes) -> Result<u16, Fault> {
        // The format only matters for a key, and this request has no key.
        let none = Secret::from("");
        let target = Target { url: to.0.clone(), wire: Wire::Chat, key: &none, private: to.1 };
        let request = with_body(self.request(Method::POST, &target, headers)?, body.into());
        let answer = self.send(&target, request, Fault::timeout_after(LIMIT)).await;
        answer.map(|answer| answer.status).map_err(reword_denial)
    }
}

/// Rewords a denial, whose text is about relays.
fn reword_denial(fault: Fault) -> Fault {
    if fault.kind != FaultKind::Denied {
        return fault;
    }
    // The denial names `allow_private` whenever that setting would help.
    let message = if fault.message.contains("allow_private") {
        "the address is plain http or not a public one; hint: use https, or set alerts.allow_private if that is what you want"
    } else {
        "the address may never be called: it is this gateway, a metadata service, or no web address"
    };
    Fault { message: message.to_owned(), ..fault }
}

/// `sha256=<hex>`.
fn signature(secret: &Secret, body: &[u8]) -> Result<String, Fault> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).map_err(|_| unsendable())?;
    mac.update(body);
    let mut text = "sha256=".to_owned();
    for byte in mac.finalize().into_bytes() {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

/// A header's text. Text that is not ASCII becomes an encoded word (RFC 2047), which ntfy reads.
fn encoded(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if plain.is_ascii() { plain } else { format!("=?utf-8?B?{}?=", BASE64_STANDARD.encode(plain)) }
}

fn unsendable() -> Fault {
    let message = "the webhook's secret or the topic's token holds characters that cannot be sent; hint: set it again";
    Fault::new(Sent::No, FaultKind::Unsendable, message)
}
