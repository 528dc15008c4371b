//! Imports and exports account files. An export in clear text must be requested explicitly and is logged.

use bytes::Bytes;
use engine::{Format, ImportProblem, Imports};
use http::header::CONTENT_DISPOSITION;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use pool::Secret;
use proto::{Failure, Kind};

use super::rejection;
use crate::admin::input::{admin_id, bytes};
use crate::operation::{Operation, Param, Tag};
use crate::query;
use crate::response::{HandlerResult, Rejection, json as answer, json_bytes};
use crate::route::RequestContext;

/// The header with the passphrase of an encrypted file. The passphrase is not in the query, because queries end up in logs and histories.
const PASSPHRASE: &str = "x-polygate-passphrase";
/// The name of the encrypted format.
const ENCRYPTED: &str = "encrypted";

/// The export formats.
const FORMATS: &[&str] = &[ENCRYPTED, "full", "minimal", "cockpit_tools", "sub2api", "cpa"];

/// The requested export.
struct ExportRequest {
    /// The format's name, for the log.
    name: String,
    format: Format,
    /// The passphrase that encrypts the file; `None` if clear text was requested.
    seal: Option<Secret>,
    ids: Vec<String>,
}

pub(crate) const EXPORT: Operation = Operation::new(Tag::Accounts, "Export accounts as a file")
    .more("The file holds tokens. It is sealed, unless the request asks for it in clear.")
    .options(&[
        Param::query("ids", "Which accounts, separated by commas; all when left out.", &[]),
        Param::query("format", "The file's form; encrypted when left out.", FORMATS),
        Param::query("plaintext", "Needed for every form in clear.", &["true"]),
        Param::header(PASSPHRASE, "What the encrypted form is sealed under."),
    ])
    .sends("application/json", "The file, in the form that was asked for.");

/// `GET /auth/accounts/export?ids=a,b&format=full&plaintext=true`. With `format=encrypted` (the default) and a passphrase in
/// `x-polygate-passphrase`, the file has all fields and is encrypted.
pub(crate) async fn export(ctx: RequestContext) -> HandlerResult {
    let engine = &ctx.app.engine;
    let ExportRequest { name, format, seal, ids } = read_request(&ctx.parts)?;
    let text = engine.accounts().export(&ids, format).await.map_err(|error| rejection(&error))?;
    let body = match seal {
        Some(passphrase) => {
            let sealed = engine.accounts().seal_export(text, passphrase).await;
            Bytes::from(sealed.map_err(|error| Failure::new(Kind::Invalid, error.to_string()))?)
        }
        None => Bytes::copy_from_slice(text.expose().as_bytes()),
    };
    let count = if ids.is_empty() { engine.accounts().list().len() } else { ids.len() };
    tracing::warn!(target: "audit", admin = admin_id(&ctx.caller), format = %name, accounts = count, "accounts exported");
    let mut response = json_bytes(StatusCode::OK, body);
    let name = HeaderValue::from_static("attachment; filename=\"polygate-accounts.json\"");
    response.headers_mut().insert(CONTENT_DISPOSITION, name);
    Ok(response)
}

/// Reads the requested export; clear text is never the default.
fn read_request(parts: &Parts) -> Result<ExportRequest, Rejection> {
    let name = query::single(parts, "format").unwrap_or_else(|| ENCRYPTED.to_owned());
    let ids = query::single(parts, "ids").unwrap_or_default();
    let ids = ids.split(',').map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned).collect();
    if name == ENCRYPTED {
        let words = "Give a passphrase in x-polygate-passphrase, or a format with plaintext=true";
        let seal = Some(passphrase(&parts.headers)?.ok_or_else(|| plaintext_rejection(words))?);
        return Ok(ExportRequest { name, format: Format::Full, seal, ids });
    }
    let format = Format::named(&name).ok_or_else(|| {
        let words = "format is encrypted, full, minimal, cockpit_tools, sub2api or cpa";
        Failure::new(Kind::Invalid, words).at("format").code("unsupported_format")
    })?;
    if query::single(parts, "plaintext").is_none_or(|word| word != "true") {
        let words = "This form holds tokens in clear: add plaintext=true, or take format=encrypted";
        return Err(plaintext_rejection(words));
    }
    Ok(ExportRequest { name, format, seal: None, ids })
}

pub(crate) const IMPORT: Operation = Operation::new(Tag::Accounts, "Import accounts from a file")
    .more("Refresh tokens without more are spent at once. API keys become relays. A broken file changes nothing.")
    .options(&[Param::header(PASSPHRASE, "What a sealed file opens with.")])
    .reads(&["application/json", "text/plain"], "A file of any known form, as it is.")
    .gives::<Imports>(200);

/// `POST /auth/accounts/import`. The body is a file of any known format, as JSON or text.
pub(crate) async fn import(ctx: RequestContext) -> HandlerResult {
    let passphrase = passphrase(&ctx.parts.headers)?;
    let body = bytes(&ctx.parts.headers, ctx.body, &ctx.app).await?;
    let done = ctx.app.engine.logins().import(body.to_vec(), passphrase).await;
    let done = done.map_err(|problem| {
        let code = match problem {
            ImportProblem::File(_) => "invalid_file",
            ImportProblem::Sealed(_) => "sealed_file",
        };
        Failure::new(Kind::Invalid, problem.to_string()).code(code)
    })?;
    tracing::info!(target: "audit", admin = admin_id(&ctx.caller), added = done.added, failed = done.failed, "accounts imported");
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

fn plaintext_rejection(words: &str) -> Rejection {
    Failure::new(Kind::Invalid, words).code("plaintext_refused").into()
}
