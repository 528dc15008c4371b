//! Encoded request bodies: decoded bytes stay under the cap, any chunking gives the same result, and a correctly encoded body decodes to
//! the original, but not if it is cut or followed by other bytes.

use async_compression::tokio::bufread::{BrotliEncoder, DeflateEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
use bytes::Bytes;
use proto::{Failure, Kind};
use server::{Limits, probe};
use tokio::io::AsyncReadExt;
use tokio::runtime::{Builder, Runtime};

/// Cap on decoded bytes.
const CAP: usize = 64 << 10;

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_time().build().expect("a runtime starts");
}

/// The first line is the `Content-Encoding`, the rest the body.
pub fn check(input: &[u8]) {
    let (coding, body) = input.split_at(input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len()));
    let (coding, body) = (String::from_utf8_lossy(coding), body.get(1..).unwrap_or_default());
    let whole = read(&coding, vec![Bytes::copy_from_slice(body)]);
    match &whole {
        Ok(decoded) => assert!(decoded.len() <= CAP, "{} bytes", decoded.len()),
        Err(failure) => {
            assert!(matches!(failure.kind, Kind::Invalid | Kind::TooLarge | Kind::Unsupported), "{failure:?}");
        }
    }
    let bytes = body.chunks(1).map(Bytes::copy_from_slice).collect();
    let pieces = body.chunks(1 + body.len() / 3).map(Bytes::copy_from_slice).collect();
    for chunks in [bytes, pieces] {
        assert_eq!(
            read(&coding, chunks).map_err(|failure| failure.kind),
            whole.clone().map_err(|failure| failure.kind)
        );
    }
    if body.len() <= 4096 {
        really(body);
    }
}

fn read(coding: &str, chunks: Vec<Bytes>) -> Result<Bytes, Failure> {
    let limits = Limits { wire: 1 << 20, decoded: CAP, buffered: 1 << 20, ..Limits::default() };
    RUNTIME.with(|runtime| runtime.block_on(probe::decode_body(coding, chunks, &limits)))
}

/// Encodes and decodes the body with every coding, and with two codings in a chain.
fn really(plain: &[u8]) {
    for coding in ["gzip", "deflate", "raw", "br", "zstd"] {
        let named = if coding == "raw" { "deflate" } else { coding };
        let encoded = encode(coding, plain);
        let read = |encoded: &[u8]| read(named, vec![Bytes::copy_from_slice(encoded)]);
        assert_eq!(read(&encoded).as_deref(), Ok(plain), "{coding}");
        assert!(read(&encoded[..encoded.len() - 1]).is_err(), "{coding}, cut");
        assert!(read(&[&encoded[..], b"x"].concat()).is_err(), "{coding}, and more");
        let twice = encode("gzip", &encoded);
        assert_eq!(
            self::read(&format!("{named}, gzip"), vec![Bytes::from(twice)]).as_deref(),
            Ok(plain),
            "{coding} in gzip"
        );
    }
}

fn encode(coding: &str, plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let encoded = async {
        match coding {
            "gzip" => GzipEncoder::new(plain).read_to_end(&mut out).await,
            "deflate" => ZlibEncoder::new(plain).read_to_end(&mut out).await,
            "raw" => DeflateEncoder::new(plain).read_to_end(&mut out).await,
            "br" => BrotliEncoder::new(plain).read_to_end(&mut out).await,
            _ => ZstdEncoder::new(plain).read_to_end(&mut out).await,
        }
    };
    RUNTIME.with(|runtime| runtime.block_on(encoded)).expect("encoding into memory works");
    out
}
