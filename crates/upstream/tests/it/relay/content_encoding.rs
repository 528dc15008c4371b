//! Answers with content codings that the request did not ask for, as middleboxes add them.

use async_compression::tokio::bufread::{BrotliEncoder, DeflateEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
use async_compression::tokio::write;
use bytes::Bytes;
use pool::relay::Wire;
use rstest::rstest;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use upstream::relay::RelayCall;
use upstream::{Answer, BodyReadError, Fault, FaultKind, Sent};

use super::server::{Server, response};
use super::{key, relay, upstream};
use crate::recorder::with_timeout;

/// A text longer than any buffer on the path, without repetition.
fn text() -> Vec<u8> {
    (0..40_000).flat_map(|n| format!("data: {n}\n\n").into_bytes()).collect()
}

async fn all(mut from: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut to = Vec::new();
    from.read_to_end(&mut to).await.unwrap();
    to
}

/// Applies codings in this order; `raw` is deflate without its zlib frame.
async fn encoded_text(codings: &[&str]) -> Vec<u8> {
    encode(text(), codings).await
}

async fn encode(mut bytes: Vec<u8>, codings: &[&str]) -> Vec<u8> {
    for coding in codings {
        let from = bytes.as_slice();
        bytes = match *coding {
            "gzip" => all(GzipEncoder::new(from)).await,
            "deflate" => all(ZlibEncoder::new(from)).await,
            "raw" => all(DeflateEncoder::new(from)).await,
            "br" => all(BrotliEncoder::with_quality(from, async_compression::Level::Fastest)).await,
            "zstd" => all(ZstdEncoder::new(from)).await,
            other => unreachable!("{other}"),
        };
    }
    bytes
}

/// Asks a relay that answers so; it must outlive the answer.
async fn ask(status: u16, name: &'static str, body: Vec<u8>) -> (Server, Result<Answer, Fault>) {
    let server =
        Server::open(move |_| response(status, &[("content-encoding", name), ("x-other", "c")], body.clone())).await;
    let (relay, key) = (relay(Wire::Chat, &server.at("/v1")), key());
    let call = RelayCall { relay: &relay, key: &key, model: "m", body: "{}".into(), client_headers: &[] };
    let answer = with_timeout(upstream().relays().call(call)).await;
    (server, answer)
}

/// The whole body of a 200 answer, at most `cap` bytes.
async fn read(name: &'static str, body: Vec<u8>, cap: usize) -> Result<Bytes, BodyReadError> {
    let (_server, answer) = ask(200, name, body).await;
    answer.unwrap().body.collect(cap).await
}

#[rstest]
#[case::gzip("gzip", &["gzip"])]
#[case::old_name("X-Gzip", &["gzip"])]
#[case::deflate("deflate", &["deflate"])]
#[case::deflate_without_a_frame("deflate", &["raw"])]
#[case::brotli("br", &["br"])]
#[case::zstd("zstd", &["zstd"])]
#[case::two("gzip, br", &["gzip", "br"])]
#[case::three("zstd,identity, deflate ,gzip", &["zstd", "deflate", "gzip"])]
#[case::none("identity", &[])]
#[tokio::test]
async fn is_read_as_it_was_before(#[case] name: &'static str, #[case] codings: &[&str]) {
    let (_server, answer) = ask(200, name, encoded_text(codings).await).await;
    let mut answer = answer.unwrap();
    assert!(answer.headers.contains_key("x-other") && !answer.headers.contains_key("content-encoding"));
    assert_eq!(answer.headers.contains_key("content-length"), codings.is_empty());
    let mut got = Vec::new();
    while let Some(chunk) = answer.body.chunk().await {
        let chunk = chunk.unwrap();
        assert!(!chunk.is_empty() && (codings.is_empty() || chunk.len() <= 64 << 10), "{}", chunk.len());
        got.extend_from_slice(&chunk);
    }
    assert!(got == text(), "{} bytes", got.len());
}

/// Some compressors end a member, or a frame, at each flush.
#[rstest]
#[case("gzip")]
#[case("zstd")]
#[tokio::test]
async fn may_come_in_members(#[case] name: &'static str) {
    let member = encoded_text(&[name]).await;
    let got = read(name, [member.clone(), member].concat(), 4 << 20).await.unwrap();
    assert!(got == [text(), text()].concat(), "{} bytes", got.len());
}

#[tokio::test]
async fn nothing_is_nothing_in_any_coding() {
    for name in ["gzip", "deflate", "br", "zstd", "gzip, br"] {
        assert_eq!(read(name, Vec::new(), 9).await.unwrap(), "", "{name}");
    }
}

#[rstest]
#[case("gzip", &["gzip"])]
#[case("deflate", &["deflate"])]
#[case("deflate", &["raw"])]
#[case("br", &["br"])]
#[case("zstd", &["zstd"])]
#[case("gzip, br", &["gzip", "br"])]
#[tokio::test]
async fn what_is_cut_is_read_up_to_there(#[case] name: &'static str, #[case] codings: &[&str]) {
    let mut body = encoded_text(codings).await;
    body.truncate(body.len() / 2);
    let (_server, answer) = ask(200, name, body).await;
    let mut answer = answer.unwrap();
    let mut got = Vec::new();
    let end = loop {
        match answer.body.chunk().await {
            Some(Ok(chunk)) => got.extend_from_slice(&chunk),
            end => break end,
        }
    };
    assert!(text().starts_with(&got) && !got.is_empty(), "{} bytes", got.len());
    let Some(Err(BodyReadError::Broken(message))) = end else { panic!("{end:?}") };
    assert!(message.contains("content-encoding"), "{message}");
}

#[rstest]
#[case::other_bytes("gzip", b"data: {}\n\n")]
#[case::other_bytes("zstd", b"data: {}\n\n")]
#[case::a_large_window("br", b"\x11\x00\x00")]
#[tokio::test]
async fn what_does_not_decode_is_cut(#[case] name: &'static str, #[case] body: &[u8]) {
    let cut = read(name, body.to_vec(), 99).await.unwrap_err();
    assert!(matches!(&cut, BodyReadError::Broken(message) if message.contains("content-encoding")), "{cut}");
}

#[tokio::test]
async fn a_cap_is_one_of_decoded_bytes() {
    let body = encoded_text(&["zstd"]).await;
    let cap = text().len() - 1;
    assert!(body.len() < cap);
    assert_eq!(read("zstd", body, cap).await, Err(BodyReadError::TooLarge(cap)));
}

/// A GiB of zeros in a few KiB, without the end of the stream.
async fn bomb(codings: &[&str]) -> Vec<u8> {
    let (to, mut encoded) = tokio::io::duplex(1 << 20);
    let mut encoder: Box<dyn AsyncWrite + Unpin> = match codings[0] {
        "gzip" => Box::new(write::GzipEncoder::new(to)),
        "deflate" => Box::new(write::ZlibEncoder::new(to)),
        "br" => Box::new(write::BrotliEncoder::new(to)),
        "zstd" => Box::new(write::ZstdEncoder::new(to)),
        other => unreachable!("{other}"),
    };
    let mut pieces = Vec::new();
    for _ in 0..4 {
        encoder.write_all(&vec![0; 1 << 20]).await.unwrap();
        encoder.flush().await.unwrap();
        let mut piece = Vec::with_capacity(1 << 20);
        encoded.read_buf(&mut piece).await.unwrap();
        pieces.push(piece);
    }
    assert_eq!(pieces[2], pieces[3], "it goes on like this");
    let bytes = [pieces[..3].concat(), pieces[3].repeat(1021)].concat();
    encode(bytes, &codings[1..]).await
}

/// Decoding stops at the cap: decoded bytes come in small pieces, and only as many as the caller reads.
#[rstest]
#[case("gzip", &["gzip"])]
#[case("deflate", &["deflate"])]
#[case("br", &["br"])]
#[case("zstd", &["zstd"])]
#[case("gzip, br", &["gzip", "br"])]
#[case("br, br, br", &["br", "br", "br"])]
#[case("zstd, deflate, gzip", &["zstd", "deflate", "gzip"])]
#[tokio::test]
async fn a_bomb_stops_at_the_cap(#[case] name: &'static str, #[case] codings: &[&str]) {
    const CAP: usize = 4 << 20;
    let bomb = bomb(codings).await;
    assert_eq!(read(name, bomb.clone(), CAP).await, Err(BodyReadError::TooLarge(CAP)));
    let (_server, answer) = ask(200, name, bomb).await;
    let (mut answer, mut got) = (answer.unwrap(), 0);
    while got <= CAP {
        let chunk = answer.body.chunk().await.unwrap().unwrap();
        assert!(chunk.len() <= 16 << 10 && chunk.iter().all(|byte| *byte == 0), "{} bytes", chunk.len());
        got += chunk.len();
    }
}

/// Decoding yields to the runtime, even if a chain has large intermediate results and an empty output.
#[tokio::test]
async fn decoding_takes_turns() {
    // An empty gzip member: empty blocks, and the last of them.
    let (head, tail) = ([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff], [1, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
    let hollow = [&head[..], &[0, 0, 0, 0xff, 0xff].repeat(16 << 20), &tail].concat();
    let (_server, answer) = ask(200, "gzip, gzip, gzip", encode(hollow, &["gzip", "gzip"]).await).await;
    let mut answer = answer.unwrap();
    let yields = async {
        for _ in 0..16 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        () = yields => {}
        end = answer.body.chunk() => panic!("no turn before {end:?}"),
    }
}

#[rstest]
#[case("compress", "compress")]
#[case("gzip, sdch", "sdch")]
#[case("gzip, gzip, gzip, gzip", "more than 3")]
#[tokio::test]
async fn an_unknown_one_is_refused(#[case] name: &'static str, #[case] part: &str) {
    let fault = ask(200, name, b"?".to_vec()).await.1.err().unwrap();
    assert_eq!((fault.sent, fault.kind), (Sent::Yes, FaultKind::Encoding), "{fault}");
    assert!(fault.message.contains("content-encoding") && fault.message.contains(part), "{fault}");
    // A refusal stays one, only without its words.
    let (_server, refusal) = ask(429, name, b"?".to_vec()).await;
    let refusal = refusal.unwrap();
    assert_eq!((refusal.status, refusal.body.collect(9).await.unwrap()), (429, "".into()));
}
