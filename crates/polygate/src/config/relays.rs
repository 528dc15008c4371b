//! The `[[relays]]` tables of the file. Each field is read separately, so that an error names the relay and the field and shows no value.

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};

use pool::Secret;
use pool::relay::{Capabilities, Wire, check_models, check_name, check_prefix, wire};

use super::{ConfigError, Layers};

/// A relay of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    /// The relay's name, unique in the file.
    pub name: String,
    /// The relay's address, as the owner wrote it.
    pub base_url: String,
    /// The relay's key.
    pub key: Key,
    /// The protocol; `None` detects it from the address.
    pub format: Option<Wire>,
    /// The relay's models; empty for its live list.
    pub models: Vec<String>,
    /// The prefix of the relay's model names.
    pub prefix: String,
    /// The features that the relay supports; `None` detects them from address and protocol.
    pub capabilities: Option<Capabilities>,
    /// Whether private addresses are allowed; `None` allows them when the address itself is private.
    pub allow_private: Option<bool>,
    /// The relay's share among relays that could serve the same request.
    pub weight: u32,
    /// Whether the relay is switched on.
    pub enabled: bool,
}

/// The location of a relay's key.
#[derive(Clone, PartialEq, Eq)]
pub enum Key {
    /// The relay takes no key.
    None,
    /// In the file itself.
    Inline(Secret),
    /// In a separate file.
    File(PathBuf),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Inline(_) => f.write_str("Here(***)"),
            Self::File(path) => write!(f, "File({})", path.display()),
        }
    }
}

/// The fields of a table, with their help texts.
pub const RELAY_FIELDS: [(&str, &str); 11] = [
    ("name", "Name of the relay, the `provider` in `provider:model`: 1 to 32 characters of a-z, 0-9, _ and -"),
    ("base_url", "Base URL of the relay, or the full address of one of its endpoints"),
    ("api_key", "API key of the relay; leave it out if the relay needs none"),
    ("api_key_file", "File that contains the API key, relative to the configuration file"),
    ("format", "Protocol: `chat`, `responses`, `messages` or `gemini`; detected from the address by default"),
    ("models", "Models to offer; by default the relay's live list"),
    ("prefix", "Text that clients put before the relay's model names"),
    ("capabilities", "`chat`, `embeddings`, `audio`, `images`; detected from address and format by default"),
    ("allow_private", "Whether to allow plain http and private addresses; true by default if `base_url` is one"),
    ("weight", "Share of the requests among relays that list the same model, from 1"),
    ("enabled", "`false` disables the relay"),
];

impl Layers {
    /// The relays of the file. Errors: [`ConfigError::Relay`] for the first field that is wrong.
    pub fn relays(&self) -> Result<Vec<Relay>, ConfigError> {
        let (relays, wrong) = self.valid_relays();
        wrong.into_iter().next().map_or(Ok(relays), Err)
    }

    /// The valid relays of the file, and the first wrong field of each invalid relay.
    pub fn valid_relays(&self) -> (Vec<Relay>, Vec<ConfigError>) {
        let (mut relays, mut wrong): (Vec<Relay>, Vec<ConfigError>) = (Vec::new(), Vec::new());
        for (at, value) in self.array("relays").iter().enumerate() {
            match read(at, value, &relays) {
                Ok(relay) => relays.push(relay),
                Err(error) => wrong.push(error),
            }
        }
        (relays, wrong)
    }
}

/// Reads one table. `before` has the relays of the tables before it.
fn read(at: usize, value: &toml::Value, before: &[Relay]) -> Result<Relay, ConfigError> {
    let Some(value) = value.as_table() else {
        return Err(wrong((at, ""), "relays", "a table: write [[relays]]"));
    };
    let table = Table { at, value };
    let relay = table.relay()?;
    if before.iter().any(|other| other.name == relay.name) {
        return Err(table.wrong("name", "unique among the relays of the file"));
    }
    Ok(relay)
}

/// Fields that are no relay field.
pub(super) fn unknown(layers: &Layers) -> Vec<String> {
    let tables = layers.array("relays").iter().enumerate().filter_map(|(at, value)| Some((at, value.as_table()?)));
    let names = tables.flat_map(|(at, table)| table.keys().map(move |key| (at, key)));
    names
        .filter(|(_, key)| RELAY_FIELDS.iter().all(|(field, _)| field != key))
        .map(|(at, key)| format!("relays[{at}].{key}"))
        .collect()
}

struct Table<'a> {
    at: usize,
    value: &'a toml::Table,
}

impl Table<'_> {
    fn relay(&self) -> Result<Relay, ConfigError> {
        let name = self.text("name")?.unwrap_or_default();
        check_name(&name).map_err(|_| self.wrong("name", "a name: 1 to 32 of a-z, 0-9, _ and -"))?;
        let prefix = self.text("prefix")?.unwrap_or_default();
        check_prefix(&prefix).map_err(|_| self.wrong("prefix", "a prefix: letters, digits, . _ - and /"))?;
        let models = self.list("models")?.unwrap_or_default();
        check_models(&models).map_err(|_| self.wrong("models", "a list of model names"))?;
        let weight = self.get("weight").map_or(Some(1), |value| u32::try_from(value.as_integer()?).ok());
        Ok(Relay {
            name,
            base_url: self
                .text("base_url")?
                .ok_or_else(|| self.wrong("base_url", "there; write the relay's address"))?,
            key: self.key()?,
            format: self.format()?,
            models,
            prefix,
            capabilities: self.capabilities()?,
            allow_private: self.flag("allow_private")?,
            weight: weight
                .filter(|weight| *weight > 0)
                .ok_or_else(|| self.wrong("weight", "a number from 1 to 1000"))?,
            enabled: self.flag("enabled")?.unwrap_or(true),
        })
    }

    fn key(&self) -> Result<Key, ConfigError> {
        match (self.text("api_key")?, self.text("api_key_file")?) {
            (Some(_), Some(_)) => Err(self.wrong("api_key", "alone: api_key and api_key_file exclude each other")),
            (Some(key), None) => Ok(Key::Inline(Secret::new(key))),
            (None, Some(file)) => Ok(Key::File(Path::new(&file).to_owned())),
            (None, None) => Ok(Key::None),
        }
    }

    fn format(&self) -> Result<Option<Wire>, ConfigError> {
        let Some(text) = self.text("format")?.filter(|text| text != "auto") else { return Ok(None) };
        wire(&text).map(Some).ok_or_else(|| self.wrong("format", "chat, responses, messages, gemini or auto"))
    }

    fn capabilities(&self) -> Result<Option<Capabilities>, ConfigError> {
        let Some(words) = self.list("capabilities")? else { return Ok(None) };
        let parsed = words.join(",").parse::<Capabilities>().ok().filter(|all| *all != Capabilities::NONE);
        parsed.map(Some).ok_or_else(|| self.wrong("capabilities", "a list of chat, embeddings, audio, images"))
    }

    fn get(&self, field: &str) -> Option<&toml::Value> {
        self.value.get(field)
    }

    fn text(&self, field: &'static str) -> Result<Option<String>, ConfigError> {
        let Some(value) = self.get(field) else { return Ok(None) };
        let text = value.as_str().ok_or_else(|| self.wrong(field, "text"))?;
        Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
    }

    fn flag(&self, field: &'static str) -> Result<Option<bool>, ConfigError> {
        self.get(field).map(|value| value.as_bool().ok_or_else(|| self.wrong(field, "true or false"))).transpose()
    }

    /// A list of texts, or one text with commas.
    fn list(&self, field: &'static str) -> Result<Option<Vec<String>>, ConfigError> {
        let texts: Option<Vec<&str>> = match self.get(field) {
            None => return Ok(None),
            Some(toml::Value::String(text)) => {
                Some(text.split(',').map(str::trim).filter(|text| !text.is_empty()).collect())
            }
            Some(toml::Value::Array(values)) => values.iter().map(toml::Value::as_str).collect(),
            Some(_) => None,
        };
        let texts = texts.ok_or_else(|| self.wrong(field, "a list of texts"))?;
        Ok(Some(texts.into_iter().map(str::to_owned).collect()))
    }

    fn wrong(&self, field: &'static str, wanted: &'static str) -> ConfigError {
        // An invalid name is not shown: it could be a key.
        let name = self.get("name").and_then(toml::Value::as_str).filter(|name| check_name(name).is_ok());
        wrong((self.at, name.unwrap_or_default()), field, wanted)
    }
}

fn wrong((at, name): (usize, &str), field: &'static str, wanted: &'static str) -> ConfigError {
    let name = if name.is_empty() { String::new() } else { format!(" ({name})") };
    ConfigError::Relay { at: at + 1, name, field, wanted }
}
