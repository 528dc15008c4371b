//! Embeddings by a relay, requested in OpenAI's format.

use std::future::poll_fn;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use engine::{ForwardBody, ForwardRequest, ForwardedReply};
use http::{HeaderValue, StatusCode};
use pool::relay::Service;
use proto::dialect::ollama::embed::{Embed, read};
use proto::{Failure, Kind};
use wire_body::offload;

use super::super::run::{ModelCall, receive, rejection, response_headers};
use crate::body::BodyReservation;
use crate::response::{HandlerResult, json_bytes};
use crate::route::RequestContext;

/// The longest response of a relay, bytes.
const MOST: usize = 64 << 20;

/// `POST /api/embed`
pub(crate) async fn embed(ctx: RequestContext) -> HandlerResult {
    call(ctx, false).await
}

/// `POST /api/embeddings`: one text, one vector.
pub(crate) async fn embeddings(ctx: RequestContext) -> HandlerResult {
    call(ctx, true).await
}

async fn call(ctx: RequestContext, single: bool) -> HandlerResult {
    let began = Instant::now();
    let (call, body) = receive(ctx).await?;
    let embed = offload(body.len(), move || read(&body, single)).await?;
    let name = model_name(&call, &embed);
    let Some(body) = embed.body.clone() else {
        call.app.engine.check_service(Service::Embeddings, name)?;
        return Ok(json_bytes(StatusCode::OK, embed.answer(None, began.elapsed())?));
    };
    let request = ForwardRequest {
        service: Service::Embeddings,
        model: Some(name.to_owned()),
        key: call.key,
        request_id: call.id,
        content_type: Some(HeaderValue::from_static("application/json")),
        load: ForwardBody::Json(body),
        turn: Vec::new(),
    };
    let mut delivery = call.app.engine.forward_service(request).await.map_err(rejection)?;
    let mut head = delivery.head.clone();
    head.notes.extend(embed.notes.clone());
    let answer = collect(&mut delivery, call.app.budget.reservation(MOST)).await?;
    let mut response = json_bytes(StatusCode::OK, embed.answer(Some(&answer), began.elapsed())?);
    response.headers_mut().extend(response_headers(head));
    Ok(response)
}

/// A model's name without `:latest`, which Ollama's clients add to names without a tag, unless a relay lists the name with the tag.
fn model_name<'e>(call: &ModelCall, embed: &'e Embed) -> &'e str {
    let bare = embed.model.strip_suffix(":latest").filter(|bare| !bare.is_empty());
    let listed = || call.app.engine.models().lists(Service::Embeddings, &embed.model);
    bare.filter(|_| !listed()).unwrap_or(&embed.model)
}

/// Collects the relay's response and charges it to the memory budget as it arrives.
async fn collect(delivery: &mut ForwardedReply, mut charge: BodyReservation) -> Result<Bytes, Failure> {
    let cut = |why: &str| Failure::new(Kind::Upstream, why).code("upstream_cut");
    let mut all = BytesMut::new();
    while let Some(read) = poll_fn(|cx| delivery.poll_bytes(cx)).await {
        let read = read.map_err(|broken| cut(&broken.to_string()))?;
        if all.len() + read.len() > MOST {
            return Err(cut("the relay's answer is too large"));
        }
        charge.charge_to(all.len() + read.len())?;
        all.extend_from_slice(&read);
    }
    Ok(charge.seal_covered(all.freeze()))
}
