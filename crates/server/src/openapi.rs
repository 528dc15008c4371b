//! The admin API in OpenAPI's words. What it says of a route stands beside the handler, as an [`Operation`]; `cargo xtask gen` makes
//! the document of it, and the binary carries the document's text only: no reader, no cost.

#[cfg(any(test, feature = "describe"))]
mod document;
#[cfg_attr(not(any(test, feature = "describe")), expect(dead_code, reason = "only the document reads them"))]
mod operation;

use bytes::Bytes;
use http::StatusCode;

#[cfg(any(test, feature = "describe"))]
pub use self::document::openapi;
pub(crate) use self::operation::{Choice, Operation, Place, Topic};
use crate::reply::{Answer, whole};
use crate::route::Ask;

/// The description of the admin API: an OpenAPI 3.1 document, JSON for people to read.
pub const OPENAPI: &str = include_str!("../../../docs/openapi.json");

/// Of [`describe`].
pub(crate) const DESCRIBE: Operation =
    Operation::new(Topic::Gateway, "Describe the admin API").sends("application/json", "An OpenAPI 3.1 document.");

/// `GET /admin/openapi.json`
pub(crate) async fn describe(_ask: Ask) -> Answer {
    Ok(whole(StatusCode::OK, Bytes::from_static(OPENAPI.as_bytes())))
}
