//! The NDJSON decoder: any chunking gives the same lines as a plain split, and no line longer than the limit is held.

use bytes::Bytes;
use proto::framing::ndjson::Decoder;
use proto::framing::sse::TooLong;

use super::cut::cuts;

/// Checks one stream.
pub fn check(input: &[u8]) {
    let lines = input.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    let expected: Vec<Bytes> = lines.map(Bytes::copy_from_slice).collect();
    for chunks in cuts(input) {
        assert_eq!(decode(usize::MAX >> 1, &chunks), (expected.clone(), Ok(())), "{} chunks", chunks.len());
    }
    let limit = 24;
    let whole = decode(limit, &[Bytes::copy_from_slice(input)]);
    assert!(whole.0.iter().all(|line| line.len() <= limit + 2), "a line is over the limit");
    assert_eq!(whole.0[..], expected[..whole.0.len()], "a limit changes no line before it");
    for chunks in cuts(input) {
        assert_eq!(decode(limit, &chunks), whole, "{} chunks", chunks.len());
    }
}

fn decode(limit: usize, chunks: &[Bytes]) -> (Vec<Bytes>, Result<(), TooLong>) {
    let (mut decoder, mut out) = (Decoder::new(limit), Vec::new());
    for chunk in chunks {
        if let Err(error) = decoder.push(chunk.clone(), &mut out) {
            return (out, Err(error));
        }
    }
    decoder.end(&mut out);
    (out, Ok(()))
}
