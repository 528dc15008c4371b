//! Forwards embeddings, audio, images and searches: unchanged to a relay, or to an account's backend.

use std::task::{Context, Poll};

use bytes::Bytes;
use engine::{BodyFate, Form, ForwardBody, ForwardRequest, ForwardedReply};
use futures_util::StreamExt;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Response, StatusCode};
use hyper::body::Incoming;
use pool::relay::Service;
use proto::{Failure, Json, Kind, images};
use wire_body::offload;

use super::multipart::{self, ModelFinder, boundary};
use super::run::{rejection, reply_permit, response_headers};
use crate::app::App;
use crate::body;
use crate::client_info;
use crate::response::{Body, BodySource, HandlerResult, StreamAborted, StreamBody};
use crate::route::RequestContext;

/// `POST /v1/embeddings`
pub(crate) async fn embeddings(ctx: RequestContext) -> HandlerResult {
    forward(ctx, Service::Embeddings).await
}

/// `POST /v1/audio/speech`
pub(crate) async fn speech(ctx: RequestContext) -> HandlerResult {
    forward(ctx, Service::Speech).await
}

/// `POST /v1/audio/transcriptions`
pub(crate) async fn transcriptions(ctx: RequestContext) -> HandlerResult {
    forward(ctx, Service::Transcriptions).await
}

/// `POST /v1/audio/translations`
pub(crate) async fn translations(ctx: RequestContext) -> HandlerResult {
    forward(ctx, Service::Translations).await
}

/// `POST /v1/images/generations`
pub(crate) async fn generations(ctx: RequestContext) -> HandlerResult {
    forward(ctx, Service::Generations).await
}

/// `POST /v1/images/edits`
pub(crate) async fn edits(ctx: RequestContext) -> HandlerResult {
    forward(ctx, Service::Edits).await
}

/// `POST /v1/images/variations`
pub(crate) async fn variations(ctx: RequestContext) -> HandlerResult {
    forward(ctx, Service::Variations).await
}

/// `POST /v1/alpha/search`: the search of the Codex backend, in its own format.
pub(crate) async fn search(ctx: RequestContext) -> HandlerResult {
    forward(ctx, Service::Search).await
}

async fn forward(ctx: RequestContext, service: Service) -> HandlerResult {
    let RequestContext { app, connection, parts, body, id, caller, .. } = ctx;
    let key = caller.usage_key();
    let (model, load) = read_payload(&app, service, (&parts.headers, body)).await?;
    // A form that is forwarded while it arrives is in progress already; a body that is read whole takes no permit until it is
    // complete.
    let permit = reply_permit(&app)?;
    let content_type = parts.headers.get(CONTENT_TYPE).cloned();
    let turn = client_info::turn_headers(&parts.headers);
    let request = ForwardRequest { service, key, request_id: id, model, content_type, load, turn };
    let delivery = app.engine.forward_service(request).await.map_err(rejection)?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(delivery.status).unwrap_or(StatusCode::OK);
    *response.headers_mut() = delivery.headers.clone();
    // The log has this request under the gateway's own request id.
    response.headers_mut().remove("x-request-id");
    response.headers_mut().extend(response_headers(delivery.head.clone()));
    *response.body_mut() = Body::Stream(StreamBody::new(Box::new(delivery), Some(permit), &connection));
    Ok(response)
}

/// The model that a body names, and the body for the account or relay that serves it.
async fn read_payload(
    app: &App,
    service: Service,
    call: (&HeaderMap, Incoming),
) -> Result<(Option<String>, ForwardBody), Failure> {
    let (limits, budget) = (&app.settings.limits, &app.budget);
    let Some(boundary) = boundary(call.0) else {
        let body = body::read(call.0, call.1, limits, budget).await?;
        let (model, body) = offload(body.len(), move || json(body)).await?;
        let accounts = app.engine.is_served_by_accounts(service, model.as_deref());
        if !accounts {
            return Ok((model, ForwardBody::Json(body)));
        }
        let body = offload(body.len(), move || to_backend_form(service, body)).await?;
        return Ok((model, ForwardBody::Json(body)));
    };
    let mut scan = ModelFinder::new(&boundary);
    let begun = body::read_beginning(call, limits, budget, |body| scan.read(body)).await?;
    let model = form_model(&begun, &scan)?;
    if !app.engine.is_served_by_accounts(service, model.as_deref()) {
        return Ok((model, form_load(begun, &scan)));
    }
    let whole = begun.whole(limits, budget).await?;
    let body = offload(whole.len(), move || images::form(&multipart::parts(&whole, &boundary)?)).await?;
    Ok((model, ForwardBody::Json(body)))
}

/// The model that a JSON body names, and the body.
fn json(body: Bytes) -> Result<(Option<String>, Bytes), Failure> {
    proto::json::check(&body)?;
    let whole = Json::from_valid(body.clone());
    let model = match whole.get("model").filter(|value| !value.is_null()) {
        None => None,
        Some(value) => match value.as_text() {
            Some(text) => Some(text.plain().into_owned()),
            None => return Err(Failure::new(Kind::Invalid, "'model' is not a string").at("model")),
        },
    };
    Ok((model, body))
}

/// Translates the body to the format of an account's backend.
fn to_backend_form(service: Service, body: Bytes) -> Result<Bytes, Failure> {
    match service {
        Service::Generations => images::generation(&body),
        Service::Edits => images::edit(&body),
        _ => Ok(body),
    }
}

/// The model that a form names.
fn form_model(begun: &body::PartialBody, scan: &ModelFinder) -> Result<Option<String>, Failure> {
    let name = scan.model().map(|at| std::str::from_utf8(&begun.head[at]).map(str::to_owned)).transpose();
    name.map_err(|_| Failure::new(Kind::Invalid, "'model' is no text in UTF-8").at("model"))
}

/// A form to forward while it arrives.
fn form_load(begun: body::PartialBody, scan: &ModelFinder) -> ForwardBody {
    let body::PartialBody { head, rest, length } = begun;
    let rest = rest.map(|rest| rest.map(|piece| piece.map_err(Failure::from)).boxed());
    ForwardBody::Form(Form { head, model: scan.model(), rest, length, fate: BodyFate::default() })
}

impl BodySource for ForwardedReply {
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, StreamAborted>>> {
        Self::poll_bytes(self, cx).map(|bytes| bytes.map(|bytes| bytes.map_err(|_| StreamAborted)))
    }

    /// A forwarded body cannot express a failure of the gateway, so the stream is reset.
    fn cut(&mut self, _failure: &Failure) -> Result<Bytes, StreamAborted> {
        Self::cut(self);
        Err(StreamAborted)
    }
}
