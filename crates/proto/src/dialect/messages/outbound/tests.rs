use super::blocks::decode;
use super::id;
use super::thinking::{Generation, generation};

#[test]
fn base64_of_every_length_is_read() {
    let cases =
        [("", ""), ("YQ==", "a"), ("YWI=", "ab"), ("YWJj", "abc"), ("YWJjZA", "abcd"), ("YWJj\r\nZGU=", "abcde")];
    for (text, plain) in cases {
        assert_eq!(decode(text).as_deref(), Some(plain.as_bytes()), "{text}");
    }
    assert_eq!(decode("-_8="), Some(vec![0xFB, 0xFF]));
    assert_eq!(decode("no base64"), None);
}

#[test]
fn ids_have_the_characters_that_anthropic_takes() {
    for (given, expected) in [("call_A-1", "call_A-1"), ("call:1/2", "call_1_2"), ("fc\\n", "fc_n")] {
        assert_eq!(id(&crate::Text::from_escaped(given.as_bytes().to_vec().into())).as_str(), expected);
    }
}

#[test]
fn generations_by_name() {
    let cases = [
        ("claude-3-5-sonnet-20241022", Generation::Never),
        ("claude-2.1", Generation::Never),
        ("claude-3-7-sonnet-latest", Generation::Budget),
        ("anthropic/claude-sonnet-4", Generation::Budget),
        ("claude-sonnet-4-20250514", Generation::Budget),
        ("claude-opus-4-1-20250805", Generation::Budget),
        ("claude-haiku-4-5-20251001", Generation::Budget),
        ("claude-opus-4-6", Generation::Adaptive),
        ("claude-opus-5-5", Generation::Adaptive),
        ("claude-fable-5", Generation::Adaptive),
        ("claude-next", Generation::Adaptive),
        ("kimi-k3", Generation::Budget),
    ];
    for (model, expected) in cases {
        assert_eq!(generation(model), expected, "{model}");
    }
}
