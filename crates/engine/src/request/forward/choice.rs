//! The choice of relays or accounts for a forwarded call: relays that list the model, else accounts whose backend has the service, else the
//! only relay.

use pool::catalog::{Catalog, Model, Names, Resolved, ServedBy};
use pool::relay::{Capability, Service};
use proto::{Failure, Kind};

use super::NO_RELAY;
use crate::request::services::Services;

/// The image model of accounts.
const IMAGES: &str = "gpt-image-2";

/// Resolves the name in a forwarded call.
pub(super) fn resolve(services: &Services, service: Service, name: Option<&str>) -> Result<Resolved, Failure> {
    let Some(capability) = service.capability() else { return Ok(by_accounts("")) };
    let catalog = services.registry.accounts.catalog_for(capability);
    let names = Names { default: None, routes: Vec::new(), ..services.runtime.settings.names.clone() };
    let accounts = service.by_accounts() && services.registry.accounts.list().accounts().next().is_some();
    choose(&catalog, &names, (capability, accounts), name)
}

/// The relays that have the service and list the name; accounts, for the backend's own model; else the only relay, even for models that
/// it does not list.
fn choose(
    catalog: &Catalog,
    names: &Names,
    (capability, accounts): (Capability, bool),
    name: Option<&str>,
) -> Result<Resolved, Failure> {
    let relays = catalog.relays() > 0;
    match name {
        _ if !relays && !accounts => Err(no_relay(capability)),
        None if relays => catalog.at_only_relay("").ok_or_else(missing_model),
        None => Ok(by_accounts(IMAGES)),
        Some(name) => match catalog.resolve(Some(name), names) {
            Ok(resolved) if relays => Ok(resolved),
            _ if accounts && name == IMAGES => Ok(by_accounts(IMAGES)),
            Err(failure) if relays => catalog.at_only_relay(name).ok_or(failure),
            _ => Err(unknown_model(name)),
        },
    }
}

/// Any account, whatever models it lists, because these calls name no account model. The slug is for usage rows.
fn by_accounts(slug: &str) -> Resolved {
    let model = Model { listed: false, priority: 0, ..Model::bare(slug) };
    Resolved { model, to: ServedBy::Accounts, effort: None, tier: None, retired_from: None }
}

fn no_relay(capability: Capability) -> Failure {
    let word = capability.as_str();
    let hint = format!("no relay here offers {word}; add one that does: `polygate relays add --capabilities {word}`");
    Failure::new(Kind::NotFound, hint).code(NO_RELAY)
}

fn missing_model() -> Failure {
    Failure::new(Kind::Invalid, "Missing required field: model").at("model")
}

fn unknown_model(name: &str) -> Failure {
    let name: String = name.chars().filter(char::is_ascii_graphic).take(64).collect();
    let message = format!("No relay lists the model `{name}`, and accounts draw with `{IMAGES}` only.");
    Failure::new(Kind::ModelNotFound, message).code("model_not_found").at("model")
}
