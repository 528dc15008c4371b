//! A Codex `auth.json` that Codex keeps using: read when Codex writes it, and written only when its owner allows that.
//!
//! Codex truncates and writes without a lock, so a read may find half a file ([`crate::authfile::load`] reads it again), and this module
//! cannot stop Codex from writing in between. A write here replaces the whole file or nothing.

use std::io;
use std::path::{Path, PathBuf};

use pool::{Millis, Secret};
use serde_json::{Map, Value};

use crate::authfile::{self, ImportError, Imported, Login};
use crate::private_file::{self, Existing};

/// The file at one moment.
#[derive(Debug)]
pub struct LinkedFile {
    /// Its login.
    pub login: Login,
    /// When it was written last, by the file system's clock.
    pub changed: Millis,
}

/// New tokens for the file; absent ones stay unchanged.
#[derive(Debug, Default)]
pub struct NewTokens {
    /// Bearer.
    pub access: Option<Secret>,
    /// The next refresh token.
    pub refresh: Option<Secret>,
    /// Identity token.
    pub id: Option<Secret>,
}

/// Reads the file. A half-written file is read again, up to 3 times, 50 ms apart. Errors: [`ImportError`], also for a file with an API
/// key and no login.
pub async fn read(path: &Path) -> Result<LinkedFile, ImportError> {
    let changed = modified(path).await.map_err(|source| ImportError::Io { path: path.to_owned(), source })?;
    match authfile::load(path).await? {
        Imported::Login(login) => Ok(LinkedFile { login, changed }),
        Imported::ApiKey(_) => Err(ImportError::Mode("apikey".to_owned())),
    }
}

/// When the file was written last.
async fn modified(path: &Path) -> io::Result<Millis> {
    let changed = tokio::fs::metadata(path).await?.modified()?;
    let since = changed.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Ok(Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
}

/// Puts new tokens into the file in place of `spent` and leaves every other field unchanged: writes a new file beside it, mode 0600, then
/// syncs and renames it. Returns `false` when the file holds another refresh token: Codex has newer tokens, and they stay. Errors: an I/O
/// error; the old file stays intact.
pub async fn rewrite(path: &Path, spent: &Secret, fresh: NewTokens, now: Millis) -> io::Result<bool> {
    let (path, spent) = (path.to_owned(), spent.clone());
    let work = tokio::task::spawn_blocking(move || replace(&path, &spent, &fresh, now));
    work.await.unwrap_or_else(|_| Err(io::Error::other("the write was cut off")))
}

fn replace(path: &PathBuf, spent: &Secret, fresh: &NewTokens, now: Millis) -> io::Result<bool> {
    let Ok(Value::Object(mut file)) = serde_json::from_slice(&std::fs::read(path)?) else { return Ok(false) };
    let Some(Value::Object(tokens)) = file.get_mut("tokens") else { return Ok(false) };
    if tokens.get("refresh_token").and_then(Value::as_str) != Some(spent.expose()) {
        return Ok(false);
    }
    put(tokens, "access_token", fresh.access.as_ref());
    put(tokens, "refresh_token", fresh.refresh.as_ref());
    put(tokens, "id_token", fresh.id.as_ref());
    if let Ok(stamp) = jiff::Timestamp::from_millisecond(now.0) {
        file.insert("last_refresh".to_owned(), Value::String(stamp.to_string()));
    }
    private_file::write(path, serde_json::to_string_pretty(&file)?.as_bytes(), Existing::Replace)?;
    Ok(true)
}

fn put(tokens: &mut Map<String, Value>, name: &str, token: Option<&Secret>) {
    if let Some(token) = token {
        tokens.insert(name.to_owned(), Value::String(token.expose().to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"{"auth_mode":"chatgpt","unknown":{"kept":[1]},"tokens":{"id_token":"i","access_token":"a",
        "refresh_token":"rt_old","login_owner_id":"x","account_id":"acct"},"last_refresh":"2026-01-01T00:00:00Z"}"#;

    fn fresh() -> NewTokens {
        NewTokens { access: Some("b".into()), refresh: Some("rt_new".into()), id: None }
    }

    #[tokio::test]
    async fn only_the_tokens_change() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("auth.json");
        std::fs::write(&path, FILE).unwrap();
        assert!(rewrite(&path, &"rt_old".into(), fresh(), Millis(1_795_249_479_402)).await.unwrap());
        let text = std::fs::read_to_string(&path).unwrap();
        let mut wanted: Value = serde_json::from_str(FILE).unwrap();
        wanted["tokens"]["access_token"] = "b".into();
        wanted["tokens"]["refresh_token"] = "rt_new".into();
        wanted["last_refresh"] = "2026-11-21T08:24:39.402Z".into();
        assert_eq!(text, serde_json::to_string_pretty(&wanted).unwrap(), "the order of the fields too");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[tokio::test]
    async fn newer_tokens_of_codex_stay() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("auth.json");
        for text in [FILE, "{\"tokens\":", "[]", "{}"] {
            std::fs::write(&path, text).unwrap();
            assert!(!rewrite(&path, &"rt_other".into(), fresh(), Millis(0)).await.unwrap());
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }
}
