//! Canonical request to a `/v1/responses` body: for the Codex backend, or for relays that speak this dialect.

mod body;
mod client_body;
mod codex;
mod items;
mod relay;

use bytes::Bytes;

pub(super) use self::codex::effort;
use super::{item, tool};
use crate::canon::{Item, Request};
use crate::dialect::Target;
use crate::failure::Failure;
use crate::notes::Notes;
use crate::text::Json;

/// The items as they came, or in this dialect's form.
pub(super) fn to_json(list: &[Item]) -> Vec<Json> {
    let fresh = |item: &Item| items::one(item, &mut Notes::default());
    list.iter().filter_map(|item| item.raw.clone().or_else(|| fresh(item))).collect()
}

/// Writes a request for an upstream that speaks this dialect.
pub(crate) fn write(request: &Request, target: &Target) -> Result<(Bytes, Notes), Failure> {
    match target {
        Target::Codex(codex) => codex::write(request, codex),
        Target::Relay(relay) => Ok(relay::write(request, relay)),
    }
}
