use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;
use std::time::Duration;

use http_body::Body as _;
use proto::Dialect;

use super::*;
use crate::connection::state::{ListenerKind, Phase};

/// A source that yields its texts and then stays pending forever.
struct Words(Vec<&'static str>);

impl BodySource for Words {
    fn poll_bytes(&mut self, _cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, StreamAborted>>> {
        if self.0.is_empty() { Poll::Pending } else { Poll::Ready(Some(Ok(Bytes::from(self.0.remove(0))))) }
    }

    fn cut(&mut self, failure: &Failure) -> Result<Bytes, StreamAborted> {
        Ok(Bytes::from(format!("cut: {}", failure.message)))
    }
}

fn connection() -> ConnectionState {
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 80));
    ConnectionState::new(address.ip(), address, (true, ListenerKind::Gateway))
}

fn body(source: impl BodySource + 'static, connection: &ConnectionState) -> Body {
    Body::Stream(StreamBody::new(Box::new(source), None, connection))
}

fn next(body: &mut Body) -> Poll<Option<Result<Bytes, StreamAborted>>> {
    let mut cx = Context::from_waker(Waker::noop());
    Pin::new(body).poll_frame(&mut cx).map(|next| next.map(|frame| frame.map(|frame| frame.into_data().unwrap())))
}

#[test]
fn a_stream_gives_one_frame_a_read() {
    let mut body = body(Words(vec!["a", "b"]), &connection());
    assert_eq!(next(&mut body), Poll::Ready(Some(Ok(Bytes::from("a")))));
    assert_eq!(next(&mut body), Poll::Ready(Some(Ok(Bytes::from("b")))));
    assert_eq!(next(&mut body), Poll::Pending);
}

#[test]
fn a_long_read_comes_in_pieces_and_whole_before_the_server_stops() {
    let connection = connection();
    let text: &'static str = Box::leak("a".repeat(PIECE + 1).into_boxed_str());
    let mut body = body(Words(vec![text, "b"]), &connection);
    assert_eq!(next(&mut body), Poll::Ready(Some(Ok(Bytes::from_static(&text.as_bytes()[..PIECE])))));
    connection.advance(Phase::Abort);
    assert_eq!(next(&mut body), Poll::Ready(Some(Ok(Bytes::from("a")))));
    assert_eq!(next(&mut body), Poll::Ready(Some(Ok(Bytes::from("cut: The gateway is shutting down")))));
    assert_eq!(next(&mut body), Poll::Ready(None));
}

#[test]
fn a_stopping_server_ends_a_stream_cleanly_and_once() {
    let connection = connection();
    let mut body = body(Words(vec!["a"]), &connection);
    connection.advance(Phase::Abort);
    assert_eq!(next(&mut body), Poll::Ready(Some(Ok(Bytes::from("cut: The gateway is shutting down")))));
    assert_eq!(next(&mut body), Poll::Ready(None));
}

#[tokio::test]
async fn an_untaken_frame_stalls_the_stream_and_a_quiet_upstream_does_not() {
    let (signal, waiting) = tokio::spawn(async {
        let connection = connection();
        let mut stream = StreamBody::new(Box::new(Words(vec!["a"])), None, &connection);
        let signal = Arc::clone(&stream.signal);
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(signal.stalled_task(Duration::ZERO), None, "nothing was sent");
        assert!(stream.poll(&mut cx).is_ready());
        assert_eq!(signal.stalled_task(Duration::ZERO), tokio::task::try_id());
        assert_eq!(signal.stalled_task(Duration::from_mins(1)), None, "not for as long");
        assert!(stream.poll(&mut cx).is_pending());
        let waiting = signal.stalled_task(Duration::ZERO);
        (signal, waiting)
    })
    .await
    .unwrap();
    assert_eq!(waiting, None, "hyper came back for more, so the frame was taken");
    assert_eq!(Arc::strong_count(&signal), 1, "the connection holds no stream");
}

#[test]
fn whole_bodies_know_their_length() {
    let body = Body::from(Bytes::from("abc"));
    assert_eq!(body.size_hint().exact(), Some(3));
    assert!(Body::empty().is_end_stream());
}

#[test]
fn a_long_body_comes_in_pieces() {
    let text = vec![b'a'; 2 * PIECE + 1];
    let mut body = Body::from(Bytes::from(text));
    for size in [PIECE, PIECE, 1] {
        assert!(!body.is_end_stream());
        let Poll::Ready(Some(Ok(piece))) = next(&mut body) else { panic!("the body ended early") };
        assert_eq!(piece.len(), size);
    }
    assert!(body.is_end_stream());
    assert_eq!(next(&mut body), Poll::Ready(None));
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

/// A source that stops the connection's streams while it is polled, as another thread may.
struct Stopped(Arc<ConnectionState>);

impl BodySource for Stopped {
    fn poll_bytes(&mut self, _cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, StreamAborted>>> {
        self.0.advance(Phase::Abort);
        Poll::Pending
    }

    fn cut(&mut self, _failure: &Failure) -> Result<Bytes, StreamAborted> {
        Ok(Bytes::from("cut"))
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
    let connection = Arc::new(connection());
    let mut body = body(Stopped(Arc::clone(&connection)), &connection);
    let woken = Arc::new(Woken(AtomicBool::new(false)));
    let waker = Waker::from(woken.clone());
    assert!(Pin::new(&mut body).poll_frame(&mut Context::from_waker(&waker)).is_pending());
    assert!(woken.0.load(Ordering::Acquire), "nothing else wakes a quiet stream");
    assert_eq!(next(&mut body), Poll::Ready(Some(Ok(Bytes::from("cut")))));
}

#[test]
fn a_quiet_stream_registers_its_waker_once_and_is_woken_by_the_stop() {
    let connection = connection();
    let mut body = body(Words(Vec::new()), &connection);
    let woken = Arc::new(Woken(AtomicBool::new(false)));
    let waker = Waker::from(woken.clone());
    for _ in 0..2 {
        assert!(Pin::new(&mut body).poll_frame(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(Arc::strong_count(&woken), 4, "this test, its waker, the body's and the signal's");
    }
    connection.advance(Phase::Abort);
    assert!(woken.0.load(Ordering::Acquire));
}
