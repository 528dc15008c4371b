//! A collected reply as a response object.

use bytes::Bytes;

use super::encode::{Facets, Facts, item_json, status, with_output};
use crate::canon::Open;
use crate::dialect::ReplySetting;
use crate::fold::Whole;
use crate::json::Shape;
use crate::text::Json;

/// Writes the body.
pub(super) fn write(whole: &Whole, setting: &ReplySetting) -> Bytes {
    let mut facts = Facts::new(setting.clone());
    facts.open(&Open { id: whole.id.clone(), model: whole.model.clone(), created: whole.created }, false);
    let edited = whole.items.iter().any(|item| item.raw.is_none());
    let output: Vec<Json> = (0..).zip(&whole.items).filter_map(|(at, item)| item_json(item, &facts, at)).collect();
    if let Some(response) = whole.response.as_ref().filter(|response| response.shape() == Shape::Object) {
        return setting.stored.mark(&with_output(response, &output, edited), true).bytes().clone();
    }
    let (status, incomplete) = match whole.finish {
        Some(finish) => status(finish),
        None => ("failed", None),
    };
    let failure = whole.failure.clone();
    let response =
        facts.response(status, |facets| *facets = Facets { output, usage: whole.usage, incomplete, failure });
    setting.stored.mark(&response, true).bytes().clone()
}
