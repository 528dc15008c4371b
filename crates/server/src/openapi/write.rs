//! Writes one route as an OpenAPI operation.

use http::Method;
use pool::keys::Scope;
use utoipa::openapi::path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{Object, ObjectBuilder};
use utoipa::openapi::{
    Content as Media, Header, RefOr, Required, Response, ResponseBuilder, Schema, SecurityRequirement, Type,
};

use super::{JSON, TOKEN, failure};
use crate::operation::{BodyShape, Content, Operation, Param, ParamIn, Schemas, Success};
use crate::route::{self, Route};

/// The operation of a route that requires `scope`.
pub(super) fn operation(
    route: &Route,
    scope: Scope,
    described_operation: &Operation,
    shapes: &mut Schemas,
) -> OperationBuilder {
    let typed = route::may_have_body(&route.method);
    // The type of a DELETE's body is checked too, but HTTP gives such a body no meaning, so the description offers none.
    let described = typed && route.method != Method::DELETE;
    let mut written = OperationBuilder::new()
        .tag(described_operation.topic.name())
        .summary(Some(described_operation.about))
        .description(described_operation.more)
        .operation_id(Some(id(route)))
        .request_body(takes(described_operation, described, shapes))
        .security(SecurityRequirement::new(TOKEN, [scope.name()]));
    if let Some((_, name)) = route.path.split_once('{') {
        let name = name.split('}').next().unwrap_or_default();
        written = written.parameter(parameter(name, ParameterIn::Path, described_operation.param).schema(Some(text())));
    }
    for choice in described_operation.options {
        written = written.parameter(optional_parameter(choice));
    }
    for gives in described_operation.gives.iter().flatten() {
        written = written.response(gives.status.to_string(), response(gives, shapes));
    }
    failure::of(described_operation, typed)
        .fold(written, |written, (status, response)| written.response(status, response))
}

/// The operation's id, such as `get_admin_accounts`. It comes from the route, so that renaming a function changes nothing for clients.
fn id(route: &Route) -> String {
    let words = route.path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let words: Vec<&str> = std::iter::once(route.method.as_str()).chain(words).collect();
    words.join("_").to_ascii_lowercase()
}

fn optional_parameter(choice: &Param) -> Parameter {
    let place = match choice.location {
        ParamIn::Query => ParameterIn::Query,
        ParamIn::Header => ParameterIn::Header,
    };
    let words = (!choice.values.is_empty()).then_some(choice.values.iter().copied());
    let schema = ObjectBuilder::new().schema_type(Type::String).enum_values(words);
    parameter(choice.name, place, choice.about).required(Required::False).schema(Some(schema)).build()
}

fn parameter(name: &str, place: ParameterIn, about: &str) -> ParameterBuilder {
    ParameterBuilder::new().name(name).parameter_in(place).required(Required::True).description(Some(about))
}

/// The request body. An operation that reads no body has one of any form if `described`.
fn takes(described_operation: &Operation, described: bool, shapes: &mut Schemas) -> Option<RequestBody> {
    let body = RequestBodyBuilder::new();
    Some(match described_operation.takes {
        BodyShape::Nothing if !described => return None,
        BodyShape::Nothing => {
            let body = body.description(Some("Not read.")).required(Some(Required::False));
            body.content(JSON, Media::default()).build()
        }
        BodyShape::Json { shape, required } => {
            let required = if required { Required::True } else { Required::False };
            body.required(Some(required)).content(JSON, Media::new(Some(shape(shapes)))).build()
        }
        BodyShape::Text { types, about } => {
            let body = body.description(Some(about)).required(Some(Required::True));
            types.iter().fold(body, |body, media| body.content(*media, raw(media))).build()
        }
    })
}

fn response(gives: &Success, shapes: &mut Schemas) -> Response {
    let done = match gives.status {
        201 => "Created.",
        204 => "Done; the answer has no body.",
        302 => "Redirects to another page.",
        _ => "Done.",
    };
    let response = ResponseBuilder::new();
    match gives.body {
        Content::Json(shape) => response.description(done).content(JSON, Media::new(Some(shape(shapes)))),
        Content::Raw { media, about } => response.description(about).content(media, raw(media)),
        Content::Events { shape, about } => {
            shape(shapes);
            response.description(about).content("text/event-stream", raw("text/event-stream"))
        }
        Content::Nothing if gives.status == 302 => response.description(done).header("Location", Header::new(text())),
        Content::Nothing => response.description(done),
    }
    .build()
}

/// Any JSON, or a text.
fn raw(media: &str) -> Media {
    Media::new((media != JSON).then(text))
}

fn text() -> RefOr<Schema> {
    Object::with_type(Type::String).into()
}
