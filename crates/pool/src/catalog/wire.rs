//! The body of `GET /codex/models`: used fields typed, the whole entry in `raw`.

use bytes::Bytes;
use proto::text::Json;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{ListError, Model};
use crate::lenient::{self, Number};
use crate::sanitize::short;

/// Most entries that are read.
const MODELS: usize = 256;
/// Longest name, bytes.
const NAME: usize = 128;
/// Most values of a list field.
const VALUES: usize = 32;

#[derive(Deserialize)]
struct ModelsBody<'a> {
    #[serde(borrow)]
    models: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct ModelBody {
    slug: String,
    #[serde(default, deserialize_with = "lenient::field")]
    display_name: Option<String>,
    #[serde(default, deserialize_with = "lenient::field")]
    use_responses_lite: Option<bool>,
    #[serde(default, deserialize_with = "lenient::field")]
    default_reasoning_level: Option<String>,
    #[serde(default, deserialize_with = "lenient::field")]
    supported_reasoning_levels: Option<Vec<Level>>,
    #[serde(default, deserialize_with = "lenient::field")]
    service_tiers: Option<Vec<Tier>>,
    #[serde(default, deserialize_with = "lenient::field")]
    context_window: Option<Number>,
    #[serde(default, deserialize_with = "lenient::field")]
    max_context_window: Option<Number>,
    #[serde(default, deserialize_with = "lenient::field")]
    input_modalities: Option<Vec<String>>,
    #[serde(default, deserialize_with = "lenient::field")]
    visibility: Option<String>,
    #[serde(default, deserialize_with = "lenient::field")]
    priority: Option<Number>,
}

#[derive(Deserialize)]
struct Level {
    effort: String,
}

#[derive(Deserialize)]
struct Tier {
    id: String,
}

pub(super) fn parse(body: &[u8]) -> Result<Vec<Model>, ListError> {
    let body = Bytes::copy_from_slice(body);
    let list: ModelsBody<'_> =
        serde_json::from_slice(&body).map_err(|error| ListError::Shape(short(&error.to_string(), 256)))?;
    let models: Vec<_> = list.models.into_iter().take(MODELS).filter_map(|raw| model(&body, raw)).collect();
    if models.is_empty() { Err(ListError::Empty) } else { Ok(models) }
}

/// One entry; `None` when a request cannot name it. The backend has also listed `auto`, which is a menu entry of its own
/// clients and no model.
fn model(body: &Bytes, raw: &RawValue) -> Option<Model> {
    let entry: ModelBody = serde_json::from_str(raw.get()).ok()?;
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"'\\`<>".contains(&byte);
    let named = !entry.slug.is_empty() && entry.slug.len() <= NAME && entry.slug.bytes().all(plain);
    if !named || entry.slug == "auto" {
        return None;
    }
    let few = |values: Vec<String>| values.into_iter().take(VALUES).map(|value| short(&value, NAME)).collect();
    let efforts = entry.supported_reasoning_levels.unwrap_or_default();
    let tiers = entry.service_tiers.unwrap_or_default();
    Some(Model {
        display: entry.display_name.map_or_else(|| entry.slug.clone(), |name| short(&name, NAME)),
        slug: entry.slug,
        lite: entry.use_responses_lite.unwrap_or(false),
        default_effort: entry.default_reasoning_level.map(|effort| short(&effort, NAME)),
        efforts: few(efforts.into_iter().map(|level| level.effort).collect()),
        tiers: few(tiers.into_iter().map(|tier| tier.id).collect()),
        context: entry.context_window.and_then(Number::count),
        max_context: entry.max_context_window.and_then(Number::count),
        max_output: None,
        modalities: few(entry.input_modalities.unwrap_or_default()),
        listed: entry.visibility.is_none_or(|visibility| visibility == "list"),
        priority: entry.priority.map_or(i64::MAX, Number::whole),
        custom: false,
        raw: Json::slice(body, raw),
    })
}
