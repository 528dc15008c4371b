//! A request past its commit: its call runs to its end, whatever that is. There is no way to try again here.

use proto::dialect::Setting;
use proto::{Dialect, Json};
use upstream::offload;

use crate::request::estimate;
use crate::request::reply::{Head, Refusal, Reply, Whole};
use crate::request::stream::Stream;
use crate::request::stream::reply_stream::ReplyStream;
use crate::request::stream::transcoder::ReplyShape;

/// A committed reply.
pub(crate) struct Committed {
    dialect: Dialect,
    /// `Some` for a reply that is collected.
    whole: Option<Setting>,
    head: Head,
    flow: Box<ReplyStream>,
}

impl Committed {
    pub(crate) fn new(shape: ReplyShape, head: Head, flow: Box<ReplyStream>) -> Self {
        let whole = (!shape.stream).then_some(shape.setting);
        Self { dialect: shape.dialect, whole, head, flow }
    }

    /// The reply: at once when it streams, else at its end. A collected reply that fails is a refusal with a status of its
    /// own, as nothing has been sent for it.
    pub(crate) async fn reply(self) -> Result<Reply, Refusal> {
        let Self { dialect, whole: setting, mut head, flow } = self;
        let Some(setting) = setting else { return Ok(Reply::Stream(Stream::new(head, flow))) };
        let (mut whole, mut ledger, keep) = flow.finish().await;
        head.notes.extend(ledger.noted().clone());
        if let Some(failure) = whole.failure.take() {
            ledger.refuse(dialect, &failure);
            return Err(Refusal { failure, head: Box::new(head) });
        }
        let size = estimate::reply(&whole);
        let work = move || {
            let body = dialect.whole(&whole, &setting);
            if let Some(keep) = keep {
                keep.finish(setting.stored.keep(&Json::from_valid(body.clone())).as_ref());
            }
            body
        };
        let body = offload(size, work).await;
        Ok(Reply::Whole(Whole { head, body }))
    }
}
