//! Which models exist, and how a name resolves to one.
//!
//! A name is looked up in this order: the catalogue as it stands; relays that list it (by its own name, or as `relay:model`);
//! our own aliases; the same without suffixes (`-high`, `-fast`, both); the same without a vendor prefix; aliases that are patterns
//! (`claude-*opus*`), for the name without its suffixes; the retirement table; the relay that the name selects, which may serve
//! unlisted models. A name without a result is a 404 that names existing models; another model never takes its place silently.
//! Because the catalogue comes first, a live name is never treated as retired, suffixed or prefixed. The owner's routes then
//! decide who serves the model that was found, or a name that nobody lists.

mod chains;
mod codex;
mod custom;
mod names;
mod relay_index;
mod routes;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::HashMap;
use std::sync::LazyLock;

use proto::failure::{Failure, Kind};
use proto::text::Json;

pub use self::chains::Chains;
pub use self::codex::CodexList;
pub use self::custom::CustomModel;
use self::names::{Reading, readings};
use self::relay_index::RelayIndex;
pub use self::relay_index::{Offer, RelayListing, RelayTarget, ServedBy};
pub use self::routes::Provider;
use crate::account::AccountId;
use crate::learned::{LearnedLimits, ModelKey};

/// How many aliases of aliases are followed.
const HOPS: u32 = 4;
/// The latest instant at which the retired models were withdrawn, Unix seconds: 2026-06-01 (openai/codex#26053; missing in the
/// catalogue of client 0.169.0, 2026-11).
pub const RETIRED: u64 = 1_780_272_000;

/// Models that a 404 names.
const NAMED: usize = 6;

/// Alias target: the model for requests that name none.
const FIRST: &str = "@first";
/// Alias target: the first listed model of a small kind.
const SMALLEST: &str = "@smallest";

/// How a name is looked up.
type Find = fn(&Catalog, &str) -> Option<ModelMatch>;

/// The model that a name resolves to, and who serves it.
struct ModelMatch {
    model: Model,
    to: ServedBy,
}

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
    /// Whether lists show it. Requests can name hidden models.
    pub listed: bool,
    /// Lower comes first.
    pub priority: i64,
    /// Whether only the owner has listed it ([`CustomModel`]): every account may be asked for it.
    pub custom: bool,
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

/// The models that requests can name: the union of the accounts' live lists, or the bundled list until the first one arrives, and
/// the models of relays.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    models: Vec<Model>,
    at: HashMap<String, usize>,
    live: bool,
    relay_index: RelayIndex,
    /// Models of accounts that are routed to relays.
    routed_away: Vec<Model>,
    /// Whether there is neither an account nor a relay.
    vacant: bool,
}

/// The configured names of models.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Client name to model name. A `*` in a client name matches anything but a slash; a lone `*` matches any name. Names without
    /// a `*` have priority; then the first matching pattern counts. Targets may be aliases, carry suffixes, or be `@first` (the
    /// first listed model) or `@smallest` (the first listed model of a small kind). An empty target counts as missing.
    pub aliases: Vec<(String, String)>,
    /// Model for requests that name none; `None` is the first listed one.
    pub default: Option<String>,
    /// Routes: a name, alias or pattern, and the provider that serves it, even where others list the model. The first match counts;
    /// routes without a `*` have priority.
    pub routes: Vec<(String, Provider)>,
}

/// The result of resolving a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The catalogue entry; for relays its slug is the first relay's own name for the model.
    pub model: Model,
    /// Who serves it.
    pub to: ServedBy,
    /// Effort from a suffix (`-high`).
    pub effort: Option<String>,
    /// Tier from a suffix: `fast` or `flex`.
    pub tier: Option<String>,
    /// The retired name that this model replaces; such answers carry a `Deprecation` header.
    pub retired_from: Option<String>,
}

/// Reads the body of `GET /codex/models`. Unknown fields stay in `raw`; an entry without a usable slug is left out.
pub fn parse_models(body: &[u8]) -> Result<Vec<Model>, ListError> {
    wire::parse(body)
}

/// The built-in list: the models at the time of writing. It is used only until the first live list arrives.
pub fn bundled() -> Vec<Model> {
    BUNDLED.clone()
}

static BUNDLED: LazyLock<Vec<Model>> = LazyLock::new(|| {
    parse_models(include_bytes!("../data/models.json")).expect("invariant: the built-in list is valid, a test reads it")
});

impl Catalog {
    /// The bundled catalogue.
    pub fn bundled() -> Self {
        Self::of(bundled(), false)
    }

    /// This catalogue for a gateway without accounts and relays. Names still resolve, so that the client is told to log in and not
    /// that its model is unknown.
    #[must_use]
    pub fn vacant(self) -> Self {
        Self { vacant: true, ..self }
    }

    /// Whether there is neither an account nor a relay, so that none of its models can be served.
    pub fn is_vacant(&self) -> bool {
        self.vacant
    }

    /// The union of live lists, usable accounts first: the first entry of a slug counts. Pass the lists of all accounts that are
    /// not switched off, exhausted ones included. A name that only exhausted accounts list is then answered with their reset and
    /// not with 404.
    pub fn live<'a>(lists: impl IntoIterator<Item = &'a [Model]>) -> Self {
        let mut seen = std::collections::HashSet::new();
        let models = lists.into_iter().flatten().filter(|model| seen.insert(model.slug.as_str())).cloned().collect();
        Self::of(models, true)
    }

    fn of(mut models: Vec<Model>, live: bool) -> Self {
        models.sort_by(|a, b| (a.priority, &a.slug).cmp(&(b.priority, &b.slug)));
        let at = models.iter().enumerate().map(|(at, model)| (model.slug.clone(), at)).collect();
        Self { models, at, live, relay_index: RelayIndex::default(), routed_away: Vec::new(), vacant: false }
    }

    /// Adds the owner's models for accounts. A row changes the entry of its name; without one it becomes an entry, based on the
    /// built-in list.
    #[must_use]
    pub fn with_custom(self, rows: &[CustomModel]) -> Self {
        let Self { mut models, live, relay_index, .. } = self;
        for row in rows.iter().filter(|row| row.relay.is_none()) {
            match models.iter_mut().find(|model| model.slug == row.slug) {
                Some(model) => row.overlay(model),
                None => models.push(row.model(BUNDLED.iter().find(|model| model.slug == row.slug))),
            }
        }
        Self { relay_index, ..Self::of(models, live) }
    }

    /// Adds the models of these relays and the owner's rows for them. Where several relays list a name, the first entry counts.
    #[must_use]
    pub fn with_relays<'a>(mut self, relays: impl IntoIterator<Item = RelayListing<'a>>, rows: &[CustomModel]) -> Self {
        self.relay_index = RelayIndex::new(relays, rows, |name| self.at.contains_key(name));
        self
    }

    /// The catalogue for clients of another version, from lists that were requested for that version. The first entry of a model
    /// counts; a model without an entry is left out. The models of relays stay.
    #[must_use]
    pub fn for_client_version<'a>(&self, lists: impl IntoIterator<Item = &'a [Model]>) -> Self {
        let mut entries: HashMap<&str, &Model> = HashMap::new();
        for model in lists.into_iter().flatten() {
            entries.entry(&model.slug).or_insert(model);
        }
        let entry = |model: &Model| entries.get(model.slug.as_str()).map(|entry| (*entry).clone());
        let models = self.models.iter().filter_map(entry).collect();
        Self { relay_index: self.relay_index.clone(), ..Self::of(models, self.live) }
    }

    /// Applies learned limits where they are lower than the listed ones, or where none is listed.
    #[must_use]
    pub fn with_learned_limits(mut self, known: impl Fn(ModelKey) -> LearnedLimits) -> Self {
        let narrow = |model: &mut Model, relay: Option<&AccountId>| {
            model.apply_limits(known(ModelKey { relay: relay.cloned(), model: model.slug.clone() }));
        };
        self.models.iter_mut().for_each(|model| narrow(model, None));
        self.relay_index.each(|model, relay| narrow(model, Some(relay)));
        self
    }

    /// The listed models of relays, relay by relay. A model that accounts have too is named `relay:model`.
    pub fn offers(&self) -> impl Iterator<Item = Offer<'_>> {
        self.relay_index.offers()
    }

    /// How many relays there are.
    pub fn relays(&self) -> usize {
        self.relay_index.count()
    }

    /// Resolves `name` to the only relay. That relay serves any model unless its owner fixed the list.
    pub fn at_only_relay(&self, name: &str) -> Option<Resolved> {
        let ModelMatch { model, to } = self.relay_index.only(name)?;
        Some(Resolved { model, to, effort: None, tier: None, retired_from: None })
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

    /// Resolves `name`; `None` is the default model, and an empty name never resolves. The order is in the module's docs.
    pub fn resolve(&self, name: Option<&str>, names: &Names) -> Result<Resolved, Failure> {
        let requested = name.or(names.default.as_deref());
        let found = self.reroute(requested, self.find(name, names), names);
        let Some(requested) = requested.filter(|_| found.is_err()) else { return found };
        let again = |name: &str| self.reroute(Some(name), self.find(Some(name), names), names).ok();
        let lower = requested.to_ascii_lowercase();
        let lower = (lower != requested).then(|| again(&lower)).flatten();
        lower.or_else(|| again(self.case_insensitive(requested, names)?)).map_or(found, Ok)
    }

    /// The one known name that differs from `requested` only in the case of its letters.
    fn case_insensitive<'a>(&'a self, requested: &str, names: &'a Names) -> Option<&'a str> {
        let own = self.models.iter().map(|model| model.slug.as_str());
        let aliases = names.aliases.iter().map(|(alias, _)| alias.as_str()).filter(|alias| !alias.contains('*'));
        let relays = self.offers().map(|offer| offer.name).chain(self.relay_index.full_names());
        let known = own.chain(relays).chain(aliases);
        let mut found = known.filter(|name| *name != requested && name.eq_ignore_ascii_case(requested));
        let one = found.next()?;
        found.all(|other| other == one).then_some(one)
    }

    /// Resolves `name` without routes.
    fn find(&self, name: Option<&str>, names: &Names) -> Result<Resolved, Failure> {
        let Some(requested) = name.or(names.default.as_deref()) else {
            let ModelMatch { model, to } = self.first().ok_or_else(|| self.missing("", names))?;
            return Ok(Resolved { model, to, effort: None, tier: None, retired_from: None });
        };
        let lookup = |find: Find| readings(requested).find_map(|reading| self.lookup_alias(find, reading, names, HOPS));
        let plain = |find: Find, retired: bool| Some((lookup(find)?, retired));
        let found = plain(Self::lookup, false)
            .or_else(|| Some((self.pattern(requested, names)?, false)))
            .or_else(|| plain(Self::successor, true))
            .or_else(|| plain(Self::unlisted_at_relay, false));
        let ((ModelMatch { model, to }, reading), retired) = found.ok_or_else(|| self.missing(requested, names))?;
        Ok(Resolved {
            model,
            to,
            effort: reading.effort.map(str::to_owned),
            tier: reading.tier.map(str::to_owned),
            retired_from: retired.then(|| reading.base.to_owned()),
        })
    }

    /// The model for requests that name none.
    fn first(&self) -> Option<ModelMatch> {
        let own = self.listed().next().map(ModelMatch::account_model);
        own.or_else(|| self.relay_index.find(self.offers().next()?.name))
    }

    /// The first listed model of a small kind.
    fn smallest(&self) -> Option<ModelMatch> {
        let own = self.listed().find(|model| names::is_small(&model.slug)).map(ModelMatch::account_model);
        own.or_else(|| self.relay_index.find(self.offers().find(|offer| names::is_small(offer.name))?.name))
    }

    /// Resolves a name by the first matching pattern. Suffixes are removed first, because a pattern would match them too.
    fn pattern<'n>(&self, requested: &'n str, names: &'n Names) -> Option<(ModelMatch, Reading<'n>)> {
        let all: Vec<_> = readings(requested).collect();
        let (reading, target) =
            all.into_iter().rev().find_map(|reading| Some((reading, names.pattern(reading.base)?)))?;
        readings(target).find_map(|inner| self.lookup_alias(Self::lookup, reading.over(inner), names, HOPS))
    }

    /// The model that is listed by exactly this name.
    fn lookup(&self, name: &str) -> Option<ModelMatch> {
        match name {
            FIRST => return self.first(),
            SMALLEST => return self.smallest().or_else(|| self.first()),
            _ => {}
        }
        self.get(name).map(ModelMatch::account_model).or_else(|| self.relay_index.find(name))
    }

    /// The listed successor of a retired name.
    fn successor(&self, name: &str) -> Option<ModelMatch> {
        self.get(names::successor(name)?).map(ModelMatch::account_model)
    }

    /// The relay that a name selects, even for a model that it does not list.
    fn unlisted_at_relay(&self, name: &str) -> Option<ModelMatch> {
        self.relay_index.unlisted(name)
    }

    /// Applies `find` to a reading, then to the targets of its aliases.
    fn lookup_alias<'n>(
        &self,
        find: Find,
        reading: Reading<'n>,
        names: &'n Names,
        hops: u32,
    ) -> Option<(ModelMatch, Reading<'n>)> {
        if let Some(found) = find(self, reading.base) {
            return Some((found, reading));
        }
        let target = names.alias(reading.base).filter(|_| hops > 0 && !self.is_away(reading.base))?;
        readings(target).find_map(|inner| self.lookup_alias(find, reading.over(inner), names, hops - 1))
    }

    fn missing(&self, requested: &str, names: &Names) -> Failure {
        let name = crate::sanitize::short(requested, 128);
        let target = names.alias(requested);
        let stated = readings(target.unwrap_or(requested)).find_map(|reading| names::why_unknown(reading.base));
        let hint = self.hint(requested);
        let meant = target
            .map(|target| format!(" (an alias of `{}`)", crate::sanitize::short(target, 128)))
            .unwrap_or_default();
        let stated = stated.map(|words| format!("{words} ")).unwrap_or_default();
        let message =
            format!("The model `{name}`{meant} does not exist or no account has access to it. {stated}{hint}");
        Failure::new(Kind::ModelNotFound, message).code("model_not_found").at("model")
    }

    /// A hint with some existing models: of the relay that the name selects, else of all.
    fn hint(&self, requested: &str) -> String {
        if self.vacant {
            return "There is no account and no relay yet; run `polygate login` or `polygate relays add`.".to_owned();
        }
        if let Some((relay, models)) = self.relay_index.hint(requested) {
            let few: Vec<_> = models.into_iter().take(NAMED).collect();
            return format!("The relay `{relay}` offers: {}.", few.join(", "));
        }
        let own = self.listed().map(|model| model.slug.as_str());
        let known: Vec<_> = own.chain(self.offers().map(|offer| offer.name)).take(NAMED).collect();
        if known.is_empty() {
            "No account lists any model.".to_owned()
        } else {
            format!("Models that can be used: {}.", known.join(", "))
        }
    }
}

impl Model {
    /// A model of which only the name is known.
    pub fn bare(slug: &str) -> Self {
        Self {
            slug: slug.to_owned(),
            display: slug.to_owned(),
            lite: false,
            default_effort: None,
            efforts: Vec::new(),
            tiers: Vec::new(),
            context: None,
            max_context: None,
            max_output: None,
            modalities: Vec::new(),
            listed: true,
            priority: i64::MAX,
            custom: false,
            raw: Json::from_valid(bytes::Bytes::from_static(b"{}")),
        }
    }
}

impl Model {
    /// Replaces listed limits by learned ones that are lower, and adds missing ones.
    fn apply_limits(&mut self, known: LearnedLimits) {
        let LearnedLimits { window, output } = known;
        if known == LearnedLimits::default() {
            return;
        }
        let least = |listed: Option<u64>, learned: Option<u64>| match (listed, learned) {
            (Some(listed), Some(learned)) => Some(listed.min(learned)),
            (listed, learned) => listed.or(learned),
        };
        // Where only one window is listed, there is no other.
        self.max_context = least(self.max_context.or(self.context), window);
        self.context = least(self.context, window);
        self.max_output = least(self.max_output, output);
    }
}

impl ModelMatch {
    fn account_model(model: &Model) -> Self {
        Self { model: model.clone(), to: ServedBy::Accounts }
    }
}

impl Names {
    /// Appends the shipped patterns, so that clients of other vendors work without a configured model. A configured alias with the
    /// same spelling has priority.
    #[must_use]
    pub fn with_shipped(mut self) -> Self {
        for (pattern, target) in names::SHIPPED {
            if self.aliases.iter().all(|(alias, _)| alias != pattern) {
                self.aliases.push((pattern.to_owned(), target.to_owned()));
            }
        }
        self
    }

    /// The target of the first matching pattern. A name with a slash belongs to another vendor or to nobody, so only a pattern with
    /// a slash, or the lone star, matches it.
    fn pattern(&self, name: &str) -> Option<&str> {
        let reaches = |alias: &str| !name.contains('/') || alias.contains('/') || alias == "*";
        let fits = |(alias, _): &&(String, String)| alias.contains('*') && reaches(alias) && names::fits(alias, name);
        self.aliases.iter().find(fits).map(|(_, target)| target.as_str()).filter(|target| !target.is_empty())
    }

    fn alias(&self, name: &str) -> Option<&str> {
        self.aliases.iter().find(|(alias, _)| alias == name).map(|(_, target)| target.as_str())
    }
}
