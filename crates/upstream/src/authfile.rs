//! Reads a Codex `auth.json`, in any of its shapes, and never writes it. [`guest`] writes a separate file for a Codex that is a client of
//! this gateway.

pub mod guest;

use std::path::{Path, PathBuf};
use std::time::Duration;

use pool::{Millis, Secret};
use serde::Deserialize;
use serde_json::Value;
use tokio::io::AsyncReadExt as _;

use crate::jwt::{CLAIM, Claims};

/// Longer files are not read.
const LONGEST: u64 = 1024 * 1024;

/// The content of an auth.json.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Imported {
    /// A ChatGPT login.
    Login(Login),
    /// A plain OpenAI API key; no ChatGPT account.
    ApiKey(Secret),
}

/// A ChatGPT login of an auth.json.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Bearer.
    pub access: Secret,
    /// Single-use refresh token.
    pub refresh: Option<Secret>,
    /// Identity token.
    pub id: Option<Secret>,
    /// The account's claims; `account_id` is never empty.
    pub claims: Claims,
    /// When Codex last refreshed the tokens.
    pub refreshed: Option<Millis>,
}

/// Why a file, or a token, cannot be imported.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field has the name that the text gives it")]
pub enum ImportError {
    /// Cannot be read.
    #[error("cannot read {path}: {source}; hint: give the path of a Codex auth.json, usually ~/.codex/auth.json")]
    Io { path: PathBuf, source: std::io::Error },
    /// Over 1 MiB.
    #[error("{path} is too large to be an auth.json; hint: give the path of a Codex auth.json")]
    TooLarge { path: PathBuf },
    /// Not the JSON that the Codex CLI writes. The parser's message is left out: it could quote a token. Line 0 means valid JSON with
    /// other fields.
    #[error(
        "this is not a Codex auth.json (line {line}, column {column}); hint: sign in with `codex login` and import again"
    )]
    Malformed { line: usize, column: usize },
    /// Codex stores its tokens in the system's keyring.
    #[error(
        "this auth.json holds no tokens: Codex keeps them in the system's keyring; hint: set \
         `cli_auth_credentials_store = \"file\"` in ~/.codex/config.toml and run `codex login`, or use `polygate login`"
    )]
    Keyring,
    /// An auth mode that has no usable tokens.
    #[error(
        "auth mode {0} cannot be imported; hint: sign in to Codex with ChatGPT or an API key, or use `polygate login`"
    )]
    Mode(String),
    /// Neither the file nor its tokens name the workspace.
    #[error("the tokens name no ChatGPT account; hint: sign in again with `codex login` or `polygate login`")]
    NoAccount,
}

#[derive(Deserialize)]
struct File {
    auth_mode: Option<String>,
    #[serde(rename = "OPENAI_API_KEY")]
    api_key: Option<String>,
    tokens: Option<Tokens>,
    last_refresh: Option<Value>,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: Option<Value>,
    access_token: Option<String>,
    refresh_token: Option<String>,
    account_id: Option<String>,
}

/// Reads the file's text.
pub fn parse(text: &[u8]) -> Result<Imported, ImportError> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    // serde would read a list as a struct.
    if text.trim_ascii_start().first() != Some(&b'{') {
        return Err(ImportError::Malformed { line: 1, column: 1 });
    }
    let file: File = serde_json::from_slice(text)
        .map_err(|error| ImportError::Malformed { line: error.line(), column: error.column() })?;
    let key = non_empty_secret(file.api_key);
    let mode = file.auth_mode.as_deref().unwrap_or_default();
    match (file.tokens, key) {
        (_, Some(key)) if mode.eq_ignore_ascii_case("apikey") => Ok(Imported::ApiKey(key)),
        (Some(tokens), key) if non_empty_secret(tokens.access_token.clone()).is_some() || key.is_none() => {
            login(tokens, file.last_refresh.as_ref()).map(Imported::Login)
        }
        (_, Some(key)) => Ok(Imported::ApiKey(key)),
        (None, None) if matches!(mode, "" | "chatgpt") => Err(ImportError::Keyring),
        (_, None) => Err(ImportError::Mode(mode.chars().filter(|c| !c.is_control()).take(40).collect())),
    }
}

/// A login from tokens alone (`login --token`). The claims of the tokens name the account.
pub fn from_tokens(access: Secret, refresh: Option<Secret>, id: Option<Secret>) -> Result<Login, ImportError> {
    let claims = Claims::from_tokens(&access, id.as_ref());
    if claims.account_id.is_empty() {
        return Err(ImportError::NoAccount);
    }
    Ok(Login { access, refresh, id, claims, refreshed: None })
}

/// Reads the file. A half-written file is read again up to 3 times, 50 ms apart.
pub async fn load(path: &Path) -> Result<Imported, ImportError> {
    parse(&text(path).await?)
}

/// The file's text. A half-written file is read again up to 3 times, 50 ms apart.
pub async fn text(path: &Path) -> Result<Vec<u8>, ImportError> {
    let mut text = read(path).await?;
    for _ in 0..3 {
        if !matches!(parse(&text), Err(ImportError::Malformed { .. })) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        text = read(path).await?;
    }
    Ok(text)
}

async fn read(path: &Path) -> Result<Vec<u8>, ImportError> {
    let io = |source| ImportError::Io { path: path.to_owned(), source };
    let file = tokio::fs::File::open(path).await.map_err(io)?;
    let mut text = Vec::new();
    // The stated size of a device or a pipe is not reliable, so the read itself is bounded.
    let read = file.take(LONGEST + 1).read_to_end(&mut text).await.map_err(io)?;
    if read as u64 > LONGEST {
        return Err(ImportError::TooLarge { path: path.to_owned() });
    }
    Ok(text)
}

fn login(tokens: Tokens, refreshed: Option<&Value>) -> Result<Login, ImportError> {
    let access = non_empty_secret(tokens.access_token).ok_or(ImportError::Keyring)?;
    let id = tokens.id_token.as_ref().and_then(id_token);
    let mut claims = Claims::from_tokens(&access, id.as_ref());
    // The file's account id takes precedence: the official client sends it.
    let fit = |account: &String| (1..=CLAIM).contains(&account.len()) && !account.chars().any(char::is_control);
    if let Some(account) = tokens.account_id.filter(fit) {
        claims.account_id = account;
    }
    if claims.account_id.is_empty() {
        return Err(ImportError::NoAccount);
    }
    Ok(Login {
        access,
        refresh: non_empty_secret(tokens.refresh_token),
        id,
        claims,
        refreshed: refreshed.and_then(instant),
    })
}

/// The identity token: usually the JWT itself, sometimes a parsed object with a `raw_jwt` field.
fn id_token(value: &Value) -> Option<Secret> {
    let text = value.as_str().or_else(|| value.get("raw_jwt")?.as_str());
    non_empty_secret(text.map(str::to_owned))
}

fn instant(value: &Value) -> Option<Millis> {
    let stamp: jiff::Timestamp = value.as_str()?.parse().ok()?;
    Some(Millis(stamp.as_millisecond()))
}

fn non_empty_secret(text: Option<String>) -> Option<Secret> {
    text.filter(|text| !text.trim().is_empty()).map(Secret::new)
}

#[cfg(test)]
mod tests;
