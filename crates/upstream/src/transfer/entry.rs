//! One entry of an account file: the names of the fields in other programs, and where the fields are.

use pool::{Millis, Secret, sanitize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{File, LoginEntry, RejectedEntry, lines};
use crate::authfile::ImportError;

/// Longer entries are not read, bytes.
const LONGEST: usize = 256 << 10;
/// Longest token, bytes.
const TOKEN: usize = 64 << 10;
/// Longest name, characters.
const LABEL: usize = 64;
/// Most tags, and most characters of a tag.
const TAGS: (usize, usize) = (16, 32);
/// Longest id, bytes.
const ID: usize = 512;

/// Names of the same field in other programs' files.
const ACCESS: &[&str] = &["token", "access_token", "accessToken"];
const REFRESH: &[&str] = &["refreshToken", "refresh_token"];
const IDENTITY: &[&str] = &["idToken", "id_token"];
const ACCOUNT: &[&str] = &["accountId", "account_id", "chatgpt_account_id"];
const NAME: &[&str] = &["label", "name", "account_name", "account_note", "note"];
const KEY: &[&str] = &["OPENAI_API_KEY", "openai_api_key"];
const REFRESHED: &[&str] = &["last_refresh", "lastRefreshAt", "lastRefresh", "refreshedAt"];
/// Objects inside an entry that hold its tokens.
const TOKEN_OBJECTS: &[&str] = &["tokens", "credentials"];
/// Prefixes of refresh tokens.
const REFRESHING: &[&str] = &["rt_", "oaistb_rt_"];
/// Values of `type` and `provider` that mean an OpenAI login.
const OPENAI_KINDS: &[&str] = &["codex", "openai", "chatgpt", "oauth"];

type Object = Map<String, Value>;

impl File {
    /// Adds one entry.
    pub(super) fn add_entry(&mut self, raw: &RawValue, line: usize) {
        let mut wrong = |why: &str| self.rejected.push(RejectedEntry { line, why: why.to_owned() });
        if raw.get().len() > LONGEST {
            return wrong("this entry is over 256 KiB");
        }
        match serde_json::from_str(raw.get()) {
            Ok(Value::Object(object)) => self.object(&object, line),
            Ok(Value::String(text)) => match token(text.trim(), line) {
                Some(entry) => self.entries.push(entry),
                None => wrong("this is neither an access token nor a refresh token"),
            },
            Ok(_) => wrong("this is neither an object nor a token"),
            Err(_) => wrong("this entry is nested too deep"),
        }
    }

    fn object(&mut self, object: &Object, line: usize) {
        if is_other_provider(object) {
            self.skipped += 1;
            return;
        }
        let key = text(object, KEY);
        let only_key =
            object.get("auth_mode").and_then(Value::as_str).is_some_and(|mode| mode.eq_ignore_ascii_case("apikey"));
        let entry = read(object, line);
        let login = entry.access.is_some() || entry.refresh.is_some();
        if let Some(key) = &key {
            self.keys.push(Secret::new(key.as_str()));
        }
        if login && !(only_key && key.is_some()) {
            self.entries.push(entry);
        } else if key.is_none() {
            let codex = object.contains_key("auth_mode") || object.contains_key(KEY[0]);
            let why = if codex { ImportError::Keyring.to_string() } else { EMPTY.to_owned() };
            self.rejected.push(RejectedEntry { line, why });
        }
    }
}

const EMPTY: &str = "this entry holds no token";

/// The entry of a bare token; `None` when the text is no token.
pub(super) fn token(text: &str, line: usize) -> Option<LoginEntry> {
    let text = bare(text);
    if is_refresh_token(text) && plausible(text) {
        return Some(LoginEntry { line, refresh: Some(text.into()), ..LoginEntry::default() });
    }
    lines::is_access(text).then(|| LoginEntry { line, access: Some(text.into()), ..LoginEntry::default() })
}

/// Whether a text has the form of a token at all.
pub(super) fn plausible(text: &str) -> bool {
    (8..=TOKEN).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_refresh_token(text: &str) -> bool {
    REFRESHING.iter().any(|start| text.starts_with(start))
}

/// A token without a copied `Bearer` scheme.
fn bare(text: &str) -> &str {
    let text = text.trim();
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => text,
    }
}

fn read(object: &Object, line: usize) -> LoginEntry {
    let secret = |names| text(object, names).map(|text| Secret::new(bare(&text)));
    let (mut access, mut refresh) = (secret(ACCESS), secret(REFRESH));
    if refresh.is_none() && access.as_ref().is_some_and(|token| is_refresh_token(token.expose())) {
        refresh = access.take();
    }
    let fit = |id: &String| id.len() <= ID && !id.chars().any(char::is_control);
    LoginEntry {
        line,
        label: label(object),
        tags: tags(object),
        disabled: object.get("status").and_then(Value::as_str) == Some("disabled"),
        access,
        refresh,
        id: secret(IDENTITY).or_else(|| parsed_id(object)),
        account: text(object, ACCOUNT).filter(fit),
        refreshed: REFRESHED.iter().find_map(|name| instant(object.get(*name)?)),
    }
}

/// The first of these fields that holds text, in the entry itself or in its token objects.
fn text(object: &Object, names: &[&str]) -> Option<String> {
    let inside = TOKEN_OBJECTS.iter().filter_map(|name| object.get(*name)?.as_object());
    let mut values =
        std::iter::once(object).chain(inside).flat_map(|holder| names.iter().filter_map(|name| holder.get(*name)));
    values.find_map(|value| value.as_str().map(str::trim).filter(|text| !text.is_empty())).map(str::to_owned)
}

/// The JWT inside a parsed identity token, which some files have.
fn parsed_id(object: &Object) -> Option<Secret> {
    let inside = TOKEN_OBJECTS.iter().filter_map(|name| object.get(*name)?.as_object());
    let mut holders = std::iter::once(object).chain(inside);
    holders.find_map(|holder| holder.get("id_token")?.get("raw_jwt")?.as_str()).map(Secret::from)
}

fn label(object: &Object) -> String {
    let text = NAME.iter().find_map(|name| object.get(*name)?.as_str()).unwrap_or_default();
    clean_label(text, LABEL)
}

fn tags(object: &Object) -> Vec<String> {
    let tags = object.get("tags").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    tags.map(|tag| clean_label(tag, TAGS.1)).filter(|tag| !tag.is_empty()).take(TAGS.0).collect()
}

/// At most `most` characters, on one line, without anything that looks like a token.
fn clean_label(text: &str, most: usize) -> String {
    sanitize::clean(text.trim(), most * 4).trim().chars().take(most).collect()
}

/// A date as text, or in milliseconds.
fn instant(value: &Value) -> Option<Millis> {
    let stamp = |text: &str| text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond);
    value.as_str().map_or_else(|| value.as_i64(), stamp).map(Millis)
}

/// Whether an entry belongs to another provider. Its refresh token must not be sent to OpenAI.
fn is_other_provider(object: &Object) -> bool {
    let word = |name: &str| object.get(name).and_then(Value::as_str).map(str::to_ascii_lowercase);
    let other = |name| word(name).is_some_and(|word| !OPENAI_KINDS.contains(&word.as_str()));
    match word("platform") {
        Some(platform) => platform != "openai" || word("type").is_some_and(|kind| kind != "oauth"),
        None => other("type") || other("provider"),
    }
}
