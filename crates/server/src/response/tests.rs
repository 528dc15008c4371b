use std::task::Waker;

use http_body::Body as _;
use proto::Dialect;

use super::*;

/// Gives what it holds, then waits for ever.
struct Words(Vec<&'static str>);

impl BodySource for Words {
    fn poll_bytes(&mut self, _cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.0.is_empty() { Poll::Pending } else { Poll::Ready(Some(Bytes::from(self.0.remove(0)))) }
    }

    fn cut(&mut self, failure: &Failure) -> Bytes {
        Bytes::from(format!("cut: {}", failure.message))
    }
}

fn next(body: &mut Body) -> Poll<Option<Result<Bytes, Abandoned>>> {
    let mut cx = Context::from_waker(Waker::noop());
    Pin::new(body).poll_frame(&mut cx).map(|next| next.map(|frame| frame.map(|frame| frame.into_data().unwrap())))
}

#[test]
fn a_stream_gives_one_frame_a_read() {
    let mut body = Body::Stream(CancellableBody::new(Box::new(Words(vec!["a", "b"]))));
    assert_eq!(next(&mut body), Poll::Ready(Some(Ok(Bytes::from("a")))));
    assert_eq!(next(&mut body), Poll::Ready(Some(Ok(Bytes::from("b")))));
    assert_eq!(next(&mut body), Poll::Pending);
}

#[test]
fn a_stopping_server_ends_a_stream_cleanly_and_once() {
    let slot = CancellableBody::new(Box::new(Words(vec!["a"])));
    let mut body = Body::Stream(slot.clone());
    slot.finish();
    assert_eq!(next(&mut body), Poll::Ready(Some(Ok(Bytes::from("cut: The gateway is shutting down")))));
    assert_eq!(next(&mut body), Poll::Ready(None));
}

#[test]
fn an_untaken_frame_costs_the_stream_and_a_quiet_upstream_does_not() {
    let slot = CancellableBody::new(Box::new(Words(vec!["a"])));
    let mut body = Body::Stream(slot.clone());
    slot.drop_stalled(Duration::ZERO);
    assert_eq!(next(&mut body), Poll::Ready(Some(Ok(Bytes::from("a")))));
    assert_eq!(next(&mut body), Poll::Pending, "hyper came back for more, so the frame was taken");
    slot.drop_stalled(Duration::ZERO);
    assert_eq!(next(&mut body), Poll::Pending);

    let slot = CancellableBody::new(Box::new(Words(vec!["a", "b"])));
    let mut body = Body::Stream(slot.clone());
    assert!(next(&mut body).is_ready());
    slot.drop_stalled(Duration::ZERO);
    assert_eq!(next(&mut body), Poll::Ready(Some(Err(Abandoned))));
}

#[test]
fn whole_bodies_know_their_length() {
    let body = Body::from(Bytes::from("abc"));
    assert_eq!(body.size_hint().exact(), Some(3));
    assert!(Body::empty().is_end_stream());
}

#[test]
fn a_refusal_has_its_status_and_headers() {
    let mut rejection =
        Rejection::with(StatusCode::MISDIRECTED_REQUEST, Failure::new(Kind::Invalid, "no").retry_after(7));
    rejection.headers.insert("x-more", HeaderValue::from_static("1"));
    let response = rejection.respond(Dialect::Chat);
    assert_eq!(response.status(), 421);
    assert_eq!(response.headers()[RETRY_AFTER], "7");
    assert_eq!(response.headers()["x-more"], "1");
    let response = Rejection::method_not_allowed(&[Method::GET, Method::POST]).respond(Dialect::Chat);
    assert_eq!(
        (response.status(), &response.headers()[ALLOW]),
        (StatusCode::METHOD_NOT_ALLOWED, &HeaderValue::from_static("GET, POST"))
    );
}

/// Stops its own stream while it is asked, as another thread may.
struct Stopped(std::sync::Weak<CancellableBody>);

impl BodySource for Stopped {
    fn poll_bytes(&mut self, _cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.0.upgrade().unwrap().finish();
        Poll::Pending
    }

    fn cut(&mut self, _failure: &Failure) -> Bytes {
        Bytes::from("cut")
    }
}

struct Woken(AtomicBool);

impl std::task::Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

#[test]
fn a_stop_between_the_look_and_the_wait_is_not_missed() {
    let slot = CancellableBody::new(Box::new(Words(Vec::new())));
    slot.state.lock().source = Some(Box::new(Stopped(Arc::downgrade(&slot))));
    let woken = Arc::new(Woken(AtomicBool::new(false)));
    let waker = Waker::from(woken.clone());
    let mut body = Body::Stream(slot);
    assert!(Pin::new(&mut body).poll_frame(&mut Context::from_waker(&waker)).is_pending());
    assert!(woken.0.load(Ordering::Acquire), "nothing else wakes a quiet stream");
    assert_eq!(next(&mut body), Poll::Ready(Some(Ok(Bytes::from("cut")))));
}
