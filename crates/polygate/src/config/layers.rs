//! The layers of a setting, highest first: flag, own environment variable, other programs' environment variables, file, default.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use super::{ConfigError, FIELDS, Field};

/// The source of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A command-line flag.
    Flag,
    /// An environment variable of this name.
    Env(String),
    /// The file, under this key.
    File(String),
    /// No layer set it.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("flag"),
            Self::Env(name) => write!(f, "env {name}"),
            Self::File(key) => write!(f, "file {key}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A setting with its winning value.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The row of the table.
    pub field: &'static Field,
    /// The value as text; `""` means "not set", commas separate list items.
    pub value: String,
    /// The source of the value.
    pub origin: Origin,
}

impl Setting {
    /// The value with its type: a number, a boolean, a list or a text; `None` when it is not set. A secret is `***`.
    pub fn typed(&self) -> Option<toml::Value> {
        let value = self.value.trim();
        if value.is_empty() {
            return None;
        }
        if self.field.secret {
            return Some(toml::Value::String("***".to_owned()));
        }
        let items = value.split(',').map(str::trim).filter(|item| !item.is_empty());
        Some(if self.field.list { toml::Value::Array(items.map(scalar).collect()) } else { scalar(value) })
    }
}

fn scalar(text: &str) -> toml::Value {
    let truth = text.parse().ok().map(toml::Value::Boolean);
    // Only a number in its canonical form is read as a number; `007` stays a text.
    let number = text.parse().ok().filter(|number: &i64| number.to_string() == text).map(toml::Value::Integer);
    truth.or(number).unwrap_or_else(|| toml::Value::String(text.to_owned()))
}

/// All layers, read once.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    flags: BTreeMap<&'static str, String>,
    env: BTreeMap<String, String>,
    file: toml::Table,
}

impl Layers {
    /// Reads `file` (a missing file counts as empty) and takes the given environment. Errors: the file cannot be read or is not TOML.
    pub fn read(file: &Path, env: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(ConfigError::Read { path: file.to_owned(), source }),
        };
        Self::parse(&text, file, env)
    }

    /// Like [`Self::read`], for the text of `file`. Errors: the text is not TOML.
    pub fn parse(
        text: &str,
        file: &Path,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let table = text.parse().map_err(|error| malformed(text, file, &error))?;
        Ok(Self { flags: BTreeMap::new(), env: env.into_iter().collect(), file: table })
    }

    /// Sets a value from the command line.
    pub fn flag(&mut self, key: &'static str, value: impl Into<String>) {
        self.flags.insert(key, value.into());
    }

    /// The setting `key` with its winning value. The key must be in the table.
    pub fn get(&self, key: &str) -> Setting {
        let field = FIELDS.iter().find(|field| field.key == key).expect("invariant: the key is in FIELDS");
        let (value, origin) = self.winner(field);
        Setting { field, value, origin }
    }

    /// The value of `key` when it is set.
    pub fn text(&self, key: &str) -> Option<String> {
        Some(self.get(key).value).filter(|value| !value.is_empty())
    }

    /// Every setting with its winning value, in table order.
    pub fn all(&self) -> impl Iterator<Item = Setting> {
        FIELDS.iter().map(|field| self.get(field.key))
    }

    /// The entries of a table of texts in the file, such as `model.aliases`. Errors: an entry is not a text, or the value is not a table.
    pub fn table(&self, path: &str) -> Result<Vec<(String, String)>, ConfigError> {
        let wrong = |place: String, wanted| ConfigError::Row { place, wanted };
        let table = match lookup(&self.file, path) {
            None => return Ok(Vec::new()),
            Some(toml::Value::Table(table)) => table,
            Some(_) => return Err(wrong(path.to_owned(), "a table of names and models")),
        };
        let entry = |(name, value): (&String, &toml::Value)| match value.as_str() {
            Some(text) => Ok((name.clone(), text.to_owned())),
            None => Err(wrong(format!("{path}.{name}"), "the name of a model, as a text")),
        };
        table.iter().map(entry).collect()
    }

    /// The file's value at this path.
    pub(super) fn value(&self, path: &str) -> Option<&toml::Value> {
        lookup(&self.file, path)
    }

    /// The tables of an array in the file, such as `[[relays]]`.
    pub(super) fn array(&self, name: &str) -> &[toml::Value] {
        match self.file.get(name) {
            Some(toml::Value::Array(tables)) => tables,
            Some(other) => std::slice::from_ref(other),
            None => &[],
        }
    }

    /// Keys of the file that no setting has.
    pub fn unknown(&self) -> Vec<String> {
        let mut found = Vec::new();
        leaves(&self.file, "", &mut found);
        found.retain(|key| {
            let table = key.starts_with("model.aliases.")
                || key.starts_with("model.fallbacks.")
                || super::models::is_model_table(key)
                || key == "relays"
                || key.starts_with("relays.");
            !table && !known(key)
        });
        found.sort();
        found.extend(super::models::unknown(self));
        found.extend(super::relays::unknown(self));
        found
    }

    fn winner(&self, field: &'static Field) -> (String, Origin) {
        if let Some(value) = self.flags.get(field.key) {
            return (value.clone(), Origin::Flag);
        }
        let names = std::iter::once(field.own_env()).chain(field.env.iter().map(|&name| name.to_owned()));
        for name in names {
            if let Some(value) = self.env.get(&name).filter(|value| !value.is_empty()) {
                return (value.clone(), Origin::Env(name));
            }
        }
        for key in std::iter::once(field.key).chain(field.also.iter().copied()) {
            if let Some(value) = lookup(&self.file, key) {
                return (plain(value), Origin::File(key.to_owned()));
            }
        }
        (field.default.to_owned(), Origin::Default)
    }
}

fn malformed(text: &str, file: &Path, error: &toml::de::Error) -> ConfigError {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let line = before.matches('\n').count() + 1;
    ConfigError::Toml { path: file.to_owned(), line, column, why: error.message().to_owned() }
}

fn known(key: &str) -> bool {
    FIELDS.iter().any(|field| field.key == key || field.also.contains(&key))
}

fn lookup<'a>(table: &'a toml::Table, path: &str) -> Option<&'a toml::Value> {
    let Some((tables, name)) = path.rsplit_once('.') else { return table.get(path) };
    tables.split('.').try_fold(table, |table, section| table.get(section)?.as_table())?.get(name)
}

fn leaves(table: &toml::Table, prefix: &str, found: &mut Vec<String>) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            toml::Value::Table(inner) => leaves(inner, &key, found),
            _ => found.push(key),
        }
    }
}

fn plain(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}
