//! Proxies as a file: YAML or JSON, a list of entries or `{"proxies": [...]}`, or one URL a line. Read whole or not at all.

use std::fmt;
use std::fmt::Write as _;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

use super::{Address, Invalid, MOST, Proxy, check_name};
use crate::Secret;

/// Largest file, bytes.
pub const LARGEST: usize = 1 << 20;

/// A proxy of a file, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyEntry {
    /// Where in the file it is, from 1.
    pub line: u64,
    /// Its name, where the file has one.
    pub name: Option<String>,
    /// Where it is.
    pub address: Address,
    /// Whether it is switched on.
    pub enabled: bool,
    /// Whether it may be at a private address.
    pub allow_private: bool,
}

/// What is wrong with a file, and where. Shows nothing of the file, which may hold passwords.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct FileError {
    /// From 1.
    pub line: u64,
    /// What is wrong, and what to do.
    pub problem: String,
}

#[derive(Deserialize)]
struct Named {
    proxies: Vec<Spanned<WrittenProxy>>,
}

/// A URL, or a table.
struct WrittenProxy(Parts);

/// The fields of an entry, with the names that several systems use. Unknown fields are ignored: exports have times and states.
#[derive(Default, Deserialize)]
struct Parts {
    name: Option<String>,
    url: Option<String>,
    #[serde(alias = "type", alias = "scheme")]
    protocol: Option<String>,
    #[serde(alias = "server", alias = "address")]
    host: Option<String>,
    port: Option<u16>,
    #[serde(alias = "user")]
    username: Option<String>,
    password: Option<String>,
    status: Option<String>,
    enabled: Option<bool>,
    #[serde(alias = "allowPrivate", default)]
    allow_private: bool,
}

/// Reads a file. Errors: [`FileError`] for the first fault; then nothing of the file counts.
pub fn read(text: &str) -> Result<Vec<ProxyEntry>, FileError> {
    if text.len() > LARGEST {
        return Err(fault(1, "the file is larger than 1 MiB"));
    }
    let entries = if lines(text) { urls(text) } else { shaped(text)? };
    if entries.is_empty() {
        return Err(fault(1, "there is no proxy in it"));
    }
    if entries.len() > MOST {
        return Err(fault(1, format!("it has more than {MOST} proxies")));
    }
    let mut all: Vec<ProxyEntry> = Vec::with_capacity(entries.len());
    for (line, entry) in entries {
        let wanted = entry.wanted(line).map_err(|invalid| fault(line, invalid.to_string()))?;
        // The lists of some providers repeat a proxy.
        if all.iter().any(|other| other.address == wanted.address) {
            continue;
        }
        if wanted.name.is_some() && all.iter().any(|other| other.name == wanted.name) {
            return Err(fault(line, "a proxy above it has the same name"));
        }
        all.push(wanted);
    }
    Ok(all)
}

/// Writes these proxies as YAML, with their passwords in clear. The values are JSON strings, which are valid YAML.
pub fn write<'a>(proxies: impl IntoIterator<Item = &'a Proxy>) -> Secret {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let mut file = String::from("proxies:\n");
    let mut any = false;
    for proxy in proxies {
        any = true;
        let (name, url) = (quoted(&proxy.name), quoted(proxy.address.full().expose()));
        let (enabled, private) = (proxy.enabled, proxy.allow_private);
        let _ =
            writeln!(file, "  - name: {name}\n    url: {url}\n    enabled: {enabled}\n    allow_private: {private}");
    }
    Secret::new(if any { file } else { "proxies: []\n".to_owned() })
}

/// Whether it is a list of bare URLs, one a line.
fn lines(text: &str) -> bool {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    first.and_then(|line| line.split_once("://")).is_some_and(|(scheme, _)| super::Scheme::named(scheme).is_some())
}

fn urls(text: &str) -> Vec<(u64, WrittenProxy)> {
    let numbered = (1..).zip(text.lines().map(str::trim));
    let meant = numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    meant.map(|(number, line)| (number, WrittenProxy::of(line))).collect()
}

fn shaped(text: &str) -> Result<Vec<(u64, WrittenProxy)>, FileError> {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#') && *line != "---");
    let list = first.is_some_and(|line| line.starts_with(['-', '[']));
    let named = || serde_saphyr::from_str::<Named>(text).map(|named| named.proxies);
    let read = if list { serde_saphyr::from_str::<Vec<Spanned<WrittenProxy>>>(text) } else { named() };
    // The parser's own words may quote the file.
    let entries = read.map_err(|error| {
        let line = error.location().map_or(1, |location| location.line().max(1));
        fault(line, "this is no list of proxies; hint: each has a `url`, or `protocol`, `host` and `port`")
    })?;
    Ok(entries.into_iter().map(|entry| (entry.referenced.line().max(1), entry.value)).collect())
}

impl WrittenProxy {
    fn of(url: &str) -> Self {
        Self(Parts { url: Some(url.to_owned()), ..Parts::default() })
    }

    fn wanted(self, line: u64) -> Result<ProxyEntry, Invalid> {
        let Self(parts) = self;
        // A hidden password is refused here: no stored password belongs to a file.
        let address = parts.address()?.keeping(None)?;
        address.check(parts.allow_private)?;
        let name = parts.name;
        name.as_deref().map_or(Ok(()), check_name)?;
        let enabled = parts.enabled.unwrap_or(parts.status.as_deref() != Some("disabled"));
        Ok(ProxyEntry { line, name, address, enabled, allow_private: parts.allow_private })
    }
}

impl<'de> Deserialize<'de> for WrittenProxy {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Reading)
    }
}

/// A visitor, because an untagged enum would lose the line numbers.
struct Reading;

impl<'de> Visitor<'de> for Reading {
    type Value = WrittenProxy;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a proxy")
    }

    fn visit_str<E: de::Error>(self, url: &str) -> Result<WrittenProxy, E> {
        Ok(WrittenProxy::of(url))
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<WrittenProxy, A::Error> {
        Parts::deserialize(MapAccessDeserializer::new(table)).map(WrittenProxy)
    }
}

impl Parts {
    fn address(&self) -> Result<Address, Invalid> {
        match (&self.url, &self.protocol, &self.host, self.port) {
            (Some(url), ..) => Address::read(url),
            (None, Some(protocol), Some(host), Some(port)) => {
                let password = self.password.as_deref().map(Secret::from);
                Address::of((protocol, host, port), self.username.as_deref().unwrap_or_default(), password.as_ref())
            }
            _ => Err(Invalid::Unreadable),
        }
    }
}

fn fault(line: u64, problem: impl Into<String>) -> FileError {
    FileError { line, problem: problem.into() }
}
