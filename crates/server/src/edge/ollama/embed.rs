//! Embeddings by a relay that makes them, asked in OpenAI's words.

use std::future::poll_fn;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use engine::{Delivery, Errand, Load};
use http::{HeaderValue, StatusCode};
use pool::relay::Service;
use proto::dialect::ollama::embed::{Embed, read};
use proto::{Failure, Kind};
use wire_body::offload;

use super::super::run::{Turn, head, receive, refused};
use crate::body::Charge;
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
    let embed = offload(body.len(), move || read(&body, single)).await?;
    let name = named(&turn, &embed);
    let Some(body) = embed.body.clone() else {
        turn.app.engine.serves(Service::Embeddings, name)?;
        return Ok(whole(StatusCode::OK, embed.answer(None, began.elapsed())?));
    };
    let errand = Errand {
        service: Service::Embeddings,
        model: Some(name.to_owned()),
        key: turn.key,
        request_id: turn.id,
        content_type: Some(HeaderValue::from_static("application/json")),
        load: Load::Json(body),
        turn: Vec::new(),
    };
    let mut delivery = turn.app.engine.forward(errand).await.map_err(refused)?;
    let mut said = delivery.head().clone();
    said.notes.extend(embed.notes.clone());
    let answer = collect(&mut delivery, turn.app.budget.charge(MOST)).await?;
    let mut response = whole(StatusCode::OK, embed.answer(Some(&answer), began.elapsed())?);
    response.headers_mut().extend(head(said));
    Ok(response)
}

/// A model's name without the tag that Ollama's clients add to names that have none, unless a relay lists it just so.
fn named<'e>(turn: &Turn, embed: &'e Embed) -> &'e str {
    let bare = embed.model.strip_suffix(":latest").filter(|bare| !bare.is_empty());
    let listed = || turn.app.engine.models().lists(Service::Embeddings, &embed.model);
    bare.filter(|_| !listed()).unwrap_or(&embed.model)
}

/// The relay's answer, charged to the memory budget as it comes.
async fn collect(delivery: &mut Delivery, mut charge: Charge) -> Result<Bytes, Failure> {
    let cut = |why: &str| Failure::new(Kind::Upstream, why).code("upstream_cut");
    let mut all = BytesMut::new();
    while let Some(read) = poll_fn(|cx| delivery.poll_bytes(cx)).await {
        let read = read.map_err(|broken| cut(&broken.to_string()))?;
        if all.len() + read.len() > MOST {
            return Err(cut("the relay's answer is too large"));
        }
        charge.cover(all.len() + read.len())?;
        all.extend_from_slice(&read);
    }
    Ok(charge.adopt(all.freeze()))
}
