use std::collections::HashMap;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::{O200K, WINDOW};

/// The bytes of every token, put together from the pairs.
static TOKENS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let (singles, pairs) = include_bytes!("../o200k_base.pairs").split_at(256);
    let mut tokens: Vec<Vec<u8>> = singles.iter().map(|byte| vec![*byte]).collect();
    for pair in pairs.chunks_exact(6) {
        let id = |at: usize| u32::from_le_bytes([pair[at], pair[at + 1], pair[at + 2], 0]) as usize;
        tokens.push([&tokens[id(0)][..], &tokens[id(3)]].concat());
    }
    tokens
});

static RANKS: LazyLock<HashMap<&[u8], u32>> = LazyLock::new(|| TOKENS.iter().map(Vec::as_slice).zip(0..).collect());

/// Byte-pair encoding word by word: of all neighbours that make a token, the lowest token first.
fn reference(piece: &[u8]) -> Vec<u32> {
    let mut parts: Vec<Vec<u8>> = piece.iter().map(|byte| vec![*byte]).collect();
    loop {
        let ranks = parts.windows(2).enumerate().filter_map(|(at, two)| Some((*RANKS.get(&two.concat()[..])?, at)));
        let Some((_, at)) = ranks.min() else { break };
        let right = parts.remove(at + 1);
        parts[at].extend(right);
    }
    parts.iter().map(|part| RANKS[&part[..]]).collect()
}

/// The hash is the one that `tiktoken` compares with its download of o200k_base.
#[test]
fn the_vocabulary_is_openais() {
    let lines = TOKENS.iter().enumerate().map(|(id, token)| format!("{} {id}\n", STANDARD.encode(token)));
    let hash = Sha256::digest(lines.collect::<String>());
    assert_eq!(
        format!("{:x}", Bytes::copy_from_slice(&hash)),
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
    );
}

#[test]
fn every_token_is_encoded_as_itself_and_knows_its_length() {
    for (token, bytes) in (0..).zip(TOKENS.iter()) {
        assert_eq!(O200K.encode(bytes), [token]);
        assert_eq!(O200K.length(token), bytes.len());
    }
}

/// Random pieces, of parts of tokens so that many merges are possible.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        (0_usize..200_000).prop_map(|n| TOKENS[n % TOKENS.len()].clone()),
        (0_usize..3000).prop_map(|n| TOKENS[n].clone()),
        proptest::collection::vec(any::<u8>(), 0..4),
        Just(b"aaaaaaaa".to_vec()),
    ];
    proptest::collection::vec(part, 0..60).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn an_encoding_is_that_of_the_definition(piece in pieces()) {
        let tokens = O200K.encode(&piece);
        prop_assert_eq!(&tokens, &reference(&piece));
        prop_assert_eq!(O200K.count(&piece), tokens.len());
    }
}

proptest! {
    // The whole piece is long, and the debug build slow.
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// A piece encoded in windows has the same tokens as the piece encoded at once.
    #[test]
    fn windows_leave_no_seam(piece in pieces(), size in WINDOW..3 * WINDOW) {
        let long: Vec<u8> = piece.iter().copied().chain(*b"ab").cycle().take(size).collect();
        let whole: Vec<u32> = O200K.parts(&long).iter().map(|part| part.token).collect();
        prop_assert_eq!(O200K.encode(&long), whole);
    }
}
