//! Assembles the document: methods, paths and scopes come from the route table, the rest from the
//! [`Operation`](crate::operation::Operation)s.

mod failure;
mod write;

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Components, ComponentsBuilder, HttpMethod, InfoBuilder, OpenApi, OpenApiBuilder, PathItem, Paths, PathsBuilder,
};

use crate::auth::Class;
use crate::operation::{Schemas, Tag};
use crate::router;

/// The name of the only security scheme.
const TOKEN: &str = "adminToken";
const JSON: &str = "application/json";

const ABOUT: &str = "Controls a running gateway. Each call needs an admin token (`polygate admin token`) of the scope that its \
    security requirement names; client keys are refused. POST and PATCH need `Content-Type: application/json`, even without a body, and so \
    does a DELETE with a body. Every answer has an `x-request-id`, which is also in the log. Names are in snake_case and times in \
    milliseconds since 1970. The paths below `/auth` and `/api` are compatible with those of an older system: most of their names are in \
    camelCase, with times in RFC 3339. Quotas and warnings in them are the same objects as below `/admin`, and reset credits have the \
    provider's form.";

/// The current text of [`OPENAPI`](crate::OPENAPI).
pub fn openapi() -> String {
    admin_document().to_pretty_json().expect("invariant: our answers serialise") + "\n"
}

fn admin_document() -> OpenApi {
    let mut shapes = Schemas::new();
    let paths = paths(&mut shapes);
    let tags = Tag::ALL.map(|(_, name, about)| TagBuilder::new().name(name).description(Some(about)).build());
    let info = InfoBuilder::new().title("Polygate admin API").description(Some(ABOUT));
    OpenApiBuilder::new()
        .info(info.version(env!("CARGO_PKG_VERSION")).build())
        .paths(paths)
        .components(Some(components(shapes)))
        .tags(Some(tags))
        .build()
}

fn paths(shapes: &mut Schemas) -> Paths {
    failure::add_schema(shapes);
    let mut paths = PathsBuilder::new();
    for route in router::routes() {
        if let (Class::Admin(scope), Some(operation)) = (route.class, route.operation)
            && let Some(method) = method(&route.method)
        {
            let written = write::operation(route, scope, operation, shapes);
            paths = paths.path(route.path, PathItem::new(method, written));
        }
    }
    paths.build()
}

fn components(shapes: Schemas) -> Components {
    let about = "`Authorization: Bearer <token>`; `x-api-key` does as well. `polygate admin token` makes one.";
    let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(about)).build();
    ComponentsBuilder::new()
        .schemas_from_iter(shapes)
        .responses_from_iter(failure::all())
        .security_scheme(TOKEN, SecurityScheme::Http(token))
        .build()
}

/// The OpenAPI method; `None` if OpenAPI does not have it.
fn method(method: &http::Method) -> Option<HttpMethod> {
    Some(match method.as_str() {
        "GET" => HttpMethod::Get,
        "POST" => HttpMethod::Post,
        "PUT" => HttpMethod::Put,
        "PATCH" => HttpMethod::Patch,
        "DELETE" => HttpMethod::Delete,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
