//! Failures before and in an answer, and the `sent` of each fault (rows F11, F12, F19, F22, F30).

use std::time::Duration;

use bytes::Bytes;
use pool::Secret;
use rstest::rstest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use upstream::{BodyReadError, Config, FaultKind, ModelCall, Sent, Timeouts, Upstream};

use crate::recorder::{Recorder, Reply, full, with_timeout};
use crate::setup::{account, assert_no_secrets, call, config, facts, short};

#[tokio::test]
async fn refused_connections_sent_nothing() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let base_url = format!("http://{closed}/backend-api").parse().unwrap();
    let fault = call(&Upstream::new(Config { base_url, ..Config::default() }).unwrap()).await.err().unwrap();
    assert_eq!((fault.sent, fault.kind), (Sent::No, FaultKind::Connect), "{fault}");
    assert_no_secrets(&fault);
}

#[tokio::test]
async fn names_that_do_not_resolve_sent_nothing() {
    let base_url = "https://nowhere.invalid/backend-api".parse().unwrap();
    let fault = call(&Upstream::new(Config { base_url, ..Config::default() }).unwrap()).await.err().unwrap();
    assert_eq!((fault.sent, fault.kind), (Sent::No, FaultKind::Connect), "{fault}");
}

#[rstest]
#[case::at_once(b"".to_vec())]
#[case::inside_the_status_line(b"HTTP/1.1 20".to_vec())]
#[case::inside_the_headers(b"HTTP/1.1 200 OK\r\ncontent-ty".to_vec())]
#[tokio::test]
async fn a_cut_before_the_headers_may_have_sent_all(#[case] bytes: Vec<u8>) {
    let mut server = Recorder::always(Reply::Close(bytes)).await;
    let fault = call(&Upstream::new(config(&server)).unwrap()).await.err().unwrap();
    assert_eq!((fault.sent, fault.kind), (Sent::Maybe, FaultKind::Cut), "{fault}");
    assert_no_secrets(&fault);
    server.request().await;
    server.closed().await;
    assert!(server.quiet(), "the request was sent again");
}

/// A listener whose backlog is full, so it answers no SYN.
fn black_hole() -> (std::net::SocketAddr, Vec<std::net::TcpStream>, tokio::net::TcpListener) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let addr = listener.local_addr().unwrap();
    let waiting = |_| std::net::TcpStream::connect_timeout(&addr, Duration::from_millis(200)).ok();
    let waiting: Vec<_> = (0..64).map_while(waiting).collect();
    assert!(waiting.len() < 64, "a backlog without an end");
    (addr, waiting, listener)
}

/// Row F19: a black hole costs 10 s and sends nothing.
#[tokio::test(start_paused = true)]
async fn a_connection_that_nobody_answers_is_given_up_in_time() {
    let (addr, _waiting, _listener) = black_hole();
    let base_url = format!("http://{addr}/backend-api").parse().unwrap();
    let upstream = Upstream::new(Config { base_url, ..Config::default() }).unwrap();
    let (account, access) = (account("acct-1"), Secret::from("t"));
    let begun = tokio::time::Instant::now();
    let model_call =
        ModelCall { account: &account, access: &access, body: Bytes::from_static(b"{}"), facts: facts(), socket: None };
    let fault = upstream.responses(model_call).await.err().unwrap();
    assert_eq!((fault.sent, fault.kind), (Sent::No, FaultKind::Connect), "{fault}");
    assert!(fault.message.contains("took too long"), "{fault}");
    assert!(begun.elapsed() <= Duration::from_millis(10_010), "{:?}", begun.elapsed());
    assert_no_secrets(&fault);
}

/// Row F19, half open: a peer that stops reading is detected by the bytes that it does not acknowledge.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_peer_that_stops_reading_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_exact(&mut [0; 10_000]).await.unwrap();
        std::future::pending::<()>().await;
    };
    let timeouts = Timeouts { unacknowledged: Duration::from_secs(1), ..Timeouts::default() };
    tokio::select! {
        () = serve => unreachable!(),
        result = heavy(addr, timeouts) => {
            let fault = result.err().unwrap();
            assert_eq!((fault.sent, fault.kind), (Sent::Maybe, FaultKind::Cut), "{fault}");
            assert_no_secrets(&fault);
        }
    }
}

/// Row F19, half open: while the client only reads, the system sends a silent peer a keep-alive probe within 30 s.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_silent_peer_is_asked_whether_it_is_there() {
    let server = Recorder::always(Reply::Hang(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhell".to_vec())).await;
    let mut answer = call(&Upstream::new(config(&server)).unwrap()).await.unwrap();
    assert_eq!(answer.body.chunk().await.unwrap().unwrap(), "hell");
    // The timer of the client's socket, by proc(5): state 1 is established, which excludes connections of other processes to an earlier
    // server at this port; timer 2 is keep-alive, in hundredths of a second.
    let timer = || {
        let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
        let peer = format!("0100007F:{:04X}", server.addr.port());
        let mut rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let row = rows.find(|row| row[2] == peer && row[3] == "01");
        let (kind, left) = row.expect("our connection")[5].split_once(':').unwrap();
        (kind.to_owned(), u32::from_str_radix(left, 16).unwrap())
    };
    let asks = async {
        while timer().0 != "02" {
            tokio::task::yield_now().await;
        }
    };
    with_timeout(asks).await;
    assert!(timer().1 <= 3000, "{:?}", timer());
}

/// A call with a body that is larger than every buffer on the path.
async fn heavy(addr: std::net::SocketAddr, timeouts: Timeouts) -> Result<upstream::Answer, upstream::Fault> {
    let mut noise = 1_u32;
    let body: Vec<u8> = std::iter::repeat_with(|| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        noise.to_be_bytes()[0]
    })
    .take(16 << 20)
    .collect();
    let base_url = format!("http://{addr}/backend-api").parse().unwrap();
    let upstream = Upstream::new(Config { base_url, timeouts, ..Config::default() }).unwrap();
    let (account, access) = (account("acct-1"), Secret::from("t"));
    with_timeout(upstream.responses(ModelCall {
        account: &account,
        access: &access,
        body: body.into(),
        facts: facts(),
        socket: None,
    }))
    .await
}

#[tokio::test]
async fn a_reset_inside_the_body_may_have_sent_all() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        // Unread bytes turn the close into a reset.
        stream.read_exact(&mut [0; 10_000]).await.unwrap();
        drop(stream);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = serve => unreachable!(),
        result = heavy(addr, Timeouts::default()) => {
            let fault = result.err().unwrap();
            assert_eq!((fault.sent, fault.kind), (Sent::Maybe, FaultKind::Cut), "{fault}");
            assert_no_secrets(&fault);
        }
    }
    assert!(tokio::time::timeout(Duration::from_millis(50), listener.accept()).await.is_err());
}

#[tokio::test]
async fn an_answer_that_comes_before_the_body_is_out_is_an_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_exact(&mut [0; 10_000]).await.unwrap();
        stream.write_all(&full("413 Too Large", "", "no")).await.unwrap();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = serve => unreachable!(),
        result = heavy(addr, Timeouts::default()) => {
            let answer = result.unwrap();
            assert_eq!((answer.status, answer.body.collect(10).await.unwrap()), (413, Bytes::from("no")));
        }
    }
}

#[tokio::test]
async fn silence_is_a_timeout_and_hangs_up() {
    let mut server = Recorder::always(Reply::Hang(Vec::new())).await;
    let upstream = Upstream::new(Config { timeouts: short(), ..config(&server) }).unwrap();
    let fault = call(&upstream).await.err().unwrap();
    assert_eq!((fault.sent, fault.kind), (Sent::Maybe, FaultKind::Timeout), "{fault}");
    server.request().await;
    server.closed().await;
}

#[rstest]
#[case(301)]
#[case(302)]
#[case(303)]
#[case(307)]
#[case(308)]
#[case(300)]
#[case(304)]
#[tokio::test]
async fn redirects_are_never_followed(#[case] status: u16) {
    let mut target = Recorder::always(Reply::Keep(full("200 OK", "", ""))).await;
    let head = format!("location: http://{}/latest/meta-data\r\n", target.addr);
    let server = Recorder::always(Reply::Keep(full(&format!("{status} Elsewhere"), &head, ""))).await;
    let fault = call(&Upstream::new(config(&server)).unwrap()).await.err().unwrap();
    assert_eq!((fault.sent, fault.kind, fault.kind.code()), (Sent::Yes, FaultKind::Redirect, "upstream_redirect"));
    assert_no_secrets(&fault);
    assert!(target.quiet());
}

#[tokio::test]
async fn informational_answers_are_passed_over() {
    let mut bytes = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n".to_vec();
    bytes.extend(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n".repeat(1000));
    bytes.extend(full("200 OK", "", "hello"));
    let server = Recorder::always(Reply::Keep(bytes)).await;
    let answer = call(&Upstream::new(config(&server)).unwrap()).await.unwrap();
    assert_eq!((answer.status, answer.body.collect(100).await.unwrap()), (200, Bytes::from("hello")));
}

#[rstest]
#[case("204 No Content", 204)]
#[case("205 Reset Content", 205)]
#[case("206 Partial Content", 206)]
#[case("403 Forbidden", 403)]
#[case("404 Not Found", 404)]
#[case("429 Too Many Requests", 429)]
#[case("502 Bad Gateway", 502)]
#[tokio::test]
async fn every_other_status_is_an_answer(#[case] line: &str, #[case] status: u16) {
    let server = Recorder::always(Reply::Keep(format!("HTTP/1.1 {line}\r\ncontent-length: 0\r\n\r\n").into())).await;
    let answer = call(&Upstream::new(config(&server)).unwrap()).await.unwrap();
    assert_eq!((answer.status, answer.body.collect(10).await.unwrap().len()), (status, 0));
}

#[rstest]
#[case::a_thousand_headers("x-filler: 1\r\n".repeat(1000))]
#[case::a_header_of_a_mebibyte(format!("x-filler: {}\r\n", "y".repeat(1024 * 1024)))]
#[case::nul("x-nul: a\0b\r\n".to_owned())]
#[case::bare_cr("x-cr: a\rb\r\n".to_owned())]
#[case::name_with_space("x bad: a\r\n".to_owned())]
#[case::folded("x-fold: a\r\n b\r\n".to_owned())]
#[case::two_lengths("content-length: 5\r\ncontent-length: 6\r\n".to_owned())]
#[tokio::test]
async fn malformed_heads_are_faults_and_end_the_connection(#[case] headers: String) {
    let head = format!("HTTP/1.1 200 OK\r\n{headers}content-length: 5\r\n\r\nhello");
    let mut server = Recorder::always(Reply::Keep(head.into_bytes())).await;
    let fault = call(&Upstream::new(config(&server)).unwrap()).await.err().expect("refused");
    assert_ne!(fault.sent, Sent::No, "{fault}");
    assert!(matches!(fault.kind, FaultKind::Cut | FaultKind::TooLarge), "{fault}");
    server.request().await;
    server.closed().await;
}

#[tokio::test]
async fn a_long_header_is_no_trouble() {
    let head = format!("x-filler: {}\r\n", "y".repeat(64 * 1024));
    let server = Recorder::always(Reply::Keep(full("200 OK", &head, "hello"))).await;
    let answer = call(&Upstream::new(config(&server)).unwrap()).await.unwrap();
    assert_eq!(answer.body.collect(100).await.unwrap(), "hello");
}

#[tokio::test]
async fn both_framings_at_once_are_refused() {
    let bytes = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let mut server = Recorder::always(Reply::Keep(bytes.to_vec())).await;
    let fault = call(&Upstream::new(config(&server)).unwrap()).await.err().expect("refused");
    assert_eq!((fault.sent, fault.kind), (Sent::Yes, FaultKind::Cut), "{fault}");
    server.request().await;
    server.closed().await;
}

#[rstest]
#[case::by_length("content-length: 50\r\n\r\nhello")]
#[case::by_chunks("transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")]
#[case::inside_a_chunk("transfer-encoding: chunked\r\n\r\n9\r\nhello")]
#[tokio::test]
async fn a_body_cut_short_says_so_after_its_bytes(#[case] rest: &str) {
    let server = Recorder::always(Reply::Close(format!("HTTP/1.1 200 OK\r\n{rest}").into_bytes())).await;
    let mut answer = call(&Upstream::new(config(&server)).unwrap()).await.unwrap();
    assert_eq!(answer.body.chunk().await.unwrap().unwrap(), "hello");
    let cut = with_timeout(answer.body.chunk()).await.unwrap().unwrap_err();
    assert!(matches!(cut, BodyReadError::Broken(_)), "{cut}");
}

#[tokio::test]
async fn whole_bodies_have_a_cap() {
    let server = Recorder::always(Reply::Keep(full("200 OK", "", "hello"))).await;
    let upstream = Upstream::new(config(&server)).unwrap();
    assert_eq!(call(&upstream).await.unwrap().body.collect(5).await.unwrap(), "hello");
    assert_eq!(call(&upstream).await.unwrap().body.collect(4).await.unwrap_err(), BodyReadError::TooLarge(4));
}

#[tokio::test]
async fn leaving_while_waiting_hangs_up() {
    let mut server = Recorder::always(Reply::Hang(Vec::new())).await;
    let upstream = Upstream::new(config(&server)).unwrap();
    let (account, access) = (account("acct-1"), Secret::from("t"));
    let model_call = ModelCall { account: &account, access: &access, body: "{}".into(), facts: facts(), socket: None };
    tokio::select! {
        _ = upstream.responses(model_call) => panic!("no answer was sent"),
        _ = server.request() => {}
    }
    server.closed().await;
}

#[tokio::test]
async fn leaving_in_the_middle_hangs_up() {
    let bytes = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n".to_vec();
    let mut server = Recorder::always(Reply::Hang(bytes)).await;
    let mut answer = call(&Upstream::new(config(&server)).unwrap()).await.unwrap();
    assert_eq!(answer.body.chunk().await.unwrap().unwrap(), "hello");
    server.request().await;
    assert!(server.quiet());
    drop(answer);
    server.closed().await;
}

#[tokio::test]
async fn a_token_that_is_no_header_is_not_sent() {
    let mut server = Recorder::always(Reply::Keep(full("200 OK", "", ""))).await;
    let upstream = Upstream::new(config(&server)).unwrap();
    let (account, access) = (account("acct-1"), Secret::from("a\r\nb"));
    let model_call = ModelCall { account: &account, access: &access, body: "{}".into(), facts: facts(), socket: None };
    let fault = upstream.responses(model_call).await.err().unwrap();
    assert_eq!((fault.sent, fault.kind), (Sent::No, FaultKind::Unsendable), "{fault}");
    assert!(server.quiet());
}
