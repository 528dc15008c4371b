//! The SSE decoder: any chunking gives the same frames, they equal those of the standard's algorithm, and no frame longer than the limit is
//! held.

use bytes::Bytes;
use proto::framing::sse::{Decoder, Extent, Frame, Spill, TooLong, parse};

use super::cut::cuts;

/// Checks one stream.
pub fn check(input: &[u8]) {
    let (whole, sound) = decode(Decoder::new(usize::MAX >> 1), &[Bytes::copy_from_slice(input)]);
    assert_eq!(sound, Ok(()), "no limit, no refusal");
    assert_eq!(pairs(&whole), reference(input), "the standard's algorithm");
    in_order(input, &whole);
    for chunks in cuts(input) {
        let (cut, _) = decode(Decoder::new(usize::MAX >> 1), &chunks);
        assert_eq!(cut, whole, "cut into {} chunks", chunks.len());
    }
    limited(input, &whole, 48);
    spilled(input, &whole);
}

fn decode(mut decoder: Decoder, chunks: &[Bytes]) -> (Vec<Frame>, Result<(), TooLong>) {
    let mut out = Vec::new();
    for chunk in chunks {
        if let Err(error) = decoder.push(chunk.clone(), &mut out) {
            return (out, Err(error));
        }
    }
    decoder.end(&mut out);
    (out, Ok(()))
}

/// The frames are the same up to the first one over the limit, for any chunking; the held bytes never exceed the limit.
fn limited(input: &[u8], whole: &[Frame], limit: usize) {
    let (frames, result) = decode(Decoder::new(limit), &[Bytes::copy_from_slice(input)]);
    assert_eq!(frames[..], whole[..frames.len()], "a limit changes no frame before it");
    assert!(frames.iter().all(|frame| frame.raw.len() <= limit), "a frame is over the limit");
    let longest = longest(input);
    // The closing LF of a CR LF may belong to a frame that ended before it.
    assert!(result.is_err() || longest <= limit + 1, "{longest} bytes were held");
    assert!(result.is_ok() || longest >= limit, "{longest} bytes were refused");
    for chunks in cuts(input) {
        assert_eq!(decode(Decoder::new(limit), &chunks), (frames.clone(), result), "{} chunks", chunks.len());
    }
}

/// Length of the longest frame, finished or not.
fn longest(input: &[u8]) -> usize {
    let (mut longest, mut start, mut line, mut at) = (0, 0, 0, 0);
    while at < input.len() {
        let end = at;
        at += 1;
        if !b"\r\n".contains(&input[end]) {
            continue;
        }
        if input[end..].starts_with(b"\r\n") {
            at += 1;
        }
        if end == line {
            longest = longest.max(at - start);
            start = at;
        }
        line = at;
    }
    longest.max(input.len() - start)
}

/// Frames that pass in pieces are whole again once joined.
fn spilled(input: &[u8], whole: &[Frame]) {
    if input.starts_with(b"\xEF") {
        return;
    }
    for chunks in cuts(input) {
        let spill = Spill { over: 16, may: |head| !head.starts_with(b"event: a") };
        let (frames, _) = decode(Decoder::new(usize::MAX >> 1).spilling(spill), &chunks);
        let (mut expected, mut open) = (whole.iter(), Vec::new());
        for frame in &frames {
            open.extend_from_slice(&frame.raw);
            match frame.extent {
                Extent::Piece => continue,
                Extent::Whole => assert_eq!(open.len(), frame.raw.len(), "a whole frame between pieces"),
                Extent::Last => {}
            }
            let joined = Bytes::from(std::mem::take(&mut open));
            // A frame without data passes in pieces before its lack of data is known.
            if frame.extent == Extent::Whole || parse(joined.clone()).is_some() {
                assert_eq!(Some(&joined), expected.next().map(|frame| &frame.raw), "{} chunks", chunks.len());
            }
        }
        assert!(expected.next().is_none(), "a frame is lost");
    }
}

/// Every frame is a slice of the input, in order, with nothing but frames without data in between.
fn in_order(input: &[u8], frames: &[Frame]) {
    let mut rest = input;
    for frame in frames {
        let at = rest.windows(frame.raw.len()).position(|window| window == frame.raw);
        rest = &rest[at.expect("a frame is a part of the input") + frame.raw.len()..];
    }
}

fn pairs(frames: &[Frame]) -> Vec<(Vec<u8>, Vec<u8>)> {
    frames.iter().map(|frame| (frame.event().to_vec(), frame.data.to_vec())).collect()
}

/// The standard's algorithm, line by line: event and data of each dispatch.
fn reference(input: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let text = input.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(input);
    let (mut out, mut event, mut data) = (Vec::new(), Vec::new(), Vec::new());
    for line in lines(text) {
        if line.is_empty() {
            if data.pop().is_some() {
                out.push((std::mem::take(&mut event), std::mem::take(&mut data)));
            }
            event.clear();
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &line[..colon] {
            b"event" => event = value.to_vec(),
            b"data" => {
                data.extend_from_slice(value);
                data.push(b'\n');
            }
            _ => {}
        }
    }
    out
}

/// The lines that ended.
fn lines(text: &[u8]) -> Vec<&[u8]> {
    let (mut lines, mut rest) = (Vec::new(), text);
    while let Some(end) = rest.iter().position(|byte| b"\r\n".contains(byte)) {
        lines.push(&rest[..end]);
        let both = rest[end..].starts_with(b"\r\n");
        rest = &rest[end + 1 + usize::from(both)..];
    }
    lines
}
