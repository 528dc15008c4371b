use bytes::Bytes;
use proptest::prelude::*;

use super::Decoder;

fn decode(input: &[u8], size: usize) -> Vec<Bytes> {
    let mut decoder = Decoder::new(1000);
    let mut out = Vec::new();
    for chunk in input.chunks(size) {
        decoder.push(Bytes::copy_from_slice(chunk), &mut out).unwrap();
    }
    decoder.end(&mut out);
    out
}

#[test]
fn lines_and_limits() {
    for size in 1..20 {
        assert_eq!(decode(b"{\"a\":1}\r\n\n [2] \n3", size), ["{\"a\":1}", "[2]", "3"]);
    }
    assert!(Decoder::new(5).push(Bytes::from_static(b"12345\r\n"), &mut Vec::new()).is_ok());
    let mut decoder = Decoder::new(5);
    let mut out = Vec::new();
    assert!(decoder.push(Bytes::from_static(b"1\n12345678"), &mut out).is_err());
    decoder.push(Bytes::from_static(b"2\n"), &mut out).unwrap();
    decoder.end(&mut out);
    assert_eq!(out, ["1"]);
}

proptest! {
    #[test]
    fn any_chunking_is_the_same(input in "[a{}\\[\\]\n\r ]{0,80}", size in 1usize..9) {
        let lines: Vec<&str> = input.split('\n').map(str::trim_ascii).filter(|line| !line.is_empty()).collect();
        prop_assert_eq!(decode(input.as_bytes(), size), lines);
    }
}
