use bytes::Bytes;
use proptest::prelude::*;

use super::{Decoder, Extent, Frame, Spill, TooLong};

/// The standard's algorithm, byte by byte: `(event, data)` of each dispatch.
fn reference(bytes: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let (mut out, mut line) = (Vec::new(), Vec::new());
    let (mut event, mut data) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        at += 1;
        if byte != b'\n' && byte != b'\r' {
            line.push(byte);
            continue;
        }
        if byte == b'\r' && bytes.get(at) == Some(&b'\n') {
            at += 1;
        }
        if line.is_empty() {
            if !data.is_empty() {
                data.pop();
                out.push((std::mem::take(&mut event), std::mem::take(&mut data)));
            }
            event.clear();
            data.clear();
        } else if line[0] != b':' {
            let colon = line.iter().position(|&b| b == b':').unwrap_or(line.len());
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
        line.clear();
    }
    out
}

fn decode(bytes: &[u8], cuts: &[usize]) -> Vec<Frame> {
    let mut decoder = Decoder::new(1 << 20);
    let mut out = Vec::new();
    for chunk in split(bytes, cuts) {
        decoder.push(chunk, &mut out).unwrap();
    }
    decoder.end(&mut out);
    out
}

fn split(bytes: &[u8], cuts: &[usize]) -> Vec<Bytes> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.sort_unstable();
    let (mut chunks, mut from) = (Vec::new(), 0);
    for cut in cuts.into_iter().chain([bytes.len()]) {
        chunks.push(Bytes::copy_from_slice(&bytes[from..cut]));
        from = cut;
    }
    chunks
}

fn pairs(frames: &[Frame]) -> Vec<(Vec<u8>, Vec<u8>)> {
    frames.iter().map(|frame| (frame.event().to_vec(), frame.data.to_vec())).collect()
}

fn check(input: &str, expected: &[(&str, &str)]) {
    let expected: Vec<_> = expected.iter().map(|(e, d)| (e.as_bytes().to_vec(), d.as_bytes().to_vec())).collect();
    assert_eq!(pairs(&decode(input.as_bytes(), &[])), expected, "{input:?}");
    assert_eq!(reference(input.as_bytes()), expected, "reference {input:?}");
    for cut in 0..=input.len() {
        assert_eq!(pairs(&decode(input.as_bytes(), &[cut])), expected, "{input:?} cut at {cut}");
    }
}

#[test]
fn fields_and_line_ends() {
    check("event: a\ndata: 1\n\n", &[("a", "1")]);
    check("event: a\r\ndata: 1\r\n\r\ndata: 2\r\n\r\n", &[("a", "1"), ("", "2")]);
    check("data: 1\r\rdata: 2\r\r", &[("", "1"), ("", "2")]);
    check("data: 1\r\r\ndata: 2\n\r\ndata:3\r\n\n", &[("", "1"), ("", "2"), ("", "3")]);
    check("data: 1\n\rdata: 2\r\n\r", &[("", "1"), ("", "2")]);
    check("data:no space\n\n", &[("", "no space")]);
    check("data:  two\n\n", &[("", " two")]);
    check(": comment\ndata: 1\n: more\n\n", &[("", "1")]);
    check(": keepalive\n\ndata: 1\n\n", &[("", "1")]);
    check("id: 7\nretry: 10\ndata: 1\n\nid: 8\n\n", &[("", "1")]);
    check("data: a\ndata: b\ndata\ndata: c\n\n", &[("", "a\nb\n\nc")]);
    check("data\n\ndata:\n\n", &[("", ""), ("", "")]);
    check("event: lost\n\ndata: 1\n\n", &[("", "1")]);
    check("\u{feff}data: 1\n\n\u{feff}data: 2\n\n", &[("", "1")]);
    check("\u{feff}\ndata: 1\n\n", &[("", "1")]);
    check("dat: 1\ndatax: 2\n\n\n\n\n", &[]);
    check("data: cut", &[]);
    check("data: cut\n", &[]);
}

#[test]
fn a_bare_cr_stream_is_not_held_back() {
    let mut decoder = Decoder::new(100);
    let mut out = Vec::new();
    decoder.push(Bytes::from_static(b"data: 1\r\r"), &mut out).unwrap();
    assert_eq!(out.len(), 1);
}

#[test]
fn a_frame_in_one_chunk_is_not_copied() {
    let chunk = Bytes::from_static(b"data: 1\n\nevent: b\ndata: 2\n\n");
    let mut out = Vec::new();
    Decoder::new(100).push(chunk.clone(), &mut out).unwrap();
    for frame in &out {
        assert!(chunk.as_ptr_range().contains(&frame.raw.as_ptr()));
        assert!(chunk.as_ptr_range().contains(&frame.data.as_ptr()));
    }
    assert_eq!(out[1].raw, "event: b\ndata: 2\n\n");
}

#[test]
fn long_frames_are_refused() {
    let frame = |length: usize| format!("data: {}\n\n", "x".repeat(length - 8));
    for cuts in [&[][..], &[5], &[50, 60], &[99]] {
        let mut out = Vec::new();
        let mut decoder = Decoder::new(100);
        for chunk in split(frame(100).repeat(2).as_bytes(), cuts) {
            decoder.push(chunk, &mut out).unwrap();
        }
        assert_eq!(out.len(), 2, "{cuts:?}");
        let mut decoder = Decoder::new(100);
        let refused =
            split(frame(101).as_bytes(), cuts).into_iter().any(|chunk| decoder.push(chunk, &mut out).is_err());
        assert!(refused, "{cuts:?}");
        decoder.push(Bytes::from_static(b"data: 1\n\n"), &mut out).unwrap();
        assert_eq!(out.len(), 2, "a dead decoder reads nothing");
    }
    let mut endless = Decoder::new(1000);
    let mut pushes = (0..200).map(|_| endless.push(Bytes::from_static(b"no newline"), &mut Vec::new()));
    assert_eq!(pushes.find(Result::is_err), Some(Err(TooLong { limit: 1000 })));
}

#[test]
fn large_frames_spill_into_pieces() {
    let spill = Spill { over: 10, may: |head| head.starts_with(b"event: big") };
    let input = b"event: small\ndata: 123456\n\nevent: big\ndata: 123456\n\ndata: x\n\n";
    let mut decoder = Decoder::new(60).spilling(spill);
    let mut out = Vec::new();
    for chunk in input.chunks(7) {
        decoder.push(Bytes::copy_from_slice(chunk), &mut out).unwrap();
    }
    let extents: Vec<Extent> = out.iter().map(|frame| frame.extent).collect();
    assert_eq!(extents.first(), Some(&Extent::Whole));
    assert_eq!(extents.iter().filter(|extent| **extent == Extent::Last).count(), 1);
    assert!(extents.contains(&Extent::Piece));
    let raw: Vec<u8> = out.iter().flat_map(|frame| frame.raw.to_vec()).collect();
    assert_eq!(raw, input);
}

fn line() -> impl Strategy<Value = String> {
    let field = prop_oneof!["data", "event", "id", "retry", "", "datax", "\u{feff}data"];
    let value = prop_oneof![".{0,12}", "[a-z:é]{0,8}"];
    let colon = prop_oneof![": ", ":", ""];
    prop_oneof![
        4 => (field, colon, value).prop_map(|(f, c, v)| format!("{f}{c}{v}").replace(['\r', '\n'], " ")),
        2 => Just(String::new()),
    ]
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let end = prop_oneof![Just("\n"), Just("\r\n"), Just("\r")];
    let lines = prop::collection::vec((line(), end), 0..30);
    let text =
        lines.prop_map(|lines| lines.into_iter().flat_map(|(line, end)| [line, end.to_owned()]).collect::<String>());
    prop_oneof![
        4 => text.prop_map(String::into_bytes),
        1 => prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b':'), any::<u8>()], 0..60),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn equals_the_reference_in_any_chunking(input in stream(), cuts in prop::collection::vec(any::<usize>(), 0..6)) {
        let whole = decode(&input, &[]);
        prop_assert_eq!(pairs(&whole), reference(&input));
        prop_assert_eq!(decode(&input, &cuts), whole);
    }
}
