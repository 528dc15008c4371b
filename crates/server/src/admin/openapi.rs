//! Serves the description of the admin API as text. `cargo xtask gen` generates the text from the [`Operation`]s beside the handlers; the
//! binary contains the text only.

use bytes::Bytes;
use http::StatusCode;

use crate::operation::{Operation, Tag};
use crate::response::{HandlerResult, json_bytes};
use crate::route::RequestContext;

/// The description of the admin API: an OpenAPI 3.1 document, JSON for people to read.
pub const OPENAPI: &str = include_str!("../../../../docs/openapi.json");

pub(crate) const DESCRIBE: Operation =
    Operation::new(Tag::Gateway, "Describe the admin API").sends("application/json", "An OpenAPI 3.1 document.");

/// `GET /admin/openapi.json`
pub(crate) async fn describe(_ask: RequestContext) -> HandlerResult {
    Ok(json_bytes(StatusCode::OK, Bytes::from_static(OPENAPI.as_bytes())))
}
