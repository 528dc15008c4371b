//! `Content-Encoding`s of a stream, flushed after every piece so that a client can decode each piece on arrival.

use std::io;

use async_compression::Level;
use async_compression::tokio::write::{BrotliEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
use bytes::Bytes;
use futures_util::FutureExt;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::plan::Coding;

/// A chain of encoders, each with the memory buffer that it writes to.
pub(super) struct Compressor {
    chain: Vec<Encoder>,
}

enum Encoder {
    Gzip(Box<GzipEncoder<Vec<u8>>>),
    Brotli(Box<BrotliEncoder<Vec<u8>>>),
    Zstd(Box<ZstdEncoder<Vec<u8>>>),
    Deflate(Box<ZlibEncoder<Vec<u8>>>),
}

impl Compressor {
    pub(super) fn new(codings: &[Coding]) -> Self {
        let encoder = |coding: &Coding| match coding {
            Coding::Gzip => Encoder::Gzip(Box::new(GzipEncoder::new(Vec::new()))),
            // Brotli's best level takes minutes for a compression bomb.
            Coding::Brotli => Encoder::Brotli(Box::new(BrotliEncoder::with_quality(Vec::new(), Level::Fastest))),
            Coding::Zstd => Encoder::Zstd(Box::new(ZstdEncoder::new(Vec::new()))),
            Coding::Deflate => Encoder::Deflate(Box::new(ZlibEncoder::new(Vec::new()))),
        };
        Self { chain: codings.iter().map(encoder).collect() }
    }

    pub(super) fn push(&mut self, bytes: Bytes) -> Bytes {
        if bytes.is_empty() {
            return bytes;
        }
        self.chain.iter_mut().fold(bytes, |bytes, encoder| encoder.run(&bytes, false))
    }

    pub(super) fn end(&mut self) -> Bytes {
        self.chain.iter_mut().fold(Bytes::new(), |bytes, encoder| encoder.run(&bytes, true))
    }
}

impl Encoder {
    fn run(&mut self, bytes: &[u8], last: bool) -> Bytes {
        let out = match self {
            Self::Gzip(encoder) => (feed(&mut **encoder, bytes, last), encoder.get_mut()),
            Self::Brotli(encoder) => (feed(&mut **encoder, bytes, last), encoder.get_mut()),
            Self::Zstd(encoder) => (feed(&mut **encoder, bytes, last), encoder.get_mut()),
            Self::Deflate(encoder) => (feed(&mut **encoder, bytes, last), encoder.get_mut()),
        };
        out.0.expect("invariant: compressing into memory does not fail");
        Bytes::from(std::mem::take(out.1))
    }
}

/// Encodes without waiting: a write to memory is always ready.
fn feed(encoder: &mut (impl AsyncWrite + Unpin), bytes: &[u8], last: bool) -> io::Result<()> {
    let work = async {
        encoder.write_all(bytes).await?;
        if last { encoder.shutdown().await } else { encoder.flush().await }
    };
    work.now_or_never().expect("invariant: memory is always ready")
}
