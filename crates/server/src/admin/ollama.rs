//! The Ollama listener: its settings and its state.

use std::time::UNIX_EPOCH;

use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::ollama::OllamaListener;
use crate::operation::{Operation, Tag};
use crate::response::{HandlerResult, json};
use crate::route::RequestContext;

/// The fields that the system S0 reports, and `allow_remote`.
#[derive(Serialize, ToSchema)]
#[schema(as = OllamaStatus)]
#[expect(clippy::struct_excessive_bools, reason = "a wire shape of others")]
struct Status<'a> {
    enabled: bool,
    running: bool,
    host: String,
    port: u16,
    endpoint: Option<String>,
    version: &'a str,
    disable_vision: bool,
    allow_remote: bool,
    /// The system S0 forwards requests to its own port; here the same process serves them.
    upstream_base_url: Option<&'a str>,
    /// Unix ms.
    started_at: Option<u64>,
    error: Option<&'a str>,
}

pub(crate) const STATUS: Operation =
    Operation::new(Tag::Gateway, "Show the state of the Ollama listener").gives::<Status<'_>>(200);

/// `GET /admin/ollama-status`
pub(crate) async fn status(ctx: RequestContext) -> HandlerResult {
    let (settings, ollama) = (&ctx.app.settings.ollama, &ctx.app.ollama);
    let first = ollama.addresses().first();
    let wanted = settings.hosts.first().map(ToString::to_string).unwrap_or_default();
    let (started_at, error) = match ollama {
        OllamaListener::Off => (None, None),
        OllamaListener::Running { since, .. } => {
            let since = since.duration_since(UNIX_EPOCH).unwrap_or_default();
            (Some(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)), None)
        }
        OllamaListener::Failed(why) => (None, Some(why.as_str())),
    };
    let status = Status {
        enabled: settings.enabled,
        running: first.is_some(),
        host: first.map_or(wanted, |address| address.ip().to_string()),
        port: first.map_or(settings.port, std::net::SocketAddr::port),
        endpoint: first.map(|address| format!("http://{address}")),
        version: &settings.version,
        disable_vision: settings.disable_vision,
        allow_remote: settings.allow_remote,
        upstream_base_url: None,
        started_at,
        error,
    };
    Ok(json(StatusCode::OK, &status))
}
