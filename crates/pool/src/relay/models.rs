//! Model lists of relays: OpenAI's, Anthropic's, Gemini's and Ollama's shapes, and the additions of aggregators.
//!
//! One lenient reader takes all of them: the list is under `data` or `models` or is the whole body; an entry's name is under `id`,
//! `slug`, `model` or `name`; figures are under the names of several services. An entry that a request cannot name is left out.

use bytes::Bytes;
use proto::text::Json;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::catalog::{ListError, Model};
use crate::lenient::{self, Number};
use crate::sanitize::short;

/// Most models of one relay.
pub const MOST: usize = 4096;
/// Longest name, bytes.
const NAME: usize = 128;
/// Most modalities of a model.
const MODALITIES: usize = 32;
/// Longest mark for the next page, bytes.
const MARK: usize = 1024;

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its models, in its order, each name once; perhaps none.
    pub models: Vec<Model>,
    /// The next page, if there is one.
    pub next: Option<Next>,
    /// The shape of the list.
    pub shape: Shape,
}

/// The mark of the next page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Anthropic's `after_id`.
    After(String),
    /// Gemini's `pageToken`.
    Token(String),
}

/// The vendor's shape of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// OpenAI's, or an unknown one.
    OpenAi,
    /// Anthropic's: `{"data":[{"type":"model"}],"has_more":..}`.
    Anthropic,
    /// Gemini's: `{"models":[{"name":"models/.."}]}`.
    Gemini,
    /// Ollama's: `{"models":[{"name":"..","digest":".."}]}`.
    Ollama,
}

#[derive(Deserialize)]
struct ModelsBody<'a> {
    #[serde(default, borrow)]
    data: Option<Vec<&'a RawValue>>,
    #[serde(default, borrow)]
    models: Option<Vec<&'a RawValue>>,
    #[serde(default, deserialize_with = "lenient::field")]
    has_more: Option<bool>,
    #[serde(default, deserialize_with = "lenient::field")]
    last_id: Option<String>,
    #[serde(default, rename = "nextPageToken", deserialize_with = "lenient::field")]
    next_page_token: Option<String>,
}

/// An entry. Every field is optional, and a field of an unexpected type counts as absent.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ModelBody {
    #[serde(deserialize_with = "lenient::field")]
    id: Option<String>,
    #[serde(deserialize_with = "lenient::field")]
    slug: Option<String>,
    #[serde(deserialize_with = "lenient::field")]
    model: Option<String>,
    #[serde(deserialize_with = "lenient::field")]
    name: Option<String>,
    #[serde(deserialize_with = "lenient::field")]
    display_name: Option<String>,
    #[serde(rename = "displayName", deserialize_with = "lenient::field")]
    camel_display_name: Option<String>,
    #[serde(rename = "type", deserialize_with = "lenient::field")]
    kind: Option<String>,
    #[serde(deserialize_with = "lenient::field")]
    digest: Option<String>,
    #[serde(rename = "supportedGenerationMethods", deserialize_with = "lenient::field")]
    methods: Option<Vec<String>>,
    #[serde(deserialize_with = "lenient::field")]
    capabilities: Option<Vec<String>>,
    #[serde(deserialize_with = "lenient::field")]
    input_modalities: Option<Vec<String>>,
    #[serde(deserialize_with = "lenient::field")]
    architecture: Option<Architecture>,
    #[serde(deserialize_with = "lenient::field")]
    top_provider: Option<TopProvider>,
    #[serde(deserialize_with = "lenient::field")]
    meta: Option<Meta>,
    #[serde(deserialize_with = "lenient::field")]
    context_length: Option<Number>,
    #[serde(deserialize_with = "lenient::field")]
    context_window: Option<Number>,
    #[serde(deserialize_with = "lenient::field")]
    max_context_length: Option<Number>,
    #[serde(deserialize_with = "lenient::field")]
    max_model_len: Option<Number>,
    #[serde(deserialize_with = "lenient::field")]
    max_input_tokens: Option<Number>,
    #[serde(rename = "inputTokenLimit", deserialize_with = "lenient::field")]
    input_token_limit: Option<Number>,
    #[serde(rename = "outputTokenLimit", deserialize_with = "lenient::field")]
    output_token_limit: Option<Number>,
    #[serde(deserialize_with = "lenient::field")]
    max_output_tokens: Option<Number>,
    #[serde(deserialize_with = "lenient::field")]
    max_completion_tokens: Option<Number>,
    #[serde(deserialize_with = "lenient::field")]
    max_tokens: Option<Number>,
}

/// OpenRouter's.
#[derive(Deserialize)]
struct Architecture {
    #[serde(default, deserialize_with = "lenient::field")]
    input_modalities: Option<Vec<String>>,
}

/// OpenRouter's.
#[derive(Deserialize)]
struct TopProvider {
    #[serde(default, deserialize_with = "lenient::field")]
    context_length: Option<Number>,
    #[serde(default, deserialize_with = "lenient::field")]
    max_completion_tokens: Option<Number>,
}

/// llama.cpp's.
#[derive(Deserialize)]
struct Meta {
    #[serde(default, deserialize_with = "lenient::field")]
    n_ctx: Option<Number>,
    #[serde(default, deserialize_with = "lenient::field")]
    n_ctx_train: Option<Number>,
}

/// Reads one page, or the output of [`write()`]. A list may be empty.
pub fn read(body: &[u8]) -> Result<Page, ListError> {
    let body = Bytes::copy_from_slice(body);
    let shape_error = |error: serde_json::Error| ListError::Shape(short(&error.to_string(), 256));
    // Some aggregators answer with the bare array.
    let bare = body.trim_ascii_start().first() == Some(&b'[');
    let list = if bare {
        let models: Vec<&RawValue> = serde_json::from_slice(&body).map_err(shape_error)?;
        ModelsBody { data: Some(models), models: None, has_more: None, last_id: None, next_page_token: None }
    } else {
        serde_json::from_slice(&body).map_err(shape_error)?
    };
    let (raws, under_models) = match (list.data, list.models) {
        (Some(data), _) => (data, false),
        (None, Some(models)) => (models, true),
        (None, None) => return Err(ListError::Shape("neither `data` nor `models` in it".to_owned())),
    };
    let entries: Vec<(ModelBody, &RawValue)> = raws.into_iter().take(MOST).filter_map(entry).collect();
    let shape = match entries.first() {
        Some((first, _)) => first.shape(under_models),
        None if list.has_more.is_some() => Shape::Anthropic,
        None => Shape::OpenAi,
    };
    let mark = |text: String| Some(text).filter(|text| !text.is_empty() && text.len() <= MARK);
    let more = list.has_more == Some(true);
    let after = list.last_id.filter(|_| more).and_then(mark).map(Next::After);
    let next = list.next_page_token.and_then(mark).map(Next::Token).or(after);
    let mut fallback = std::collections::HashSet::new();
    let models = entries.into_iter().filter_map(|(entry, raw)| entry.model(Json::slice(&body, raw)));
    Ok(Page { models: models.filter(|model| fallback.insert(model.slug.clone())).collect(), next, shape })
}

/// Writes a list as one body for [`read`].
pub fn write(models: &[Model]) -> Bytes {
    let mut out = b"{\"models\":[".to_vec();
    for (at, model) in models.iter().enumerate() {
        out.extend_from_slice(if at == 0 { b"" } else { b"," });
        out.extend_from_slice(model.raw.bytes());
    }
    out.extend_from_slice(b"]}");
    out.into()
}

/// A model of which a person gave the name.
pub fn named(name: &str) -> Option<Model> {
    let id = serde_json::to_string(name).ok()?;
    let raw = Json::from_valid(Bytes::from(format!("{{\"id\":{id}}}")));
    ModelBody { id: Some(name.to_owned()), ..ModelBody::default() }.model(raw)
}

/// Whether a text can be a model's name: visible ASCII without quotes and the like, at most 128 bytes.
pub(crate) fn plain(name: &str) -> bool {
    let visible = |byte: u8| byte.is_ascii_graphic() && !b"\"'\\`<>".contains(&byte);
    !name.is_empty() && name.len() <= NAME && name.bytes().all(visible)
}

fn entry(raw: &RawValue) -> Option<(ModelBody, &RawValue)> {
    // Derived readers take arrays for structs too.
    let object = raw.get().starts_with('{');
    object.then(|| serde_json::from_str(raw.get()).ok()).flatten().map(|entry| (entry, raw))
}

impl ModelBody {
    fn shape(&self, under_models: bool) -> Shape {
        let resource = self.name.as_ref().is_some_and(|name| name.starts_with("models/"));
        match () {
            () if under_models && (resource || self.methods.is_some()) => Shape::Gemini,
            () if under_models && self.digest.is_some() => Shape::Ollama,
            () if self.kind.as_deref() == Some("model") => Shape::Anthropic,
            () => Shape::OpenAi,
        }
    }

    fn model(self, raw: Json) -> Option<Model> {
        let name = self.id.as_ref().or(self.slug.as_ref()).or(self.model.as_ref());
        let slug = name.or(self.name.as_ref())?;
        let slug = slug.strip_prefix("models/").unwrap_or(slug);
        if !plain(slug) {
            return None;
        }
        // A second name besides the one that is sent is for people.
        let own = self.name.as_ref().filter(|_| name.is_some());
        let display = self.display_name.as_ref().or(self.camel_display_name.as_ref()).or(own);
        Some(Model {
            slug: slug.to_owned(),
            display: short(display.map_or(slug, String::as_str), NAME),
            lite: false,
            default_effort: None,
            efforts: Vec::new(),
            tiers: Vec::new(),
            context: self.context(),
            max_context: self.context(),
            max_output: self.output(),
            listed: self.talks(),
            priority: i64::MAX,
            custom: false,
            modalities: self.modalities(),
            raw,
        })
    }

    /// Context window, tokens.
    fn context(&self) -> Option<u64> {
        let routed = self.top_provider.as_ref().and_then(|top| top.context_length);
        let loaded = self.meta.as_ref().and_then(|meta| meta.n_ctx.or(meta.n_ctx_train));
        first_positive(&[
            self.context_length, self.context_window, self.max_context_length, self.max_model_len,
            self.input_token_limit, self.max_input_tokens, routed, loaded,
        ])
    }

    /// Longest output, tokens.
    fn output(&self) -> Option<u64> {
        let routed = self.top_provider.as_ref().and_then(|top| top.max_completion_tokens);
        // Anthropic's word for it; others use it for the context.
        let anthropic = self.max_tokens.filter(|_| self.kind.as_deref() == Some("model"));
        first_positive(&[
            self.max_output_tokens, self.output_token_limit, self.max_completion_tokens, routed, anthropic,
        ])
    }

    fn modalities(self) -> Vec<String> {
        let sees = self.capabilities.iter().flatten().any(|word| word == "vision" || word == "image");
        let named = self.input_modalities.or_else(|| self.architecture?.input_modalities);
        let fallback = || if sees { vec!["text".to_owned(), "image".to_owned()] } else { Vec::new() };
        named.unwrap_or_else(fallback).into_iter().take(MODALITIES).map(|word| short(&word, NAME)).collect()
    }

    /// Whether the model is for conversations, by its entry.
    fn talks(&self) -> bool {
        let embeds = self.kind.as_ref().is_some_and(|kind| kind.starts_with("embedding"));
        let generates = |methods: &Vec<String>| methods.iter().any(|method| method == "generateContent");
        !embeds && self.methods.as_ref().is_none_or(generates)
    }
}

/// The first positive figure.
fn first_positive(figures: &[Option<Number>]) -> Option<u64> {
    figures.iter().flatten().find_map(|figure| figure.count().filter(|count| *count > 0))
}
