use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_compression::tokio::bufread::{BrotliEncoder, DeflateEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
use bytes::BytesMut;
use futures_util::stream;
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use rstest::rstest;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::*;

const TEXT: &[u8] = br#"{"model":"m","input":"hello hello hello hello"}"#;

fn limits() -> Limits {
    Limits { wire: 1 << 20, decoded: 2 << 20, buffered: 16 << 20, ..Limits::default() }
}

fn headers(given: &[(&'static str, &str)]) -> HeaderMap {
    given.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
}

async fn read_as(coding: &str, body: impl Into<Bytes>) -> Result<Bytes, BodyError> {
    let limits = limits();
    let headers = headers(&[("content-encoding", coding)]);
    read(&headers, Full::new(body.into()), &limits, &BodyBudget::new(limits.buffered)).await
}

async fn encode(coding: &str, plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match coding {
        "gzip" => GzipEncoder::new(plain).read_to_end(&mut out).await,
        "deflate" => ZlibEncoder::new(plain).read_to_end(&mut out).await,
        "raw" => DeflateEncoder::new(plain).read_to_end(&mut out).await,
        "br" => BrotliEncoder::new(plain).read_to_end(&mut out).await,
        "zstd" => ZstdEncoder::new(plain).read_to_end(&mut out).await,
        _ => unreachable!("a coding of this test"),
    }
    .unwrap();
    out
}

#[rstest]
#[case("gzip", "gzip")]
#[case("x-gzip", "gzip")]
#[case("deflate", "deflate")]
#[case("deflate", "raw")]
#[case("br", "br")]
#[case("ZSTD", "zstd")]
#[tokio::test]
async fn every_coding_is_read(#[case] named: &str, #[case] coding: &str) {
    assert_eq!(read_as(named, encode(coding, TEXT).await).await.as_deref(), Ok(TEXT));
    let large: Vec<u8> = (0..1_500_000_u32).flat_map(|n| (n % 251).to_be_bytes()).take(1_500_000).collect();
    let read = read_as(named, encode(coding, &large).await).await;
    assert!(read.is_ok_and(|read| read == large), "{named}");
}

#[tokio::test]
async fn chains_are_undone_from_the_end() {
    let once = encode("gzip", TEXT).await;
    let twice = encode("zstd", &once).await;
    assert_eq!(read_as("gzip, identity, zstd", twice.clone()).await.as_deref(), Ok(TEXT));
    assert_eq!(read_as("zstd, gzip", twice.clone()).await, Err(BodyError::Corrupt));
    let five = "gzip, gzip, gzip, gzip, gzip";
    assert_eq!(read_as(five, twice).await, Err(BodyError::Coding));
}

#[rstest]
#[case("identity")]
#[case("")]
#[tokio::test]
async fn identity_is_no_coding(#[case] named: &str) {
    assert_eq!(read_as(named, TEXT).await.as_deref(), Ok(TEXT));
    assert_eq!(read_as(named, "").await.as_deref(), Ok(&b""[..]));
}

#[rstest]
#[case("compress")]
#[case("gzip;q=1")]
#[case("aes128gcm")]
#[case("gzip, wat")]
#[tokio::test]
async fn other_codings_are_not(#[case] named: &str) {
    assert_eq!(read_as(named, TEXT).await, Err(BodyError::Coding));
}

#[rstest]
#[case("gzip")]
#[case("deflate")]
#[case("br")]
#[case("zstd")]
#[tokio::test]
async fn damaged_bodies_are_refused(#[case] coding: &str) {
    let sound = encode(coding, TEXT).await;
    for cut in 0..sound.len() {
        assert_eq!(read_as(coding, sound[..cut].to_vec()).await, Err(BodyError::Corrupt), "{coding} cut at {cut}");
    }
    assert_eq!(read_as(coding, [&sound[..], b"x"].concat()).await, Err(BodyError::Corrupt), "{coding} goes on");
    let twice = match coding {
        "gzip" | "zstd" => Ok(Bytes::from([TEXT, TEXT].concat())),
        _ => Err(BodyError::Corrupt),
    };
    assert_eq!(read_as(coding, [&sound[..], &sound[..]].concat()).await, twice, "{coding} twice");
    assert_eq!(read_as(coding, TEXT).await, Err(BodyError::Corrupt), "{coding} is not what it says");
}

#[rstest]
#[case("gzip")]
#[case("deflate")]
#[case("br")]
#[case("zstd")]
#[tokio::test]
async fn bombs_stop_at_the_cap(#[case] coding: &str) {
    let bomb = encode(coding, &vec![0; 64 << 20]).await;
    assert!(bomb.len() < 1 << 20, "{coding}: {}", bomb.len());
    assert_eq!(read_as(coding, bomb).await, Err(BodyError::TooLarge));
}

/// The first 3 MiB of zeros in a coding, and each further MiB.
async fn pieces(coding: &str) -> (Bytes, Bytes) {
    use async_compression::tokio::write;
    let (to, mut coded) = tokio::io::duplex(1 << 20);
    let mut encoder: Box<dyn AsyncWrite + Unpin> = match coding {
        "gzip" => Box::new(write::GzipEncoder::new(to)),
        "deflate" => Box::new(write::ZlibEncoder::new(to)),
        "br" => Box::new(write::BrotliEncoder::new(to)),
        "zstd" => Box::new(write::ZstdEncoder::new(to)),
        _ => unreachable!("a coding of this test"),
    };
    let mut pieces = Vec::new();
    for _ in 0..4 {
        encoder.write_all(&vec![0; 1 << 20]).await.unwrap();
        encoder.flush().await.unwrap();
        let mut piece = BytesMut::with_capacity(1 << 20);
        coded.read_buf(&mut piece).await.unwrap();
        pieces.push(piece.freeze());
    }
    assert_eq!(pieces[2], pieces[3], "{coding}: it goes on like this");
    (Bytes::from(pieces[..3].concat()), pieces.swap_remove(3))
}

/// An endless bomb is read only up to the cap, and nothing more is held: the budget would run out.
#[rstest]
#[case("gzip")]
#[case("deflate")]
#[case("br")]
#[case("zstd")]
#[tokio::test]
async fn an_endless_bomb_is_read_up_to_the_cap(#[case] coding: &str) {
    let (first, next) = pieces(coding).await;
    let limits = Limits { wire: u64::MAX, decoded: 8 << 20, ..limits() };
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    let endless = stream::iter(std::iter::once(first).chain(std::iter::repeat(next)));
    let endless = endless.inspect(move |_| _ = count.fetch_add(1, Ordering::Relaxed));
    let body = StreamBody::new(endless.map(|piece| Ok::<_, Infallible>(Frame::data(piece))));
    let budget = BodyBudget::new(limits.decoded + (32 << 10));
    let read = read(&headers(&[("content-encoding", coding)]), body, &limits, &budget).await;
    assert_eq!(read, Err(BodyError::TooLarge));
    // The first piece holds three of the eight MiB.
    let taken = taken.load(Ordering::Relaxed);
    assert!((6..=8).contains(&taken), "{taken} pieces");
}

#[rstest]
#[case(&["gzip", "gzip"])]
#[case(&["zstd", "br"])]
#[case(&["br", "gzip"])]
#[case(&["br", "br", "br"])]
#[case(&["deflate", "zstd", "gzip"])]
#[tokio::test]
async fn chained_bombs_stop_at_the_cap(#[case] codings: &[&str]) {
    // A GiB of zeros without the end of the stream.
    let (first, next) = pieces(codings[0]).await;
    let mut bomb = [&first[..], &next.repeat(1021)].concat();
    for coding in &codings[1..] {
        bomb = encode(coding, &bomb).await;
    }
    let limits = limits();
    let budget = BodyBudget::new(limits.decoded + (32 << 10));
    let read = read(&headers(&[("content-encoding", &codings.join(","))]), Full::from(bomb), &limits, &budget).await;
    assert_eq!(read, Err(BodyError::TooLarge));
}

/// A gzip member of about `bytes` bytes that decodes to nothing.
fn hollow(bytes: usize) -> Vec<u8> {
    let (head, tail) = ([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff], [0; 8]);
    let (block, last) = ([0, 0, 0, 0xff, 0xff], [1, 0, 0, 0xff, 0xff]);
    [&head[..], &block.repeat(bytes / block.len()), &last, &tail].concat()
}

/// The output of every coding in a chain has the same cap as the final body.
#[rstest]
#[case(&["zstd"])]
#[case(&["gzip", "br"])]
#[tokio::test]
async fn what_is_between_two_codings_is_capped(#[case] outer: &[&str]) {
    for (size, wanted) in [(1 << 20, Ok(Bytes::new())), (3 << 20, Err(BodyError::TooLarge))] {
        let mut body = hollow(size);
        for coding in outer {
            body = encode(coding, &body).await;
        }
        assert_eq!(read_as(&format!("gzip,{}", outer.join(",")), body).await, wanted, "{size}");
    }
}

/// Decoding yields to other tasks, also while the last decoder has no output.
#[tokio::test]
async fn decoding_takes_turns() {
    let limits = Limits { decoded: 32 << 20, buffered: 64 << 20, ..limits() };
    let budget = BodyBudget::new(limits.buffered);
    for plain in [hollow(24 << 20), vec![0; 24 << 20]] {
        let body = encode("gzip", &encode("gzip", &plain).await).await;
        let named = headers(&[("content-encoding", if plain[0] == 0 { "gzip,gzip" } else { "gzip,gzip,gzip" })]);
        let turns = async {
            for _ in 0..8 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            () = turns => {}
            read = read(&named, Full::from(body), &limits, &budget) => panic!("done without a turn: {:?}", read.map(|read| read.len())),
        }
    }
}

#[rstest]
#[case::zstd_window_of_2_gib("zstd", &[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00])]
#[case::zstd_window_of_16_mib("zstd", &[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x70, 0x01, 0x00, 0x00])]
#[case::brotli_large_window("br", &[0x11, 0x1e, 0x00, 0x00, 0x00, 0x03])]
#[tokio::test]
async fn windows_are_capped(#[case] coding: &str, #[case] frame: &[u8]) {
    assert_eq!(read_as(coding, frame.to_vec()).await, Err(BodyError::Corrupt));
}

#[tokio::test]
async fn the_wire_is_capped_with_and_without_a_length() {
    let limits = limits();
    let budget = BodyBudget::new(limits.buffered);
    let declared = headers(&[("content-length", "1073741824")]);
    let never = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
    assert_eq!(read(&declared, never, &limits, &budget).await, Err(BodyError::TooLarge));
    let chunk = Bytes::from(vec![b' '; 100 << 10]);
    let chunks = stream::iter((0..1024).map(move |_| Ok::<_, Infallible>(Frame::data(chunk.clone()))));
    assert_eq!(read(&HeaderMap::new(), StreamBody::new(chunks), &limits, &budget).await, Err(BodyError::TooLarge));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_is_given_up_after_the_stall_limit() {
    let limits = limits();
    let began = tokio::time::Instant::now();
    let first = stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"{")))]);
    let body = StreamBody::new(Box::pin(first.chain(stream::pending())));
    assert_eq!(
        read(&HeaderMap::new(), body, &limits, &BodyBudget::new(limits.buffered)).await,
        Err(BodyError::Stalled)
    );
    assert_eq!(began.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn unauthenticated_bodies_are_limited() {
    let one = |size: usize| Full::new(Bytes::from(vec![b' '; size]));
    assert_eq!(read_public(&HeaderMap::new(), one(16 << 10)).await.map(|read| read.len()), Ok(16 << 10));
    assert_eq!(read_public(&HeaderMap::new(), one((16 << 10) + 1)).await, Err(BodyError::PublicTooLarge));
    assert_eq!(read_public(&headers(&[("content-encoding", "gzip")]), one(1)).await, Err(BodyError::Coding));
    // Single bytes do not extend the time limit.
    let began = tokio::time::Instant::now();
    let slow = stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Some((Ok::<_, Infallible>(Frame::data(Bytes::from_static(b" "))), ()))
    });
    assert_eq!(read_public(&HeaderMap::new(), StreamBody::new(Box::pin(slow))).await, Err(BodyError::Stalled));
    assert_eq!(began.elapsed().as_secs(), 5);
}

#[tokio::test]
async fn a_cut_body_is_told_apart() {
    let limits = limits();
    let cut = stream::iter([Ok(Frame::data(Bytes::from_static(b"{"))), Err(())]);
    let read = read(&HeaderMap::new(), StreamBody::new(cut), &limits, &BodyBudget::new(limits.buffered)).await;
    assert_eq!(read, Err(BodyError::Cut));
}

#[tokio::test]
async fn a_full_budget_refuses_and_empties_again() {
    let limits = limits();
    let budget = BodyBudget::new(64 << 10);
    let body = || Full::new(Bytes::from(vec![b' '; 40 << 10]));
    let first = read(&HeaderMap::new(), body(), &limits, &budget).await.unwrap();
    assert_eq!(read(&HeaderMap::new(), body(), &limits, &budget).await, Err(BodyError::Full));
    drop(first);
    assert!(read(&HeaderMap::new(), body(), &limits, &budget).await.is_ok());
}

#[test]
fn every_trouble_has_its_status() {
    let statuses = [
        (BodyError::TooLarge, Kind::TooLarge),
        (BodyError::PublicTooLarge, Kind::TooLarge),
        (BodyError::Stalled, Kind::Stalled),
        (BodyError::Cut, Kind::Invalid),
        (BodyError::Coding, Kind::Unsupported),
        (BodyError::Corrupt, Kind::Invalid),
        (BodyError::Full, Kind::Overloaded),
    ];
    for (broken, kind) in statuses {
        assert_eq!(Failure::from(broken).kind, kind);
    }
    assert_eq!(Failure::from(BodyError::Full).retry_after, Some(1));
}

/// A body that sends `size` bytes after every `pause`.
fn dripping(pause: Duration, size: usize) -> impl Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static {
    StreamBody::new(Box::pin(stream::unfold((), move |()| async move {
        tokio::time::sleep(pause).await;
        Some((Ok::<_, Infallible>(Frame::data(Bytes::from(vec![b' '; size]))), ()))
    })))
}

/// One byte every 59 seconds used to keep a request open for years.
#[tokio::test(start_paused = true)]
async fn a_body_that_drips_is_given_up() {
    let (limits, none) = (limits(), HeaderMap::new());
    let budget = BodyBudget::new(limits.buffered);
    let began = tokio::time::Instant::now();
    let read = read(&none, dripping(Duration::from_secs(59), 1), &limits, &budget);
    assert_eq!(read.await, Err(BodyError::Stalled));
    assert_eq!(began.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_slow_body_is_read_as_long_as_it_keeps_its_rate() {
    let (limits, none) = (limits(), HeaderMap::new());
    let budget = BodyBudget::new(limits.buffered);
    let began = tokio::time::Instant::now();
    // 2 KiB a second reach the cap of 1 MiB after 512 s; half the rate or less is not enough.
    let steady = read(&none, dripping(Duration::from_secs(10), 20 << 10), &limits, &budget);
    assert_eq!(steady.await, Err(BodyError::TooLarge));
    assert_eq!(began.elapsed().as_secs(), 520);
    let began = tokio::time::Instant::now();
    let slow = read(&none, dripping(Duration::from_secs(10), 5 << 10), &limits, &budget);
    assert_eq!(slow.await, Err(BodyError::Stalled));
    assert_eq!(began.elapsed().as_secs(), 115);
}
