//! The description of the admin API, served as text. `cargo xtask gen` makes it from the [`Operation`]s beside the handlers; the binary
//! carries the text only.

use bytes::Bytes;
use http::StatusCode;

use crate::operation::{Operation, Topic};
use crate::reply::{Answer, whole};
use crate::route::Ask;

/// The description of the admin API: an OpenAPI 3.1 document, JSON for people to read.
pub const OPENAPI: &str = include_str!("../../../../docs/openapi.json");

/// Of [`describe`].
pub(crate) const DESCRIBE: Operation =
    Operation::new(Topic::Gateway, "Describe the admin API").sends("application/json", "An OpenAPI 3.1 document.");

/// `GET /admin/openapi.json`
pub(crate) async fn describe(_ask: Ask) -> Answer {
    Ok(whole(StatusCode::OK, Bytes::from_static(OPENAPI.as_bytes())))
}
