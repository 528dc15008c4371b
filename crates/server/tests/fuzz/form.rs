//! Multipart forms: the model's name is found in any chunking, and the found range is a field's content.

use server::probe;

/// The first byte is the size of the pieces, the rest is a form with the boundary `b`.
pub fn check(input: &[u8]) {
    let Some((size, body)) = input.split_first() else { return };
    let whole = probe::form("b", body, body.len());
    for size in [1, 2, 3, usize::from(*size).max(1), 4096] {
        assert_eq!(probe::form("b", body, size), whole, "pieces of {size}");
    }
    let Ok(Some(at)) = whole else { return };
    assert!(at.len() <= 256 && at.start <= at.end && at.end <= body.len());
    assert!(body[..at.start].ends_with(b"\r\n"), "behind a head");
    // An empty name shares its line end with its head.
    let after =
        if at.is_empty() && !body[at.end..].starts_with(b"\r\n--b") { &body[at.end - 2..] } else { &body[at.end..] };
    assert!(after.starts_with(b"\r\n--b"), "before a delimiter");
    let head = String::from_utf8_lossy(&body[..at.start]).to_ascii_lowercase();
    assert!(head.contains("content-disposition") && head.contains("model"));
}
