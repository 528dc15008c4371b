//! The selection of accounts: the owner's limits for each, and a dry run that explains which account would serve a request.

use engine::{AccountError, AccountView, LimitsChange, RoutingExplanation, RoutingQuery};
use http::StatusCode;
use proto::{Failure, Kind};
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use super::input::{self, AdminRequest};
use crate::app::{KEYLESS_API, KEYLESS_OLLAMA};
use crate::operation::{Operation, Param, Tag};
use crate::query;
use crate::response::{HandlerResult, Rejection, json};
use crate::route::RequestContext;
use crate::settings::Settings;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::option_option, reason = "not there, null and a number are three wishes")]
#[schema(as = AccountTerms)]
struct LimitsRequest {
    /// The number of concurrent requests; 0 is no limit; with null, the settings decide.
    #[serde(default, deserialize_with = "double_option")]
    #[schema(value_type = Option<u32>)]
    max_concurrent: Option<Option<u32>>,
    /// Accounts with a lower number serve first.
    priority: Option<i32>,
}

/// Distinguishes a field that is `null` from a field that is absent.
#[expect(clippy::option_option, reason = "not there, null and a number are three wishes")]
fn double_option<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<u32>>, D::Error> {
    Option::deserialize(value).map(Some)
}

pub(crate) const SET: Operation = Operation::new(Tag::Accounts, "Set an account's concurrency limit and priority")
    .takes::<LimitsRequest>()
    .gives::<AccountView>(200);

/// `PATCH /admin/accounts/{id}` with `{"max_concurrent": <number or null>, "priority": <number>}`
pub(crate) async fn set(ctx: RequestContext) -> HandlerResult {
    let AdminRequest { engine, param: id, body: request } = input::read_json::<LimitsRequest>(ctx).await?;
    let change = LimitsChange { max_concurrent: request.max_concurrent, priority: request.priority };
    let view = engine.accounts().set_limits(&id, change).await.map_err(|error| rejection(&error))?;
    Ok(json(StatusCode::OK, &view))
}

pub(crate) const EXPLAIN: Operation = Operation::new(Tag::Accounts, "Explain which account would serve a request")
    .more("Nothing is sent.")
    .options(&[
        Param::query("model", "The model's name; the default one when left out.", &[]),
        Param::query(
            "key_id",
            "The id of the client key that would ask; `open` or `ollama` for requests that need none.",
            &[],
        ),
        Param::query("conversation", "The conversation that the request would belong to.", &[]),
    ])
    .gives::<RoutingExplanation>(200);

/// `GET /admin/dry-run?model=&key_id=&conversation=`. The parameter is not `key`, because `key` may hold a key and is removed from every
/// address. Requests that need no key have the key id `open` or `ollama`.
pub(crate) async fn explain(ctx: RequestContext) -> HandlerResult {
    let given = |name| query::single(&ctx.parts, name).filter(|value| !value.is_empty());
    let (model, key, conversation) = (given("model"), given("key_id"), given("conversation"));
    let keyless = keyless(&ctx.app.settings, key.as_deref());
    let key = key.as_deref().filter(|_| keyless.is_none());
    let inquiry = RoutingQuery { model: model.as_deref(), key, keyless, conversation: conversation.as_deref() };
    Ok(json(StatusCode::OK, &ctx.app.engine.routing().explain(inquiry)?))
}

/// The key id of callers without a key: `ollama` for the Ollama listener, `open` where the data plane is open.
fn keyless(settings: &Settings, key: Option<&str>) -> Option<&'static str> {
    match key {
        Some(KEYLESS_OLLAMA) => settings.ollama.enabled.then_some(KEYLESS_OLLAMA),
        None | Some(KEYLESS_API) => (!settings.require_key).then_some(KEYLESS_API),
        Some(_) => None,
    }
}

fn rejection(error: &AccountError) -> Rejection {
    match error {
        AccountError::Unknown => Failure::new(Kind::NotFound, "No account has this id").code("not_found").into(),
        error => super::accounts::rejection(error),
    }
}
