//! The body of a forwarded call: JSON in memory, or a form that may still be arriving.

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

/// The client's body broke off; [`BodyFate`] has the reason.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the client's body broke off")]
struct BodyLost;

/// The body of a forwarded call.
pub enum ForwardBody {
    /// Valid JSON.
    Json(Bytes),
    /// A form.
    Form(Form),
}

/// A form whose model is known while its rest may still be arriving.
pub struct Form {
    /// The bytes that were read to find the model.
    pub head: Bytes,
    /// The range of the model's name in `head`.
    pub model: Option<Range<usize>>,
    /// The unread rest; `None` once it was sent, or when there is none.
    pub rest: Option<Rest>,
    /// The length of the whole, if the client declared it.
    pub length: Option<u64>,
    /// The fate of the rest; the default if it was not sent.
    pub fate: BodyFate,
}

/// The rest of a form in pieces; an error is why it did not arrive.
type Rest = BoxStream<'static, Result<Bytes, Failure>>;

/// The fate of the rest of a form.
#[derive(Clone, Debug, Default)]
pub struct BodyFate {
    /// Whether the rest was sent already.
    is_sent: bool,
    /// Why the rest did not arrive completely.
    fault: Arc<OnceLock<Failure>>,
}

impl ForwardBody {
    /// The body with the relay's name of the model; `None` leaves the client's name. A form that is still arriving can be sent only once.
    pub(super) fn take(&mut self, model: Option<&str>) -> OutgoingBody {
        match self {
            Self::Json(body) => with_model(body, model).into(),
            Self::Form(form) => form.take(model),
        }
    }

    /// The body for an account's backend, which takes JSON only.
    pub(super) fn json_or_empty(&self) -> Bytes {
        match self {
            Self::Json(body) => body.clone(),
            Self::Form(_) => Bytes::new(),
        }
    }

    /// Whether the body can be sent again.
    pub(super) fn can_resend(&self) -> bool {
        match self {
            Self::Json(_) => true,
            Self::Form(form) => !form.fate.is_sent,
        }
    }

    /// Why the client's body failed while it was sent: the client then caused the upstream's answer.
    pub(super) fn upload_failure(&self) -> Option<Failure> {
        match self {
            Self::Json(_) => None,
            Self::Form(form) => form.fate.fault.get().cloned(),
        }
    }
}

fn with_model(body: &Bytes, model: Option<&str>) -> Bytes {
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
        self.fate.is_sent |= rest.is_some();
        OutgoingBody::stream(Spliced { pieces, rest, left, fault: Arc::clone(&self.fate.fault) })
    }
}

/// A body that sends the pieces in memory, stored last first, and then the rest that is still arriving.
struct Spliced {
    pieces: Vec<Bytes>,
    rest: Option<Rest>,
    /// The remaining bytes in total, if known.
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
    type Error = BodyLost;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyLost>>> {
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
                Poll::Ready(Some(Err(BodyLost)))
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
