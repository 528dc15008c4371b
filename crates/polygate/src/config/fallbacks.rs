//! The table `[model.fallbacks]` of the file: a model, alias or pattern, and the models to try instead.

use pool::catalog::Chains;
use pool::limits::FALLBACKS;

use super::{ConfigError, Layers};

/// Longest name, bytes.
const NAME: usize = 256;

/// Reads the table. A target is one text, or several in a list.
pub(super) fn read(layers: &Layers) -> Result<Chains, ConfigError> {
    let Some(table) = layers.value("model.fallbacks") else { return Ok(Chains::default()) };
    let table = table.as_table().ok_or_else(|| wrong("", "a table: write [model.fallbacks]"))?;
    let chain = |(from, targets): (&String, &toml::Value)| Ok((from.clone(), chain(from, targets)?));
    table.iter().map(chain).collect::<Result<_, _>>().map(Chains)
}

fn chain(from: &str, targets: &toml::Value) -> Result<Vec<String>, ConfigError> {
    let texts: Option<Vec<&str>> = match targets {
        toml::Value::String(text) => Some(vec![text]),
        toml::Value::Array(values) => values.iter().map(toml::Value::as_str).collect(),
        _ => None,
    };
    let names: Vec<String> = texts
        .ok_or_else(|| wrong(from, "a model's name or a list of them"))?
        .into_iter()
        .map(|name| name.trim().to_owned())
        .collect();
    let good = |name: &String| (1..=NAME).contains(&name.len()) && name != from && !name.contains('*');
    if names.is_empty() || names.len() > FALLBACKS || !names.iter().all(good) {
        return Err(wrong(from, "a list of 1 to 8 other models, without patterns"));
    }
    Ok(names)
}

fn wrong(from: &str, wanted: &'static str) -> ConfigError {
    ConfigError::Fallback { from: from.chars().take(64).collect(), wanted }
}
