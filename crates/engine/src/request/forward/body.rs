//! The body of a call that is handed on: JSON that is here, or a form of which only the beginning may be.

use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use http_body::{Body, Frame, SizeHint};
use proto::{Failure, Json};
use upstream::relay::OutgoingBody;

/// The client's body broke off; [`Fate`] has why.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the client's body broke off")]
struct Lost;

/// A body to hand on.
pub enum ForwardBody {
    /// Valid JSON.
    Json(Bytes),
    /// A form.
    Form(Form),
}

/// A form whose model is known while the rest of it may still be arriving.
pub struct Form {
    /// What was read to find the model.
    pub head: Bytes,
    /// Where in it the model's name is.
    pub model: Option<Range<usize>>,
    /// What has not been read yet; `None` once it was handed on, or when there is none.
    pub rest: Option<Rest>,
    /// Length of the whole, where the client said it.
    pub length: Option<u64>,
    /// What became of the rest; the default for one that was not handed on.
    pub fate: BodyFate,
}

/// The rest of a form, or why it does not come.
type Rest = BoxStream<'static, Result<Bytes, Failure>>;

/// What became of the rest of a form.
#[derive(Clone, Debug, Default)]
pub struct BodyFate {
    /// Whether it was handed on already.
    spent: bool,
    /// Why it did not come whole.
    fault: Arc<OnceLock<Failure>>,
}

impl ForwardBody {
    /// The body with the relay's name of the model; `None` leaves what is there. Of a form that is still arriving there is one.
    pub(super) fn take(&mut self, model: Option<&str>) -> OutgoingBody {
        match self {
            Self::Json(body) => named(body, model).into(),
            Self::Form(form) => form.take(model),
        }
    }

    /// The body for an account's backend, which takes JSON only; a form is not one.
    pub(super) fn json(&self) -> Bytes {
        match self {
            Self::Json(body) => body.clone(),
            Self::Form(_) => Bytes::new(),
        }
    }

    /// Whether it can be sent once more.
    pub(super) fn can_resend(&self) -> bool {
        match self {
            Self::Json(_) => true,
            Self::Form(form) => !form.fate.spent,
        }
    }

    /// What was wrong with a body that was handed on: then whatever the relay made of it is the client's doing.
    pub(super) fn fault(&self) -> Option<Failure> {
        match self {
            Self::Json(_) => None,
            Self::Form(form) => form.fate.fault.get().cloned(),
        }
    }
}

fn named(body: &Bytes, model: Option<&str>) -> Bytes {
    let Some(model) = model else { return body.clone() };
    proto::json::set(&Json::from_valid(body.clone()), "model", &Json::of(model)).bytes().clone()
}

impl Form {
    fn take(&mut self, model: Option<&str>) -> OutgoingBody {
        let pieces = match (&self.model, model) {
            (Some(at), Some(name)) => {
                let name = Bytes::copy_from_slice(name.as_bytes());
                vec![self.head.slice(at.end..), name, self.head.slice(..at.start)]
            }
            _ => vec![self.head.clone()],
        };
        let sent: usize = pieces.iter().map(Bytes::len).sum();
        let length = self.length.and_then(|whole| whole.checked_sub(self.head.len() as u64));
        let left = match &self.rest {
            Some(_) => length.map(|rest| rest + sent as u64),
            None => Some(sent as u64),
        };
        let rest = self.rest.take();
        self.fate.spent |= rest.is_some();
        OutgoingBody::stream(Spliced { pieces, rest, left, fault: Arc::clone(&self.fate.fault) })
    }
}

/// Pieces that are here, last first, then the rest of what is still arriving.
struct Spliced {
    pieces: Vec<Bytes>,
    rest: Option<Rest>,
    /// Bytes that are left in all, where that is known.
    left: Option<u64>,
    fault: Arc<OnceLock<Failure>>,
}

impl Spliced {
    fn count(&mut self, data: Bytes) -> Frame<Bytes> {
        self.left = self.left.and_then(|left| left.checked_sub(data.len() as u64));
        Frame::data(data)
    }
}

impl Body for Spliced {
    type Data = Bytes;
    type Error = Lost;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Lost>>> {
        while let Some(piece) = self.pieces.pop() {
            if !piece.is_empty() {
                return Poll::Ready(Some(Ok(self.count(piece))));
            }
        }
        let Some(rest) = &mut self.rest else { return Poll::Ready(None) };
        match std::task::ready!(rest.poll_next_unpin(cx)) {
            Some(Ok(data)) => Poll::Ready(Some(Ok(self.count(data)))),
            Some(Err(failure)) => {
                self.fault.get_or_init(|| failure);
                Poll::Ready(Some(Err(Lost)))
            }
            None => {
                self.rest = None;
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_none() && self.pieces.iter().all(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
