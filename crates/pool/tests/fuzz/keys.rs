//! What people present as keys: reading never fails in an unexpected way, a minted key is one and no changed copy of it is.

use pool::keys::{KeyKind, ParseError, RANDOM, digest, fixed, mint, parse};

/// Checks one presented text, and a key that is minted of its bytes.
pub fn check(input: &[u8]) {
    let pepper = [7; 32];
    let text = String::from_utf8_lossy(input);
    if let Ok(parsed) = parse(&text) {
        assert!(text.starts_with(parsed.kind.prefix()) && text[4..].starts_with(parsed.id), "{text}");
        assert!(parsed.id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }
    assert!(digest(&text, &pepper).matches(&fixed(&text, &pepper).digest));
    let mut random = [0; RANDOM];
    random.iter_mut().zip(input).for_each(|(random, byte)| *random = *byte);
    let kind = if input.len().is_multiple_of(2) { KeyKind::Client } else { KeyKind::Admin };
    let minted = mint(kind, &random, &pepper);
    let key = minted.text.expose();
    let parsed = parse(key).expect("a minted key has the form of one");
    assert_eq!((parsed.kind, parsed.id), (kind, minted.id.as_str()));
    assert!(digest(key, &pepper).matches(&minted.digest));
    let at = usize::from(input.first().copied().unwrap_or(0)) % key.len();
    let mut changed = key.as_bytes().to_vec();
    changed[at] = if changed[at] == b'x' { b'y' } else { b'x' };
    let changed = String::from_utf8(changed).expect("keys are ASCII");
    assert!(matches!(parse(&changed), Err(ParseError::Damaged | ParseError::Foreign)), "{changed} passes for {key}");
    assert!(!digest(&changed, &pepper).matches(&minted.digest));
}
