//! `config`: shows every setting and the layer that set it.

use clap::Subcommand;
use pool::catalog::Names;
use serde::Serialize;

use super::{Common, context, output};
use crate::config::{CUSTOM_FIELDS, Config, FIELDS, Key, Origin, RELAY_FIELDS, Relay, Setting};

#[derive(Debug, Subcommand)]
pub(super) enum Settings {
    /// Show all settings: first those that are set, then the defaults.
    Show {
        /// Also show where each value comes from: flag, environment, file or default.
        #[arg(long)]
        origin: bool,
    },
    /// Print the settings page of the documentation as Markdown.
    #[command(hide = true)]
    Docs,
}

#[derive(Serialize)]
struct SettingRow {
    key: String,
    /// `None` when the setting is not set.
    value: Option<toml::Value>,
    origin: String,
    /// Whether a layer other than the default set the value.
    own: bool,
}

impl Settings {
    pub(super) fn run(&self, common: &Common) -> anyhow::Result<()> {
        match self {
            Self::Show { origin } => show(common, *origin),
            Self::Docs => {
                output::line(docs().trim_end());
                Ok(())
            }
        }
    }
}

fn show(common: &Common, origin: bool) -> anyhow::Result<()> {
    let paths = context::paths(common)?;
    let layers = context::layers(&paths)?;
    let mut rows: Vec<SettingRow> = layers.all().map(|setting| row(&setting)).collect();
    for (at, relay) in layers.valid_relays().0.iter().enumerate() {
        rows.extend(relay_rows(at, relay));
    }
    if common.json {
        output::json(&rows);
    } else {
        output::line(&format!("# {}", paths.config.display()));
        let (own, defaults): (Vec<&SettingRow>, Vec<&SettingRow>) = rows.iter().partition(|row| row.own);
        for row in own {
            output::line(&line(row, origin));
        }
        output::line("\n# Not set by you:");
        for row in defaults {
            output::line(&format!("# {}", line(row, origin)));
        }
    }
    Config::from_layers(&layers, paths)?;
    Ok(())
}

fn line(row: &SettingRow, origin: bool) -> String {
    let from = if origin { format!("  # {}", row.origin) } else { String::new() };
    let value = row.value.as_ref().map_or_else(|| "\"\"".to_owned(), ToString::to_string);
    format!("{} = {value}{from}", row.key)
}

fn row(setting: &Setting) -> SettingRow {
    let own = setting.origin != Origin::Default;
    SettingRow { key: setting.field.key.to_owned(), value: setting.typed(), origin: setting.origin.to_string(), own }
}

/// The fields of a relay of the file, without its key.
fn relay_rows(at: usize, relay: &Relay) -> Vec<SettingRow> {
    let text = |text: String| toml::Value::String(text);
    let key = match &relay.key {
        Key::None => None,
        Key::Inline(_) => Some(("api_key", text("***".to_owned()))),
        Key::File(path) => Some(("api_key_file", text(path.display().to_string()))),
    };
    let models = relay.models.iter().cloned().map(text).collect::<Vec<_>>();
    let models = (!models.is_empty()).then(|| ("models", toml::Value::Array(models)));
    let fields = std::iter::once(("base_url", text(relay.base_url.clone()))).chain(models).chain(key);
    let row = |(field, value)| SettingRow {
        key: format!("relays.{}.{field}", relay.name),
        value: Some(value),
        origin: format!("file relays[{at}]"),
        own: true,
    };
    fields.map(row).collect()
}

fn docs() -> String {
    let settings = FIELDS.iter().map(|field| {
        let mut also: Vec<String> = vec![format!("`{}`", field.own_env())];
        also.extend(field.env.iter().map(|name| format!("`{name}`")));
        also.extend(field.also.iter().map(|key| format!("`{key}` in the file")));
        let default = if field.default.is_empty() { String::new() } else { format!("`{}`", field.default) };
        format!("| `{}` | {default} | {} | {} |\n", field.key, field.help, also.join(", "))
    });
    let aliases = Names::default().with_shipped().aliases;
    let aliases = aliases.into_iter().map(|(alias, target)| format!("| `{alias}` | `{target}` |\n"));
    let custom = CUSTOM_FIELDS.iter().map(|(field, help, other)| {
        let other = if other.is_empty() { String::new() } else { format!(" (also `{other}`)") };
        format!("| `{field}` | {help}{other} |\n")
    });
    let relays = RELAY_FIELDS.iter().map(|(field, help)| format!("| `{field}` | {help} |\n"));
    include_str!("settings.md")
        .replace("{settings}", &settings.collect::<String>())
        .replace("{aliases}", &aliases.collect::<String>())
        .replace("{custom}", &custom.collect::<String>())
        .replace("{relays}", &relays.collect::<String>())
}
