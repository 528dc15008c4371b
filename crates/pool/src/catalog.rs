//! Which models exist and which one a name means.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use proto::failure::Failure;
use proto::text::Json;

/// A model of the upstream's catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// The name to send.
    pub slug: String,
    /// The name for people.
    pub display: String,
    /// Whether requests take the lite shape; absent in the entry = classic.
    pub lite: bool,
    /// Effort when a request names none.
    pub default_effort: Option<String>,
    /// Efforts that it lists, lowest first.
    pub efforts: Vec<String>,
    /// Service tiers that it lists (`priority`).
    pub tiers: Vec<String>,
    /// Context window, tokens.
    pub context: Option<u64>,
    /// Largest context window, tokens.
    pub max_context: Option<u64>,
    /// Input modalities (`text`, `image`).
    pub modalities: Vec<String>,
    /// Whether it is shown in lists; hidden ones can be asked for by name.
    pub listed: bool,
    /// Lower comes first.
    pub priority: i64,
    /// The whole entry as it came.
    pub raw: Json,
}

/// A body that is no model list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// Not JSON of the form `{"models":[...]}`.
    #[error("not a model list: {0}")]
    Shape(String),
    /// No usable entry; the official client falls back to its bundled list then, and so do we.
    #[error("the model list is empty")]
    Empty,
}

/// The models that can be asked for: the union of the accounts' live lists, or the bundled one until the first arrives.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    models: Vec<Model>,
    at: HashMap<String, usize>,
    live: bool,
}

/// Names of our own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Client name to model name; targets may be aliases or carry suffixes.
    pub aliases: Vec<(String, String)>,
    /// Model for requests that name none; else the first listed one.
    pub default: Option<String>,
}

/// What a name means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The catalogue entry.
    pub model: Model,
    /// Effort from a suffix (`-high`).
    pub effort: Option<String>,
    /// Tier from a suffix: `fast` or `flex`.
    pub tier: Option<String>,
    /// The retired name that this model took over; such answers carry a `Deprecation` header.
    pub retired_from: Option<String>,
}

/// Reads the body of `GET /codex/models`. Unknown fields stay in `raw`; an entry without a slug is left out.
pub fn parse_models(body: &[u8]) -> Result<Vec<Model>, ListError> {
    unimplemented!("{body:?}")
}

/// The list that is built in. Serves only until the first live one.
pub fn bundled() -> Vec<Model> {
    unimplemented!()
}

impl Catalog {
    /// The bundled catalogue.
    pub fn bundled() -> Self {
        unimplemented!()
    }

    /// The union of live lists, usable accounts first: the first entry of a slug counts. Pass the lists of all accounts that
    /// are not switched off, also of exhausted ones, so that a name which only those list is answered with their reset and
    /// not with 404.
    pub fn live<'a>(lists: impl IntoIterator<Item = &'a [Model]>) -> Self {
        unimplemented!("{}", lists.into_iter().count())
    }

    /// Whether it holds live lists.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Every model by priority, hidden ones too.
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// The models to show, by priority.
    pub fn listed(&self) -> impl Iterator<Item = &Model> {
        self.models.iter().filter(|model| model.listed)
    }

    /// The model of this exact name.
    pub fn get(&self, slug: &str) -> Option<&Model> {
        self.at.get(slug).map(|at| &self.models[*at])
    }

    /// What `name` means; `None` asks for the default. The order is in the module's head.
    pub fn resolve(&self, name: Option<&str>, names: &Names) -> Result<Resolved, Failure> {
        unimplemented!("{name:?}{names:?}")
    }
}
