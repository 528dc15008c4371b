//! The beginning of a body that is forwarded while the rest still arrives.

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body::Body;
use proto::Failure;

use super::budget::BodyBudget;
use super::{BodyError, chunks};
use crate::settings::Limits;

/// A body whose beginning has been read.
pub(crate) struct PartialBody {
    /// The bytes that were read.
    pub(crate) head: Bytes,
    /// The rest, counted and timed; `None` when the body has ended.
    pub(crate) rest: Option<BoxStream<'static, Result<Bytes, BodyError>>>,
    /// The length of the whole body, where the client declared it.
    pub(crate) length: Option<u64>,
}

impl PartialBody {
    /// The whole body, charged to the budget.
    pub(crate) async fn whole(self, limits: &Limits, budget: &BodyBudget) -> Result<Bytes, Failure> {
        let Some(mut rest) = self.rest else { return Ok(self.head) };
        let mut charge = budget.reservation(usize::try_from(limits.wire).unwrap_or(usize::MAX));
        let mut all = Vec::new();
        charge.grow(&mut all, self.head.len())?;
        all.extend_from_slice(&self.head);
        drop(self.head);
        while let Some(chunk) = rest.next().await {
            let chunk = chunk?;
            charge.grow(&mut all, chunk.len())?;
            all.extend_from_slice(&chunk);
        }
        Ok(charge.seal(all))
    }
}

/// Reads until `enough` returns true, at most the whole body. Bodies with a content coding are refused.
pub(crate) async fn read_beginning<B>(
    (headers, body): (&HeaderMap, B),
    limits: &Limits,
    budget: &BodyBudget,
    mut enough: impl FnMut(&[u8]) -> Result<bool, Failure>,
) -> Result<PartialBody, Failure>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Send,
{
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > limits.wire) {
        return Err(BodyError::TooLarge.into());
    }
    if !wire_body::codings(headers).map_err(BodyError::from)?.is_empty() {
        return Err(BodyError::Coding.into());
    }
    let mut wire = chunks(body, limits.wire, limits.body_stall);
    let mut charge = budget.reservation(usize::try_from(limits.wire).unwrap_or(usize::MAX));
    let mut head = Vec::new();
    while let Some(chunk) = wire.next().await {
        let chunk = chunk?;
        charge.grow(&mut head, chunk.len())?;
        head.extend_from_slice(&chunk);
        if enough(&head)? {
            return Ok(PartialBody { head: charge.seal(head), rest: Some(wire.boxed()), length });
        }
    }
    Ok(PartialBody { head: charge.seal(head), rest: None, length })
}
