//! The tables `[model.routing]` and `[[model.custom]]`. Errors name the row and the field.

#[cfg(test)]
mod tests;

use pool::catalog::{CustomModel, Provider};
use pool::relay::check_name;

use super::{ConfigError, Layers};

/// Longest name, bytes.
const NAME: usize = 256;
/// Longest text for display, bytes.
const WORDS: usize = 1024;
/// Most rows.
const ROWS: usize = 256;
/// Largest number of tokens that a row may state.
const TOKENS: i64 = 1 << 32;
/// The provider name of the accounts.
const ACCOUNTS: &str = "codex";
/// The keys of the tables: Polygate's and another program's.
const CUSTOM: [&str; 2] = ["model.custom", "model.custom_models"];
const ROUTING: [&str; 2] = ["model.routing", "model_routing"];

/// The fields of a row of `[[model.custom]]`: name, help text, and another program's name.
pub const CUSTOM_FIELDS: [(&str, &str, &str); 11] = [
    ("id", "The model's name, or `relay:model` for one of a relay", ""),
    ("display_name", "Name that clients display", ""),
    (
        "lite",
        "Whether the backend expects the lite request format, as for its newer models; only for models of accounts, and known for built-in models",
        "",
    ),
    ("description", "Description that Codex displays; only for models of accounts", ""),
    ("efforts", "Reasoning efforts of the model, lowest first", "supported_reasoning_efforts"),
    ("default_effort", "Reasoning effort for requests that set none", "default_reasoning_effort"),
    ("tiers", "Service tiers of the model, such as priority", ""),
    ("context_window", "Context window in tokens", ""),
    ("max_context_window", "Largest context window in tokens", ""),
    ("max_output_tokens", "Maximum output tokens of one answer", ""),
    ("modalities", "Input types: text, image", "input_modalities"),
];
/// Fields that only rows of account models may have.
const OWN: [&str; 2] = ["lite", "description"];
/// Fields of another program that have no effect.
const IGNORED: [&str; 3] = ["output_modalities", "supports_personality", "truncation_policy_limit"];

/// Reads `[model.routing]`: the only provider of a model.
pub(super) fn routes(layers: &Layers) -> Result<Vec<(String, Provider)>, ConfigError> {
    let Some((key, value)) = find_table(layers, ROUTING)? else { return Ok(Vec::new()) };
    let wrong = |name: &str, wanted| Err(row(format!("{key}.{}", short(name)), wanted));
    let Some(table) = value.as_table() else {
        return Err(row(key.to_owned(), "a table of names and providers"));
    };
    let mut routes = Vec::new();
    for (name, provider) in table {
        let provider = provider.as_str().map(str::trim).unwrap_or_default();
        if name.is_empty() || name.len() > NAME {
            return wrong(name, "a model's name or a pattern");
        }
        if provider != ACCOUNTS && check_name(provider).is_err() {
            return wrong(name, "a relay's name, or codex for the accounts");
        }
        routes.push((name.clone(), Provider::named(provider)));
    }
    Ok(routes)
}

/// Reads `[[model.custom]]`: models that no list has, and details that the lists lack. A text instead of a table is a model's name.
pub(super) fn custom(layers: &Layers) -> Result<Vec<CustomModel>, ConfigError> {
    let Some((key, value)) = find_table(layers, CUSTOM)? else { return Ok(Vec::new()) };
    let rows = value.as_array().filter(|rows| rows.len() <= ROWS);
    let rows = rows.ok_or_else(|| row(key.to_owned(), "a list of at most 256 models: write [[model.custom]]"))?;
    let mut all: Vec<CustomModel> = Vec::new();
    for (at, value) in rows.iter().enumerate() {
        let custom = CustomRow { key, at, value }.read()?;
        if all.iter().any(|other| (&other.relay, &other.slug) == (&custom.relay, &custom.slug)) {
            return Err(row(format!("{key}[{at}].id"), "unique among the rows"));
        }
        all.push(custom);
    }
    Ok(all)
}

/// Fields that no row has.
pub(super) fn unknown(layers: &Layers) -> Vec<String> {
    let Ok(Some((key, value))) = find_table(layers, CUSTOM) else { return Vec::new() };
    let rows = value.as_array().into_iter().flatten().enumerate();
    let fields = rows.filter_map(|(at, value)| Some((at, value.as_table()?)));
    let names = fields.flat_map(|(at, table)| table.keys().map(move |name| (at, name)));
    let known = |name: &str| {
        CUSTOM_FIELDS.iter().any(|(own, _, other)| [*own, *other].contains(&name)) || IGNORED.contains(&name)
    };
    names.filter(|(_, name)| !known(name)).map(|(at, name)| format!("{key}[{at}].{name}")).collect()
}

/// Whether a key of the file belongs to one of the tables.
pub(super) fn is_model_table(key: &str) -> bool {
    let below = |table: &str| key == table || key.strip_prefix(table).is_some_and(|rest| rest.starts_with('.'));
    CUSTOM.iter().chain(&ROUTING).any(|table| below(table))
}

/// The table under Polygate's key or the other program's. Both at once are an error, because one of them would have no effect.
fn find_table<'a>(
    layers: &'a Layers,
    [own, other]: [&'static str; 2],
) -> Result<Option<(&'static str, &'a toml::Value)>, ConfigError> {
    match (layers.value(own), layers.value(other)) {
        (Some(_), Some(_)) => Err(row(other.to_owned(), "allowed beside its other name; keep one of them")),
        (Some(value), None) => Ok(Some((own, value))),
        (None, value) => Ok(value.map(|value| (other, value))),
    }
}

struct CustomRow<'a> {
    key: &'static str,
    at: usize,
    value: &'a toml::Value,
}

impl CustomRow<'_> {
    fn read(&self) -> Result<CustomModel, ConfigError> {
        let id = match self.value {
            toml::Value::String(name) => Some(name.clone()),
            _ => self.text("id", NAME)?,
        };
        let id = id.filter(|id| is_usable_name(id)).ok_or_else(|| self.wrong("id", "a model's name without spaces"))?;
        let (relay, slug) = match id.split_once(':') {
            Some((relay, slug)) if relay == ACCOUNTS => (None, slug),
            Some((relay, slug)) if check_name(relay).is_ok() => (Some(relay.to_owned()), slug),
            _ => (None, id.as_str()),
        };
        if slug.is_empty() {
            return Err(self.wrong("id", "a model's name, or relay:model"));
        }
        if let Some(field) = OWN.into_iter().find(|field| relay.is_some() && self.get(field).is_some()) {
            return Err(self.wrong(field, "allowed for models of relays"));
        }
        Ok(CustomModel {
            relay,
            slug: slug.to_owned(),
            lite: self.flag("lite")?,
            display: self.text("display_name", WORDS)?,
            description: self.text("description", WORDS)?,
            efforts: self.list("efforts")?,
            default_effort: self.text("default_effort", NAME)?,
            tiers: self.list("tiers")?,
            context: self.tokens("context_window")?,
            max_context: self.tokens("max_context_window")?,
            max_output: self.tokens("max_output_tokens")?,
            modalities: self.list("modalities")?,
        })
    }

    /// A field by Polygate's name, else by the other program's name.
    fn get(&self, field: &str) -> Option<&toml::Value> {
        let (own, _, other) = CUSTOM_FIELDS.iter().find(|(own, ..)| *own == field)?;
        self.value.get(own).or_else(|| self.value.get(other))
    }

    fn text(&self, field: &'static str, longest: usize) -> Result<Option<String>, ConfigError> {
        let Some(value) = self.get(field) else { return Ok(None) };
        let text = value.as_str().filter(|text| !text.is_empty() && text.len() <= longest);
        text.map(|text| Some(text.to_owned())).ok_or_else(|| self.wrong(field, "a short text"))
    }

    fn flag(&self, field: &'static str) -> Result<Option<bool>, ConfigError> {
        self.get(field).map(|value| value.as_bool().ok_or_else(|| self.wrong(field, "true or false"))).transpose()
    }

    fn list(&self, field: &'static str) -> Result<Option<Vec<String>>, ConfigError> {
        let Some(value) = self.get(field) else { return Ok(None) };
        let texts: Option<Vec<_>> = value.as_array().and_then(|all| all.iter().map(toml::Value::as_str).collect());
        let texts = texts.filter(|all| all.len() <= 16 && all.iter().all(|text| is_usable_name(text)));
        let texts = texts.ok_or_else(|| self.wrong(field, "a list of words"))?;
        Ok(Some(texts.into_iter().map(str::to_owned).collect()))
    }

    fn tokens(&self, field: &'static str) -> Result<Option<u64>, ConfigError> {
        let Some(value) = self.get(field) else { return Ok(None) };
        let count = value.as_integer().filter(|count| (1..=TOKENS).contains(count));
        let count = count.and_then(|count| u64::try_from(count).ok());
        count.map(Some).ok_or_else(|| self.wrong(field, "a number of tokens, from 1"))
    }

    fn wrong(&self, field: &str, wanted: &'static str) -> ConfigError {
        row(format!("{}[{}].{field}", self.key, self.at), wanted)
    }
}

/// Whether a request can use this name.
fn is_usable_name(text: &str) -> bool {
    let fit = |byte: u8| byte.is_ascii_graphic() && !b"\"'\\`<>*".contains(&byte);
    !text.is_empty() && text.len() <= NAME && text.bytes().all(fit)
}

fn short(name: &str) -> String {
    name.chars().take(64).collect()
}

fn row(place: String, wanted: &'static str) -> ConfigError {
    ConfigError::Row { place, wanted }
}
