//! Embeddings by a relay that makes them, asked in OpenAI's words.

use std::future::poll_fn;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use engine::{Delivery, Errand, Load, Refusal};
use http::{HeaderValue, StatusCode};
use pool::relay::Service;
use proto::dialect::ollama::embed::{Embed, read};
use proto::{Failure, Kind};

use super::super::pass::denied;
use super::super::run::{Turn, head, receive};
use crate::reply::{Answer, whole};
use crate::route::Ask;

/// Most bytes of a relay's answer.
const MOST: usize = 64 << 20;

/// `POST /api/embed`
pub(crate) async fn embed(ask: Ask) -> Answer {
    call(ask, false).await
}

/// `POST /api/embeddings`: one text, one vector.
pub(crate) async fn embeddings(ask: Ask) -> Answer {
    call(ask, true).await
}

async fn call(ask: Ask, single: bool) -> Answer {
    let began = Instant::now();
    let (turn, body) = receive(ask).await?;
    let embed = read(&body, single)?;
    let Some(body) = embed.body.clone() else {
        return Ok(whole(StatusCode::OK, embed.answer(None, began.elapsed())?));
    };
    let mut delivery = forward(&turn, &embed, body).await.map_err(denied)?;
    let headers = head(delivery.head().clone());
    let answer = collect(&mut delivery).await?;
    let mut response = whole(StatusCode::OK, embed.answer(Some(&answer), began.elapsed())?);
    response.headers_mut().extend(headers);
    Ok(response)
}

/// Asks for the model as it is named, and without the tag that Ollama's clients add when no relay knows that.
async fn forward(turn: &Turn, embed: &Embed, body: Bytes) -> Result<Delivery, Refusal> {
    let errand = |model: &str| Errand {
        service: Service::Embeddings,
        key: turn.key.clone(),
        request_id: turn.id.clone(),
        model: Some(model.to_owned()),
        content_type: Some(HeaderValue::from_static("application/json")),
        load: Load::Json(body.clone()),
    };
    let first = turn.app.engine.forward(errand(&embed.model)).await;
    match (first, embed.model.strip_suffix(":latest")) {
        (Err(refusal), Some(bare)) if refusal.failure.kind == Kind::ModelNotFound && !bare.is_empty() => {
            turn.app.engine.forward(errand(bare)).await.map_err(|_| refusal)
        }
        (answer, _) => answer,
    }
}

async fn collect(delivery: &mut Delivery) -> Result<Bytes, Failure> {
    let cut = |why: &str| Failure::new(Kind::Upstream, why).code("upstream_cut");
    let mut all = BytesMut::new();
    while let Some(read) = poll_fn(|cx| delivery.poll_bytes(cx)).await {
        all.extend_from_slice(&read.map_err(|broken| cut(&broken.to_string()))?);
        if all.len() > MOST {
            return Err(cut("the relay's answer is too large"));
        }
    }
    Ok(all.freeze())
}
