use rstest::rstest;

use super::*;

fn verdict(lines: &str) -> Result<Framing, HeadError> {
    let head = format!("{}\r\n\r\n", lines.replace('\n', "\r\n"));
    check(head.as_bytes(), 100)
}

#[rstest]
#[case("GET / HTTP/1.1\nHost: a", Framing::Length(0))]
#[case("POST /v1/responses HTTP/1.1\nHost: a\nContent-Length: 12", Framing::Length(12))]
#[case("POST / HTTP/1.1\nhost:a\ntransfer-encoding: Chunked", Framing::Chunked)]
#[case("GET http://a/ HTTP/1.0\nsession_id: 1", Framing::Length(0))]
#[case("GET / HTTP/1.1\nX-Name: caf\u{e9}\tbar", Framing::Length(0))]
fn sound_heads_pass(#[case] lines: &str, #[case] framing: Framing) {
    assert_eq!(verdict(lines), Ok(framing));
}

#[rstest]
#[case::both("POST / HTTP/1.1\nContent-Length: 5\nTransfer-Encoding: chunked")]
#[case::both_turned("POST / HTTP/1.1\nTransfer-Encoding: chunked\nContent-Length: 5")]
#[case::two_lengths("POST / HTTP/1.1\nContent-Length: 5\nContent-Length: 6")]
#[case::two_equal_lengths("POST / HTTP/1.1\nContent-Length: 5\nContent-Length: 5")]
#[case::length_list("POST / HTTP/1.1\nContent-Length: 5, 5")]
#[case::length_signed("POST / HTTP/1.1\nContent-Length: +5")]
#[case::length_minus("POST / HTTP/1.1\nContent-Length: -5")]
#[case::length_spaced("POST / HTTP/1.1\nContent-Length: 5 5")]
#[case::length_hex("POST / HTTP/1.1\nContent-Length: 0x5")]
#[case::length_empty("POST / HTTP/1.1\nContent-Length:")]
#[case::length_huge("POST / HTTP/1.1\nContent-Length: 18446744073709551616")]
#[case::te_unknown("POST / HTTP/1.1\nTransfer-Encoding: xchunked")]
#[case::te_list("POST / HTTP/1.1\nTransfer-Encoding: chunked, identity")]
#[case::te_twice("POST / HTTP/1.1\nTransfer-Encoding: chunked\nTransfer-Encoding: chunked")]
#[case::te_gzip("POST / HTTP/1.1\nTransfer-Encoding: gzip, chunked")]
#[case::te_vertical_tab("POST / HTTP/1.1\nTransfer-Encoding: \u{b}chunked")]
#[case::te_old("POST / HTTP/1.0\nTransfer-Encoding: chunked")]
#[case::space_before_colon("POST / HTTP/1.1\nContent-Length : 5")]
#[case::fold("POST / HTTP/1.1\nX-A: b\n c")]
#[case::fold_first("POST / HTTP/1.1\n X-A: b")]
#[case::no_colon("POST / HTTP/1.1\nX-A")]
#[case::empty_name("POST / HTTP/1.1\n: b")]
#[case::nul("POST / HTTP/1.1\nX-A: a\0b")]
#[case::bare_cr("POST / HTTP/1.1\nX-A: a\rb")]
#[case::underscore("POST / HTTP/1.1\nContent_Length: 5")]
#[case::underscore_te("POST / HTTP/1.1\nTransfer_Encoding: chunked")]
#[case::underscore_key("POST / HTTP/1.1\nx_api_key: a")]
#[case::version("GET / HTTP/1.2\nHost: a")]
#[case::no_version("GET /\nHost: a")]
#[case::two_spaces("GET  / HTTP/1.1\nHost: a")]
#[case::space_in_target("GET /a b HTTP/1.1\nHost: a")]
#[case::method("G\u{e9}T / HTTP/1.1\nHost: a")]
#[case::no_path("GET ?x HTTP/1.1\nHost: a")]
#[case::relative("GET v1/models HTTP/1.1\nHost: a")]
#[case::scheme("GET file:///v1 HTTP/1.1\nHost: a")]
#[case::bad_authority("GET http://[::1 HTTP/1.1\nHost: a")]
#[case::empty("")]
fn ambiguous_heads_do_not(#[case] lines: &str) {
    assert_eq!(verdict(lines), Err(HeadError::Malformed));
}

#[test]
fn a_hundred_headers_pass_and_one_more_does_not() {
    let head = |count| format!("GET / HTTP/1.1{}", "\nx: y".repeat(count));
    assert_eq!(verdict(&head(100)), Ok(Framing::Length(0)));
    assert_eq!(verdict(&head(101)), Err(HeadError::TooLarge));
}

#[rstest]
#[case(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest", Ok(Some(27)))]
#[case(b"GET / HTTP/1.1\r\nHost: a\r\n", Ok(None))]
#[case(b"GET / HTTP/1.1\nHost: a", Err(HeadError::Malformed))]
#[case(b"\n", Err(HeadError::Malformed))]
fn the_end_is_found(#[case] held: &[u8], #[case] found: Result<Option<usize>, HeadError>) {
    assert_eq!(end(held, 0), found);
    let stepwise =
        (0..=held.len()).map(|upto| end(&held[..upto], upto.saturating_sub(1))).find(|step| step != &Ok(None));
    assert_eq!(stepwise.unwrap_or(Ok(None)), found);
}
