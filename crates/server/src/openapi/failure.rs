//! The failures of the admin API: all have the same shape, and the status tells them apart.

use utoipa::ToSchema;
use utoipa::openapi::schema::Object;
use utoipa::openapi::{Content, Header, Ref, RefOr, Response, ResponseBuilder, Type};

use super::JSON;
use crate::operation::{self, BodyShape, Operation, Schemas};

/// Why a request failed.
#[derive(ToSchema)]
#[schema(as = Error)]
#[expect(dead_code, reason = "`proto` writes it; this is its form for the description")]
struct ErrorBody {
    error: Detail,
}

#[derive(ToSchema)]
#[schema(as = ErrorDetail)]
#[expect(dead_code, reason = "as above")]
struct Detail {
    /// The problem and a hint, for people.
    message: String,
    /// The error's class, as OpenAI's API names it.
    #[schema(rename = "type")]
    class: String,
    /// The invalid field or parameter, if the error concerns one.
    #[schema(required)]
    param: Option<String>,
    /// The error's code, for programs.
    #[schema(required)]
    code: Option<String>,
}

/// Every failure: status, name and meaning.
const ALL: [(u16, &str, &str); 14] = [
    (400, "Invalid", "The request is invalid; the message names the problem."),
    (401, "Unauthorized", "The admin token is missing or invalid."),
    (
        403,
        "Forbidden",
        "The token lacks the scope, a client key was sent, or the request comes from a page of another origin.",
    ),
    (404, "NotFound", "It does not exist, or the gateway takes no administration over the network."),
    (408, "Stalled", "The body stopped arriving."),
    (409, "Conflict", "The request conflicts with the current state; the message says how."),
    (413, "TooLarge", "The body is over the limit."),
    (415, "Unsupported", "The content type or coding of the body is not supported."),
    (421, "Misdirected", "The Host header is not one of this gateway."),
    (429, "TooSoon", "Too many requests; Retry-After says when to try again."),
    (431, "LongHeaders", "The headers are over the limit."),
    (500, "Internal", "An error of the gateway itself; the log has the details."),
    (502, "Upstream", "The service behind the gateway failed or refused."),
    (503, "Unavailable", "The gateway is busy or shutting down."),
];

/// Statuses of any route.
const COMMON: [u16; 8] = [400, 401, 403, 404, 421, 431, 500, 503];
/// Additional statuses of routes that read a body.
const READING: [u16; 3] = [408, 413, UNSUPPORTED];
const UNSUPPORTED: u16 = 415;

/// Adds the schema of all failures.
pub(super) fn add_schema(shapes: &mut Schemas) {
    operation::schema_of::<ErrorBody>(shapes);
}

/// The response of every failure, by name.
pub(super) fn all() -> impl Iterator<Item = (&'static str, Response)> {
    ALL.iter().map(|(status, name, about)| (*name, response(*status, about)))
}

/// The failures of a route. `typed` means that the body's type is checked although the body is not read.
pub(super) fn of(operation: &Operation, typed: bool) -> impl Iterator<Item = (String, RefOr<Response>)> {
    let reads = !matches!(operation.takes, BodyShape::Nothing);
    let own = operation.fails;
    let body = move |status: &u16| reads && READING.contains(status) || typed && *status == UNSUPPORTED;
    let has = move |status: &u16| COMMON.contains(status) || own.contains(status) || body(status);
    let found = ALL.iter().filter(move |(status, ..)| has(status));
    found.map(|(status, name, _)| (status.to_string(), Ref::from_response_name(*name).into()))
}

fn response(status: u16, about: &str) -> Response {
    let whole = Content::new(Some(Ref::from_schema_name(ErrorBody::name())));
    let response = ResponseBuilder::new().description(about).content(JSON, whole);
    if !matches!(status, 429 | 503) {
        return response.build();
    }
    let mut seconds = Header::new(Object::with_type(Type::Integer));
    seconds.description = Some("Seconds to wait before the next try.".to_owned());
    response.header("Retry-After", seconds).build()
}
