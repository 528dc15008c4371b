//! Accounts in and out as files. What goes out in clear is asked for in so many words, and logged.

use bytes::Bytes;
use engine::{Format, ImportProblem, Imports};
use http::header::CONTENT_DISPOSITION;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use pool::Secret;
use proto::{Failure, Kind};

use super::denied;
use crate::admin::input::{admin, bytes};
use crate::operation::{Choice, Operation, Place, Topic};
use crate::query;
use crate::reply::{Answer, Denied, json as answer, whole};
use crate::route::Ask;

/// The passphrase of a sealed file. Not in the query, which ends up in logs and histories.
const PASSPHRASE: &str = "x-polygate-passphrase";
/// The name of what is sealed.
const ENCRYPTED: &str = "encrypted";

/// The forms that go out.
const FORMATS: &[&str] = &[ENCRYPTED, "full", "minimal", "cockpit_tools", "sub2api", "cpa"];

/// What is to go out, and how.
struct Order {
    /// Its name, for the log.
    name: String,
    format: Format,
    /// The passphrase to seal it under; `None` for clear text, which was asked for.
    seal: Option<Secret>,
    ids: Vec<String>,
}

/// Of [`export`].
pub(crate) const EXPORT: Operation = Operation::new(Topic::Accounts, "Take accounts out as a file")
    .more("The file holds tokens. It comes sealed, or in clear where that is asked for in so many words.")
    .options(&[
        Choice {
            place: Place::Query,
            name: "ids",
            about: "Which accounts, separated by commas; all when left out.",
            words: &[],
        },
        Choice {
            place: Place::Query,
            name: "format",
            about: "The file's form; encrypted when left out.",
            words: FORMATS,
        },
        Choice { place: Place::Query, name: "plaintext", about: "Needed for every form in clear.", words: &["true"] },
        Choice {
            place: Place::Header,
            name: PASSPHRASE,
            about: "What the encrypted form is sealed under.",
            words: &[],
        },
    ])
    .sends("application/json", "The file, in the form that was asked for.");

/// `GET /auth/accounts/export?ids=a,b&format=full&plaintext=true`; with `format=encrypted` (the default) and a passphrase in
/// `x-polygate-passphrase`, everything, sealed.
pub(crate) async fn export(ask: Ask) -> Answer {
    let engine = &ask.app.engine;
    let Order { name, format, seal, ids } = order(&ask.parts)?;
    let text = engine.accounts().export(&ids, format).await.map_err(|error| denied(&error))?;
    let body = match seal {
        Some(passphrase) => {
            let sealed = engine.accounts().seal_export(text, passphrase).await;
            Bytes::from(sealed.map_err(|error| Failure::new(Kind::Invalid, error.to_string()))?)
        }
        None => Bytes::copy_from_slice(text.expose().as_bytes()),
    };
    let count = if ids.is_empty() { engine.accounts().list().len() } else { ids.len() };
    tracing::warn!(target: "audit", admin = admin(&ask.caller), format = %name, accounts = count, "accounts exported");
    let mut response = whole(StatusCode::OK, body);
    let name = HeaderValue::from_static("attachment; filename=\"polygate-accounts.json\"");
    response.headers_mut().insert(CONTENT_DISPOSITION, name);
    Ok(response)
}

/// Reads what is asked for; nothing goes out in clear by omission.
fn order(parts: &Parts) -> Result<Order, Denied> {
    let name = query::one(parts, "format").unwrap_or_else(|| ENCRYPTED.to_owned());
    let ids = query::one(parts, "ids").unwrap_or_default();
    let ids = ids.split(',').map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned).collect();
    if name == ENCRYPTED {
        let words = "Give a passphrase in x-polygate-passphrase, or a format with plaintext=true";
        let seal = Some(passphrase(&parts.headers)?.ok_or_else(|| refuse(words))?);
        return Ok(Order { name, format: Format::Full, seal, ids });
    }
    let format = Format::named(&name).ok_or_else(|| {
        let words = "format is encrypted, full, minimal, cockpit_tools, sub2api or cpa";
        Failure::new(Kind::Invalid, words).at("format").code("unsupported_format")
    })?;
    if query::one(parts, "plaintext").is_none_or(|word| word != "true") {
        let words = "This form holds tokens in clear: add plaintext=true, or take format=encrypted";
        return Err(refuse(words));
    }
    Ok(Order { name, format, seal: None, ids })
}

/// Of [`import`].
pub(crate) const IMPORT: Operation = Operation::new(Topic::Accounts, "Take the accounts of a file in")
    .more("Refresh tokens without more are spent at once. API keys become relays. A broken file changes nothing.")
    .options(&[Choice { place: Place::Header, name: PASSPHRASE, about: "What a sealed file opens with.", words: &[] }])
    .reads(&["application/json", "text/plain"], "A file of any known form, as it is.")
    .gives::<Imports>(200);

/// `POST /auth/accounts/import` with a file of any known form as it is, as JSON or text
pub(crate) async fn import(ask: Ask) -> Answer {
    let passphrase = passphrase(&ask.parts.headers)?;
    let body = bytes(&ask.parts.headers, ask.body, &ask.app).await?;
    let done = ask.app.engine.logins().import(body.to_vec(), passphrase).await;
    let done = done.map_err(|problem| {
        let code = match problem {
            ImportProblem::File(_) => "invalid_file",
            ImportProblem::Sealed(_) => "sealed_file",
        };
        Failure::new(Kind::Invalid, problem.to_string()).code(code)
    })?;
    tracing::info!(target: "audit", admin = admin(&ask.caller), added = done.added, failed = done.failed, "accounts imported");
    Ok(answer(StatusCode::OK, &done))
}

fn passphrase(headers: &HeaderMap) -> Result<Option<Secret>, Failure> {
    let mut given = headers.get_all(PASSPHRASE).iter();
    match (given.next(), given.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => std::str::from_utf8(value.as_bytes())
            .map(|text| Some(Secret::from(text)))
            .map_err(|_| Failure::new(Kind::Invalid, "The passphrase is not UTF-8")),
        _ => Err(Failure::new(Kind::Invalid, "Several passphrases")),
    }
}

fn refuse(words: &str) -> Denied {
    Failure::new(Kind::Invalid, words).code("plaintext_refused").into()
}
