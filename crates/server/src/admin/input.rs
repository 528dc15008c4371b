//! The input of admin endpoints.

use bytes::Bytes;
use engine::Engine;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use hyper::body::Incoming;
use pool::Secret;
use proto::{Failure, Kind};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::app::App;
use crate::auth::Caller;
use crate::body;
use crate::response::Rejection;
use crate::route::RequestContext;

/// The engine, the path parameter and the body.
pub(crate) struct AdminRequest<T> {
    pub(crate) engine: Engine,
    pub(crate) param: String,
    pub(crate) body: T,
}

/// Reads a JSON body. An empty body counts as an empty object.
pub(crate) async fn read_json<T: DeserializeOwned>(ctx: RequestContext) -> Result<AdminRequest<T>, Rejection> {
    let bytes = bytes(&ctx.parts.headers, ctx.body, &ctx.app).await?;
    let text: &[u8] = if bytes.trim_ascii().is_empty() { b"{}" } else { &bytes };
    // The parser's message may quote a value of the body, such as a token, so only the position is reported.
    let body = object(text).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        Failure::new(Kind::Invalid, format!("The body does not have the form that this endpoint takes ({place})"))
    })?;
    Ok(AdminRequest { engine: ctx.app.engine.clone(), param: ctx.param, body })
}

/// Parses a JSON object. Errors: the text is not an object, or not of this type.
fn object<T: DeserializeOwned>(text: &[u8]) -> serde_json::Result<T> {
    if text.trim_ascii_start().first() != Some(&b'{') {
        // Serde would accept an array of the fields in their order; this parse fails instead and gives the position.
        serde_json::from_slice::<Map<String, Value>>(text)?;
    }
    serde_json::from_slice(text)
}

/// Reads a body as it is.
pub(super) async fn bytes(headers: &HeaderMap, incoming: Incoming, app: &App) -> Result<Bytes, Rejection> {
    let read = body::read(headers, incoming, &app.settings.limits, &app.budget).await;
    Ok(read.map_err(Failure::from)?)
}

/// A secret in a body.
#[derive(Deserialize)]
#[serde(from = "String")]
pub(crate) struct SecretText(pub(crate) Secret);

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self(Secret::new(text))
    }
}

/// Refuses a list that is longer than `most`. `field` is the list's name in the body.
pub(super) fn check_list_length(count: usize, most: usize, field: &str) -> Result<(), Failure> {
    if count <= most {
        return Ok(());
    }
    Err(Failure::new(Kind::Invalid, format!("At most {most} at a time")).at(field))
}

/// The id of the calling admin token, safe for logs.
pub(crate) fn admin_id(caller: &Caller) -> &str {
    match caller {
        Caller::Admin(admin) => &admin.id,
        Caller::Client(_) | Caller::Login(..) | Caller::Anyone => "",
    }
}

/// Whether the body is plain text.
pub(crate) fn is_text(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next().and_then(|value| value.to_str().ok()), values.next()) else {
        return false;
    };
    value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/plain")
}
