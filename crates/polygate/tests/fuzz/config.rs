//! Configuration layers: nothing panics, an error names the setting, and no output contains a secret.

use std::path::Path;

use polygate::Config;
use polygate::config::{ConfigError, FIELDS, Layers, Paths};

/// Part of every secret in these tests.
const CANARY: &str = "canary-7d1f";

/// Lines of `NAME=value` for the environment, an empty line, the file.
pub fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input).replace(CANARY, "");
    let (env, file) = text.split_once("\n\n").unwrap_or(("", &text));
    let env: Vec<(String, String)> = env
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    read(file, env.clone());
    // The same input with secrets in the file, in a line that may be broken, and in the environment.
    read(&format!("{file}\n[server]\napi_key = \"{CANARY}\"\n"), env.clone());
    read(&format!("[server]\napi_key = \"{CANARY}\" {file}"), env.clone());
    let table = format!("[[relays]]\nname = \"a\"\nbase_url = \"https://x.test\"\napi_key = \"{CANARY}\"\n");
    read(&format!("{file}\n{table}"), env.clone());
    read(&format!("{table}{file}"), env.clone());
    let secrets = FIELDS.iter().filter(|field| field.secret);
    let secrets = secrets.map(|field| (field.own_env(), format!("http://u:{CANARY}@127.0.0.1:1")));
    read(file, env.into_iter().chain(secrets).collect());
}

fn read(file: &str, env: Vec<(String, String)>) {
    let layers = match Layers::parse(file, Path::new("config.toml"), env) {
        Ok(layers) => layers,
        Err(error) => return shown(&error),
    };
    assert!(layers.unknown().iter().all(|key| !key.contains(CANARY)));
    for setting in layers.all() {
        assert!(setting.field.secret || !setting.value.contains(CANARY), "{} holds a secret", setting.field.key);
    }
    match Config::from_layers(&layers, Paths::inside(Path::new("/nowhere"))) {
        Ok(config) => assert!(!format!("{config:?}").contains(CANARY), "a secret in the settings' debug form"),
        Err(error) => {
            if let ConfigError::Value { key, .. } = &error {
                assert!(error.to_string().contains(key));
            }
            shown(&error);
        }
    }
}

fn shown(error: &ConfigError) {
    let text = format!("{error} {error:?}");
    assert!(!text.contains(CANARY), "an error shows a secret: {text}");
}
