//! Request heads: a head that passes the check is one whole request to the HTTP parser behind it, which sees the same end and the same
//! length of the body.

use server::probe;

/// Checks the first bytes of a connection.
pub fn check(input: &[u8]) {
    let Ok(Some((end, length))) = probe::head(input, 64) else { return };
    assert!(
        probe::head(&input[..end - 1], 64) == Ok(None) || probe::head(&input[..end - 1], 64) == Err(()),
        "it ends earlier"
    );
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(input) {
        Ok(httparse::Status::Complete(seen)) => assert_eq!(seen, end, "the parser sees another end"),
        // The parser may refuse more than the check, but must not wait for more bytes.
        Ok(httparse::Status::Partial) => panic!("the parser waits for more"),
        Err(_) => return,
    }
    let named =
        |name: &str| request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name)).collect::<Vec<_>>();
    let (lengths, codings) = (named("content-length"), named("transfer-encoding"));
    assert!(lengths.len() + codings.len() <= 1, "two opinions about the length of the body");
    let declared = lengths.first().map(|header| String::from_utf8_lossy(header.value).trim().parse::<u64>());
    match length {
        Some(length) => assert_eq!(declared.unwrap_or(Ok(0)), Ok(length), "another length"),
        None => assert_eq!(codings.len(), 1, "chunked without saying so"),
    }
}
