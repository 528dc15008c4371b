//! Cuts inputs into pieces.

use bytes::Bytes;

/// Inputs over this are not cut byte by byte.
const SMALL: usize = 64 << 10;

/// `bytes` cut in several ways: byte by byte where that is affordable, and twice at places that depend on the content.
pub(crate) fn cuts(bytes: &[u8]) -> Vec<Vec<Bytes>> {
    let mut ways = vec![pieces(bytes, 7), pieces(bytes, bytes.len() / 3)];
    if bytes.len() <= SMALL {
        ways.push(bytes.chunks(1).map(Bytes::copy_from_slice).collect());
    }
    ways
}

/// Pieces of up to about twice `mean` bytes.
fn pieces(bytes: &[u8], mean: usize) -> Vec<Bytes> {
    let mut rest = bytes;
    let mut sum = bytes.len();
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        sum = sum.wrapping_mul(31).wrapping_add(usize::from(rest[0]) + 7);
        let (piece, after) = rest.split_at((1 + sum % (2 * mean + 1)).min(rest.len()));
        pieces.push(Bytes::copy_from_slice(piece));
        rest = after;
    }
    pieces
}

/// `bytes` with each byte 1 replaced by a long run, so that a small input can be a frame that is too large to hold.
pub(crate) fn inflated(bytes: &[u8]) -> Vec<u8> {
    const RUN: usize = 96 << 10;
    const MOST: usize = 6;
    let mut out = Vec::with_capacity(bytes.len());
    let mut runs = 0;
    for &byte in bytes {
        if byte == 1 && runs < MOST {
            runs += 1;
            out.resize(out.len() + RUN, b'x');
        } else {
            out.push(byte);
        }
    }
    out
}
