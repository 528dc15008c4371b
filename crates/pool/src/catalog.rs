//! Which models exist and which one a name means.
//!
//! A name is looked up in this order: the catalogue as it stands; our own aliases; the same without suffixes (`-high`,
//! `-fast`, both); the same without a vendor prefix; the retirement table. What is not found then is a 404 that names models
//! which exist: never another model in silence. Because the catalogue comes first, a live name is never treated as retired,
//! suffixed or prefixed.

mod names;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::HashMap;

use proto::failure::{Failure, Kind};
use proto::text::Json;

use self::names::{Reading, readings};

/// Aliases of aliases that are followed.
const HOPS: u32 = 4;
/// Models that a 404 names.
const NAMED: usize = 6;

/// How a name is looked up.
type Find = for<'c> fn(&'c Catalog, &str) -> Option<&'c Model>;

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
    /// Most output tokens of one answer, where the list says it.
    pub max_output: Option<u64>,
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

/// Reads the body of `GET /codex/models`. Unknown fields stay in `raw`; an entry without a usable slug is left out.
pub fn parse_models(body: &[u8]) -> Result<Vec<Model>, ListError> {
    wire::parse(body)
}

/// The list that is built in: facts about the models of the time of writing. Serves only until the first live one.
pub fn bundled() -> Vec<Model> {
    parse_models(include_bytes!("../data/models.json")).expect("invariant: the built-in list is valid, a test reads it")
}

impl Catalog {
    /// The bundled catalogue.
    pub fn bundled() -> Self {
        Self::of(bundled(), false)
    }

    /// The union of live lists, usable accounts first: the first entry of a slug counts. Pass the lists of all accounts that
    /// are not switched off, also of exhausted ones, so that a name which only those list is answered with their reset and
    /// not with 404.
    pub fn live<'a>(lists: impl IntoIterator<Item = &'a [Model]>) -> Self {
        let mut seen = std::collections::HashSet::new();
        let models = lists.into_iter().flatten().filter(|model| seen.insert(model.slug.as_str())).cloned().collect();
        Self::of(models, true)
    }

    fn of(mut models: Vec<Model>, live: bool) -> Self {
        models.sort_by(|a, b| (a.priority, &a.slug).cmp(&(b.priority, &b.slug)));
        let at = models.iter().enumerate().map(|(at, model)| (model.slug.clone(), at)).collect();
        Self { models, at, live }
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

    /// What `name` means; `None` asks for the default, an empty name for nothing that exists. The order is in the module's
    /// head.
    pub fn resolve(&self, name: Option<&str>, names: &Names) -> Result<Resolved, Failure> {
        let Some(asked) = name.or(names.default.as_deref()) else {
            let first = self.listed().next().ok_or_else(|| self.missing("", names))?;
            return Ok(Resolved { model: first.clone(), effort: None, tier: None, retired_from: None });
        };
        let sought = |find: Find| readings(asked).find_map(|reading| self.seek(find, reading, names, HOPS));
        let (model, reading, retired) = sought(Self::get)
            .map(|(model, reading)| (model, reading, false))
            .or_else(|| sought(Self::heir).map(|(model, reading)| (model, reading, true)))
            .ok_or_else(|| self.missing(asked, names))?;
        Ok(Resolved {
            model: model.clone(),
            effort: reading.effort.map(str::to_owned),
            tier: reading.tier.map(str::to_owned),
            retired_from: retired.then(|| reading.base.to_owned()),
        })
    }

    /// The listed successor of a retired name.
    fn heir(&self, name: &str) -> Option<&Model> {
        self.get(names::successor(name)?)
    }

    /// What `find` makes of a reading, or of what our aliases make of it.
    fn seek<'n>(&self, find: Find, reading: Reading<'n>, names: &'n Names, hops: u32) -> Option<(&Model, Reading<'n>)> {
        if let Some(model) = find(self, reading.base) {
            return Some((model, reading));
        }
        let target = names.alias(reading.base).filter(|_| hops > 0)?;
        readings(target).find_map(|inner| self.seek(find, reading.over(inner), names, hops - 1))
    }

    fn missing(&self, asked: &str, names: &Names) -> Failure {
        let name = crate::shown::short(asked, 128);
        let target = names.alias(asked);
        let stated = readings(target.unwrap_or(asked)).find_map(|reading| names::stated(reading.base));
        let known: Vec<_> = self.listed().take(NAMED).map(|model| model.slug.as_str()).collect();
        let hint = if known.is_empty() {
            "No account lists any model.".to_owned()
        } else {
            format!("Models that can be used: {}.", known.join(", "))
        };
        let meant =
            target.map(|target| format!(" (an alias of `{}`)", crate::shown::short(target, 128))).unwrap_or_default();
        let stated = stated.map(|words| format!("{words} ")).unwrap_or_default();
        let message =
            format!("The model `{name}`{meant} does not exist or no account has access to it. {stated}{hint}");
        Failure::new(Kind::ModelNotFound, message).code("model_not_found").at("model")
    }
}

impl Names {
    fn alias(&self, name: &str) -> Option<&str> {
        self.aliases.iter().find(|(alias, _)| alias == name).map(|(_, target)| target.as_str())
    }
}
