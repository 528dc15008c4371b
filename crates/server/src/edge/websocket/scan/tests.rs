//! Frames, in any pieces.

use rstest::rstest;

use super::*;

/// A frame of a client.
fn frame(first: u8, length: usize) -> Vec<u8> {
    let mut bytes = vec![first];
    match length {
        0..=125 => bytes.push(0x80 | u8::try_from(length).unwrap()),
        126..=0xffff => {
            bytes.push(0xfe);
            bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        _ => {
            bytes.push(0xff);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend([1, 2, 3, 4]);
    bytes.extend(vec![0xff; length]);
    bytes
}

/// Reads in pieces of at most `piece` bytes: the payload, and how many messages began and ended.
fn read(mut bytes: &[u8], piece: usize) -> (usize, usize, usize) {
    let (mut scan, mut sum) = (FrameScanner::default(), (0, 0, 0));
    while !bytes.is_empty() {
        let (given, rest) = bytes.split_at(scan.ahead().min(piece).min(bytes.len()));
        let open = scan.is_open();
        let seen = scan.pass(given);
        sum.0 += seen.payload;
        sum.1 += usize::from(seen.began);
        sum.2 += usize::from((open || seen.began) && !scan.is_open());
        bytes = rest;
    }
    sum
}

#[rstest]
#[case::nothing(&[], (0, 0, 0))]
#[case::text(&[frame(0x81, 5)], (5, 1, 1))]
#[case::empty(&[frame(0x81, 0)], (0, 1, 1))]
#[case::lengths(&[frame(0x81, 125), frame(0x82, 126), frame(0x81, 65_535), frame(0x81, 65_536)], (131_322, 4, 4))]
#[case::about_the_connection(&[frame(0x89, 5), frame(0x8a, 0), frame(0x88, 2)], (0, 0, 0))]
#[case::parts(&[frame(0x01, 5), frame(0x00, 300), frame(0x80, 1)], (306, 1, 1))]
#[case::ping_between_parts(&[frame(0x01, 5), frame(0x89, 9), frame(0x80, 1), frame(0x81, 2)], (8, 2, 2))]
#[case::not_whole(&[frame(0x81, 2), frame(0x01, 5), frame(0x00, 5)], (12, 2, 1))]
#[case::empty_end(&[frame(0x01, 5), frame(0x80, 0)], (5, 1, 1))]
fn messages_are_followed_in_any_pieces(#[case] frames: &[Vec<u8>], #[case] sum: (usize, usize, usize)) {
    let bytes = frames.concat();
    for piece in [1, 2, 3, 7, 100, usize::MAX] {
        assert_eq!(read(&bytes, piece), sum, "in pieces of {piece}");
    }
}

#[test]
fn nothing_is_read_beyond_a_frame() {
    let mut scan = FrameScanner::default();
    for (given, ahead) in [(&[0x81][..], 1), (&[0xfe], 6), (&[1, 0, 9, 9, 9, 9], 256), (&[7; 255], 1), (&[7], 2)] {
        scan.pass(given);
        assert_eq!(scan.ahead(), ahead);
    }
}

#[test]
fn a_length_may_be_anything() {
    let mut scan = FrameScanner::default();
    for byte in [[0x81, 0x7f].as_slice(), &[0xff; 8]].concat() {
        scan.pass(&[byte]);
    }
    assert!(scan.is_open() && scan.ahead() == usize::MAX);
}

/// Control frames are short and not fragmented (RFC 6455, section 5.5): other control frames are refused before their payload is read.
#[rstest]
#[case(0x89, 125, false)]
#[case(0x89, 126, true)]
#[case(0x88, 1 << 16, true)]
#[case(0x09, 1, true)]
#[case(0x81, 1 << 16, false)]
fn invalid_control_frames_are_reported(#[case] first: u8, #[case] length: usize, #[case] breach: bool) {
    let bytes = frame(first, length);
    let mut scan = FrameScanner::default();
    let (mut at, mut found) = (0, false);
    while at < bytes.len() && !found {
        let end = bytes.len().min(at + scan.ahead());
        found = scan.pass(&bytes[at..end]).breach;
        at = end;
    }
    assert_eq!(found, breach);
    assert!(!breach || at <= HEAD, "known by its head");
}
