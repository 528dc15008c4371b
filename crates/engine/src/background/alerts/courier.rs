//! Delivers warnings to one receiver, one after the other, with a few tries each.

use std::sync::Arc;
use std::time::Duration;

use pool::warning::Warning;
use serde::Serialize;
use tokio::sync::mpsc;
use upstream::relay::{NtfyTopic, Webhook};

use crate::request::services::Services;
use crate::settings::Receiver;

/// Tries for each warning.
const TRIES: u32 = 6;
/// Longest pause between two of them.
const LONGEST: Duration = Duration::from_mins(5);

/// The protocol of a receiver.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Webhook,
    Ntfy,
}

/// A webhook's body. `text` and `content` are what chat services show.
#[derive(Serialize)]
struct WebhookBody<'a> {
    r#type: &'static str,
    id: &'a str,
    title: String,
    text: &'a str,
    content: &'a str,
    urgent: bool,
    #[serde(flatten)]
    warning: &'a Warning,
}

/// Why a delivery failed.
enum DeliveryError {
    /// A later try may succeed.
    Passing(String),
    /// No try will succeed.
    Lasting(String),
}

/// Delivers one warning after the other.
pub(super) async fn run(
    services: Arc<Services>,
    (kind, to): (Kind, Receiver),
    mut waiting: mpsc::Receiver<Arc<Warning>>,
) {
    while let Some(warning) = waiting.recv().await {
        deliver(&services, (kind, &to), &warning).await;
    }
}

async fn deliver(services: &Services, (kind, to): (Kind, &Receiver), warning: &Warning) {
    // The same for every try, so that a receiver can recognise a repetition.
    let id = uuid::Uuid::new_v4().to_string();
    for attempt in 0..TRIES {
        let missed = match send(services, (kind, to), warning, &id).await {
            Ok(()) => return,
            Err(DeliveryError::Lasting(why)) => {
                tracing::error!(?kind, %why, "a warning is not delivered");
                return;
            }
            Err(DeliveryError::Passing(why)) => why,
        };
        if attempt + 1 == TRIES {
            tracing::error!(?kind, why = %missed, "a warning is given up after {TRIES} tries");
            return;
        }
        tracing::warn!(?kind, why = %missed, "a warning is not delivered yet");
        let pause = services.runtime.settings.alerts.pause.saturating_mul(1 << attempt).min(LONGEST);
        tokio::time::sleep(pause.mul_f64(0.8 + 0.4 * rand::random::<f64>())).await;
    }
}

async fn send(
    services: &Services,
    (kind, to): (Kind, &Receiver),
    warning: &Warning,
    id: &str,
) -> Result<(), DeliveryError> {
    let (private, url, words) = (services.runtime.settings.alerts.allow_private, &to.url.0, warning.describe());
    let relays = services.runtime.upstream.relays();
    let answered = match kind {
        Kind::Webhook => {
            let (title, urgent) = (warning.title(), warning.urgent());
            let letter = WebhookBody { r#type: "warning", id, title, text: &words, content: &words, urgent, warning };
            let body = serde_json::to_vec(&letter).map_err(|error| DeliveryError::Lasting(error.to_string()))?;
            relays.webhook(&Webhook { url, secret: to.secret.as_ref(), private }, body.into()).await
        }
        Kind::Ntfy => {
            let (title, priority) = (format!("Polygate: {}", warning.title()), if warning.urgent() { 5 } else { 3 });
            relays.ntfy(&NtfyTopic { url, token: to.secret.as_ref(), title: &title, priority, private }, words).await
        }
    };
    match answered {
        Ok(200..300) => Ok(()),
        Ok(status @ (408 | 425 | 429 | 500..)) => Err(DeliveryError::Passing(format!("status {status}"))),
        Ok(status) => Err(DeliveryError::Lasting(format!("status {status}; hint: check the address and its secret"))),
        Err(fault)
            if matches!(
                fault.kind,
                upstream::FaultKind::Denied | upstream::FaultKind::Unsendable | upstream::FaultKind::Redirect
            ) =>
        {
            Err(DeliveryError::Lasting(fault.message))
        }
        Err(fault) => Err(DeliveryError::Passing(fault.message)),
    }
}
