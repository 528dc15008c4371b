//! Live events of accounts: server-sent events for the dashboard and for scripts.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use engine::{AccountEvent, Watcher};
use futures_util::StreamExt;
use futures_util::future::ready;
use futures_util::stream::{Stream, once, unfold};
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Response};
use pool::limits;
use proto::framing::line_ends;
use proto::{Failure, Kind};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use crate::operation::{Operation, Tag};
use crate::response::{Body, BodySource, HandlerResult, StreamAborted, StreamBody};
use crate::route::RequestContext;

/// Sent at the start and while there are no events, so that the client knows that the stream is open.
const HEARTBEAT: &[u8] = b": polygate\n\n";

pub(crate) const WATCH: Operation = Operation::new(Tag::Accounts, "Watch events of accounts")
    .more("Each event is named as the `type` of its data. A comment comes at once and in every silence.")
    .streams::<AccountEvent>("Server-sent events; the data of each is an `AccountEvent` in JSON.")
    .fails(&[429]);

/// `GET /admin/events`. Each event's name is the `type` of its data. A client that is too slow gets `lagged` with the number of missed
/// events.
pub(crate) async fn watch(ctx: RequestContext) -> HandlerResult {
    let Some(watcher) = ctx.app.engine.watch() else {
        let failure =
            Failure::new(Kind::RateLimited, "Too many watch already").code("too_many_watchers").retry_after(5);
        return Err(failure.into());
    };
    let events = EventSource(Box::pin(lines(watcher, ctx.app.closing.clone())));
    let mut response = Response::new(Body::Stream(StreamBody::new(Box::new(events), None, &ctx.connection)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

/// The chunks of the stream. The stream ends when the server begins to stop, because it would never end by itself.
fn lines(watcher: Watcher, closing: CancellationToken) -> impl Stream<Item = Bytes> + Send {
    let mut beat = interval_at(Instant::now() + limits::HEARTBEAT, limits::HEARTBEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let first = once(ready(Bytes::from_static(HEARTBEAT)));
    first.chain(unfold((watcher, beat, closing), async |(mut watcher, mut beat, closing)| {
        let piece = tokio::select! {
            biased;
            () = closing.cancelled() => return None,
            _ = beat.tick() => Bytes::from_static(HEARTBEAT),
            news = watcher.next() => {
                beat.reset();
                event(&*news?)
            }
        };
        Some((piece, (watcher, beat, closing)))
    }))
}

fn event(news: &AccountEvent) -> Bytes {
    let data = serde_json::to_string(news).expect("invariant: our news serialise");
    let mut frame = BytesMut::from(format!("event: {}\ndata: {data}\n\n", news.name()).as_bytes());
    line_ends::escape(&mut frame, 0, None);
    frame.freeze()
}

/// The stream as a body's source.
struct EventSource(Pin<Box<dyn Stream<Item = Bytes> + Send>>);

impl BodySource for EventSource {
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, StreamAborted>>> {
        self.0.as_mut().poll_next(cx).map(|bytes| bytes.map(Ok))
    }

    fn cut(&mut self, _failure: &Failure) -> Result<Bytes, StreamAborted> {
        Ok(Bytes::new())
    }
}

#[cfg(test)]
mod tests {
    use pool::{AccountId, Millis};

    use super::*;

    #[test]
    fn labels_end_no_line() {
        let (account, label, why) = (AccountId("a".into()), "a\u{2028}b\u{85}".to_owned(), String::new());
        let news =
            AccountEvent::Account { account, label, from: "ready", to: "paused", why, until: None, at: Millis(1) };
        let frame = String::from_utf8(event(&news).to_vec()).expect("frames are text");
        assert!(frame.contains(r#""label":"a\u2028b\u0085""#), "{frame}");
    }
}
